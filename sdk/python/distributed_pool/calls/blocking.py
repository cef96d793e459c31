"""Runs what may block in a thread, so that neither the event loop nor the program's end waits."""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import Any, AsyncIterator, Callable, Optional, Tuple

_Job = Tuple[Callable[[], Any], "asyncio.Future[Any]"]

#: The end of an input.
END = object()


class _Worker:
    """A daemon thread that runs one function at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: "SimpleQueue[Optional[_Job]]" = SimpleQueue()
        self.is_busy = False
        threading.Thread(target=self._work, name="distributed-pool-input", daemon=True).start()

    async def run(self, job: Callable[[], Any]) -> Any:
        """The value of the function. Cancelling abandons it in the thread."""
        self.is_busy = True
        future: "asyncio.Future[Any]" = self._loop.create_future()
        self._jobs.put((job, future))
        return await future

    def end(self, last: Callable[[], Any] = lambda: None) -> None:
        """Ends the thread, once `last` has run in it. Nobody waits for that."""
        self._jobs.put((last, self._loop.create_future()))
        self._jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            value: Any = None
            error: Optional[BaseException] = None
            try:
                value = job[0]()
            except StopIteration as stop:
                # A future cannot carry this one.
                error = RuntimeError(f"an input raised {stop!r}")
            except BaseException as caught:
                error = caught
            try:
                self._loop.call_soon_threadsafe(self._settle, job[1], value, error)
            except RuntimeError:
                # The loop was closed meanwhile.
                return

    def _settle(
        self, future: "asyncio.Future[Any]", value: Any, error: Optional[BaseException]
    ) -> None:
        self.is_busy = False
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


async def pulled(
    following: Callable[[], Any], close: Callable[[], Any] = lambda: None
) -> AsyncIterator[Any]:
    """The items that a function returns until it returns `END`.

    A daemon thread calls it once for each item that is asked for, so one item is held at most.

    Args:
        close: is called in the same thread behind the last item, or when the iteration is closed.
            The iteration does not wait for it while the thread is busy.
    """
    worker = _Worker()
    try:
        while True:
            item = await worker.run(following)
            if item is END:
                return
            yield item
    finally:
        if worker.is_busy:
            worker.end(close)
        else:
            try:
                await worker.run(close)
            finally:
                worker.end()
