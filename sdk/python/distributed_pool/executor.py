"""A `concurrent.futures.Executor` whose calls run in the children of a pool."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Executor, Future, wait
from typing import Any, Callable, Deque, Optional, Set, TypeVar

from typing_extensions import ParamSpec

from .aio import AsyncDistributedPool
from .calls.spec import CallOptions, bound_arguments, refuse_shared_input
from .portal import Portal

P = ParamSpec("P")
T = TypeVar("T")

_DEFAULTS: CallOptions = {"wait_ms": 60_000, "retries": 5, "link": True}


class PoolExecutor(Executor):
    """Calls functions in a pool, as many at a time as the pool has slots.

    Cancelling a future also stops a call that runs. `map` is that of `Executor`.

    Example:
        >>> with pool.executor("pipeline") as executor:
        ...     futures = [executor.submit(square, n) for n in range(20)]
    """

    def __init__(
        self,
        pool: AsyncDistributedPool,
        name: str,
        portal: Portal,
        max_workers: Optional[int] = None,
    ) -> None:
        defaults: CallOptions = {**_DEFAULTS, **pool._defaults}
        refuse_shared_input(defaults)
        self._pool = pool.with_options(**defaults)
        self._name = name
        self._portal = portal
        self._slots = pool._slots(name, defaults, max_workers)
        self._turns = _Turns()
        self._lock = threading.Lock()
        self._futures: Set[Future[Any]] = set()
        self._is_shut_down = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Calls the function, with arguments that JSON carries.

        Raises:
            PoolError: `invalid_request` for a function or an argument that cannot travel.
            RuntimeError: after `shutdown`.
        """
        all_args = bound_arguments(fn, args, kwargs)
        # A function that cannot travel is refused at once, like an argument of a wrong type.
        self._pool._prepared(self._name, fn, all_args, {})
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future = self._portal.start(self._call(fn, all_args))
            self._futures.add(future)
        future.add_done_callback(self._forget)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls.

        Args:
            wait: returns when the calls have ended.
            cancel_futures: stops the calls, those that run too.
        """
        with self._lock:
            self._is_shut_down = True
            futures = list(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            _wait(futures)

    async def _call(self, fn: Callable[..., Any], args: Any) -> Any:
        await self._turns.enter(await self._slots.limit())
        try:
            return await self._pool.call(self._name, fn, *args)
        finally:
            self._turns.leave()

    def _forget(self, future: "Future[Any]") -> None:
        with self._lock:
            self._futures.discard(future)


class _Turns:
    """Lets calls run in the order in which they came, a bounded number of them at a time."""

    def __init__(self) -> None:
        self._running = 0
        self._limit = 1
        self._waiting: Deque[asyncio.Future[None]] = deque()

    async def enter(self, limit: int) -> None:
        """Waits for a turn. The latest limit counts for all calls."""
        self._limit = limit
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Ends a turn."""
        self._running -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._running < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)


def _wait(futures: Any) -> None:
    wait(futures)
