"""The executors, handles and listings of a pool, for programs that do not use asyncio."""

from __future__ import annotations

from typing import Mapping, Optional, TypeVar, Union

from typing_extensions import Unpack

from .aio import AsyncDistributedPool
from .calls.spec import CallOptions
from .executor import PoolExecutor
from .handle import ChildHandle
from .models import Pool, PoolChildList, PoolList
from .portal import Portal

Self = TypeVar("Self", bound="Listings")


class Listings:
    """The executors, the children, the members and the end of a pool."""

    def __init__(self, pool: AsyncDistributedPool, portal: Portal) -> None:
        self._pool = pool
        self._portal = portal

    def executor(
        self, pool: str, *, max_workers: Optional[int] = None, **options: Unpack[CallOptions]
    ) -> PoolExecutor:
        """A `concurrent.futures.Executor` whose calls run in the pool.

        Args:
            max_workers: calls at a time. Default: the slots of the pool.

        Example:
            >>> with pool.executor("pipeline") as executor:
            ...     print(executor.submit(square, 12).result())
        """
        return PoolExecutor(self._pool.with_options(**options), pool, self._portal, max_workers)

    def child(self, id: str) -> ChildHandle:
        """A handle on a child by its id. It sends no request yet."""
        return ChildHandle(self._pool.child(id), self._portal)

    def pools(self) -> PoolList:
        """The pools that have members."""
        return self._portal.run(self._pool.pools())

    def pool(self, pool: str) -> Pool:
        """A pool's members, load, tasks and runtimes. Raises `pool_not_found`."""
        return self._portal.run(self._pool.pool(pool))

    def children(
        self,
        pool: str,
        labels: Optional[Mapping[str, Union[str, bool]]] = None,
        status: Optional[str] = None,
    ) -> PoolChildList:
        """A pool's children on all its members. Those that have ended are listed for a while.

        Args:
            labels: labels that a child must all carry. True stands for any value.
            status: `running`, `stopping` or `ended`. Default: any.
        """
        return self._portal.run(self._pool.children(pool, labels, status))

    def close(self) -> None:
        """Closes the connections and the watch. Calls that are under way end with `member_lost`."""
        self._portal.close(self._pool.aclose)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
