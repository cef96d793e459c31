"""An event loop in a thread of its own, for programs that do not use asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import CancelledError, Future
from typing import (
    Any,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Generic,
    Optional,
    Tuple,
    TypeVar,
)

from .errors import failure

T = TypeVar("T")

_CLOSED = "the pool was closed while the call was under way"

#: 5 seconds for the loop's thread to end.
_CLOSE_SECONDS = 5.0


class Portal:
    """Runs coroutines for threads that have no event loop. The first one starts the thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._thread: Optional[threading.Thread] = None
        self._pid = os.getpid()
        self._is_closed = False

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Starts a coroutine. Cancelling the future cancels it.

        Raises:
            PoolError: `invalid_request` for a pool that is closed, or came here by a fork.
        """
        why = None
        if self._is_closed:
            why = "expected an open pool; this one is closed"
        elif os.getpid() != self._pid:
            why = "expected a pool of this process; this one was made before a fork"
        elif threading.current_thread() is self._thread:
            why = "expected another thread; a callback of the pool must not wait for the pool"
        if why is not None:
            work.close()
            raise failure("invalid_request", why)
        return asyncio.run_coroutine_threadsafe(work, self._running())

    def run(self, work: Coroutine[Any, Any, T], timeout: Optional[float] = None) -> T:
        """The result of a coroutine.

        Args:
            timeout: seconds until it is cancelled. Default: no limit.

        Raises:
            TimeoutError: after the timeout.
        """
        if timeout is not None:
            work = _limited(work, timeout)
        future = self.start(work)
        try:
            return future.result()
        except CancelledError:
            raise failure("member_lost", _CLOSED, admitted="unknown") from None
        except BaseException:
            # Ctrl-C closes the connection.
            future.cancel()
            raise

    def iterate(
        self, items: AsyncIterator[T], timeout: Optional[float] = None
    ) -> Generator[T, None, None]:
        """The items of an iteration, which is closed when the loop over them ends.

        Args:
            timeout: seconds for all items together. Default: no limit.

        Raises:
            TimeoutError: after the timeout.
        """
        until = None if timeout is None else time.monotonic() + timeout
        steps = _Steps(items)
        try:
            while True:
                left = None if until is None else max(0.0, until - time.monotonic())
                is_item, item = self.run(steps.following(), left)
                if not is_item:
                    return
                yield item  # type: ignore[misc]
        finally:
            if not self._is_closed:
                self.run(steps.aclose())

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancels what runs, then runs `last`, and ends the thread. Idempotent."""
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
            self._loop = None
        if loop is None or thread is None or os.getpid() != self._pid:
            return
        asyncio.run_coroutine_threadsafe(_end(loop, last), loop)
        thread.join(_CLOSE_SECONDS)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="distributed-pool", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


async def _end(
    loop: asyncio.AbstractEventLoop, last: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
        await last()
    finally:
        loop.stop()


async def _limited(work: Awaitable[T], timeout: float) -> T:
    try:
        return await asyncio.wait_for(work, timeout)
    except asyncio.TimeoutError as error:
        raise TimeoutError("the call took longer than its timeout") from error


class _Steps(Generic[T]):
    """An iteration, one step at a time: a step that is being cancelled ends before the closing."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items
        self._lock: Optional[asyncio.Lock] = None

    async def following(self) -> Tuple[bool, Optional[T]]:
        """Whether there is another item, and the item."""
        async with self._locked():
            try:
                return True, await self._items.__anext__()
            except StopAsyncIteration:
                return False, None

    async def aclose(self) -> None:
        async with self._locked():
            await self._items.aclose()  # type: ignore[attr-defined]

    def _locked(self) -> asyncio.Lock:
        # In Python 3.9, a lock belongs to the event loop of the thread that makes it.
        self._lock = self._lock or asyncio.Lock()
        return self._lock
