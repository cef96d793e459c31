"""The way to a pool: by a member as the gateway, or by placing directly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence
from urllib.parse import urlencode

import httpx

from ..http.resume import Locator
from ..http.send import Spec
from ..models import Pool, PoolChildList, PoolList


def _nothing(_: int) -> None:
    pass


@dataclass(frozen=True)
class Placing:
    """A child spec on its way into a pool."""

    pool: str
    spec: Spec
    #: Files of the caller, as httpx has them.
    parts: List[Any] = field(default_factory=list)
    #: Receives the position in the queue of a full pool: first, and at each change. A gateway
    #: sends positions as events of the stream instead.
    on_position: Callable[[int], None] = _nothing


@dataclass(frozen=True)
class Placed:
    """The open stream of a call. `on_end` is told once that the child has ended."""

    response: httpx.Response
    on_end: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class ChildFilter:
    """The children that a listing shows."""

    #: Labels that a child must all carry, each as `NAME=VALUE`, or `NAME` for any value.
    labels: Sequence[str] = ()
    status: Optional[str] = None

    def query(self, **more: Optional[str]) -> str:
        pairs = [("label", label) for label in self.labels]
        single: Dict[str, Optional[str]] = {"status": self.status, **more}
        pairs += [(name, value) for name, value in single.items() if value is not None]
        return f"?{urlencode(pairs)}" if pairs else ""


class Access(Locator, Protocol):
    """The operations of pools."""

    async def call(self, placing: Placing) -> Placed:
        """Places a call. A call that may have been admitted is never sent again."""

    async def place_child(self, placing: Placing) -> str:
        """Places a child that lives on its own. Returns its id."""

    async def pools(self) -> PoolList:
        """The pools that have members."""

    async def pool(self, pool: str) -> Pool:
        """A pool's members, load, tasks and runtimes."""

    async def children(self, pool: str, only: ChildFilter) -> PoolChildList:
        """A pool's children on all its members."""

    async def aclose(self) -> None:
        """Stops what watches."""
