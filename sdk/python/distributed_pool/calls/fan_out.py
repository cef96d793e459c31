"""Runs one function over many inputs, as many calls at a time as the pool has slots."""

from __future__ import annotations

import asyncio
import time
from typing import (
    Any,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Dict,
    Iterable,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
    cast,
)

from ..errors import PoolError, failure
from ..models import Pool
from .blocking import END, pulled
from .retry import whole_number

R = TypeVar("R")
Inputs = Union[Iterable[Any], AsyncIterable[Any]]

#: 500 calls at a time by default: a member admits 1,000 streams for each token by default.
_MAX_CONCURRENCY = 500
#: The slots of the pool are counted again after 5 seconds: members join and leave.
_COUNT_AGAIN = 5.0
#: Inputs of these types are in memory. Reading from others may block.
_HELD = (list, tuple, range, set, frozenset, dict)


class Slots:
    """The number of calls at a time: a fixed one, or the slots of the pool."""

    def __init__(
        self, ask: Callable[[], Awaitable[Pool]], concurrency: Optional[int] = None
    ) -> None:
        self._ask = ask
        self._fixed = concurrency
        if concurrency is not None:
            whole_number("concurrency", concurrency, 1)
        self._slots = 0
        self._counted = 0.0
        self._counting: Optional["asyncio.Task[None]"] = None

    async def limit(self) -> int:
        """The number of calls at a time, at least 1."""
        if self._fixed is not None:
            return self._fixed
        is_old = time.monotonic() - self._counted > _COUNT_AGAIN
        if (self._slots == 0 or is_old) and self._counting is None:
            self._counting = asyncio.ensure_future(self._count())
            self._counting.add_done_callback(self._has_counted)
        # Calls go on by an old number while the pool is asked. All of them await the first one.
        if self._slots == 0 and self._counting is not None:
            await asyncio.shield(self._counting)
        return self._slots

    async def _count(self) -> None:
        try:
            pool = await self._ask()
            slots = sum(each.load.max for each in pool.members if each.load is not None)
            self._slots = min(max(slots, 1), _MAX_CONCURRENCY)
        except PoolError:
            if self._slots == 0:
                raise
        self._counted = time.monotonic()

    def _has_counted(self, counting: "asyncio.Task[None]") -> None:
        self._counting = None
        # The calls that await the number may all have left, so nobody else asks for the error.
        if not counting.cancelled():
            counting.exception()

    def close(self) -> None:
        if self._counting is not None:
            self._counting.cancel()


async def fan_out(
    work: Callable[[int, Any], Awaitable[R]],
    inputs: Inputs,
    slots: Slots,
    ordered: bool,
) -> AsyncIterator[Tuple[int, R]]:
    """Yields the position and the result of each input.

    Calls that run and results that wait to be read are at most twice the limit. The first failure,
    or a reader that leaves, reads no further input and cancels the calls.

    Raises:
        PoolError: the first failure, with the position of its input as `index`.
    """
    reading = _read(inputs)
    running: Dict["asyncio.Task[R]", int] = {}
    waiting: Dict[int, R] = {}
    pulling: Optional["asyncio.Task[Any]"] = None
    started = given = 0
    is_over = False
    try:
        while True:
            limit = await slots.limit()
            while not is_over and len(running) < limit and len(running) + len(waiting) < 2 * limit:
                if pulling is None:
                    pulling = asyncio.ensure_future(_following(reading))
                    # An input in memory is there at once.
                    await asyncio.sleep(0)
                if not pulling.done():
                    # While an input does not come, the results of others go on.
                    has_result = given in waiting or (waiting and not ordered)
                    await asyncio.wait(
                        {pulling, *running},
                        timeout=0 if has_result else None,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                if not pulling.done():
                    break
                item, pulling = pulling.result(), None
                if item is END:
                    is_over = True
                    break
                running[asyncio.ensure_future(work(started, item))] = started
                started += 1
            if given in waiting or (waiting and not ordered):
                index = given if ordered else next(iter(waiting))
                given += 1
                yield index, waiting.pop(index)
                continue
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index = running.pop(task)
                waiting[index] = _result_of(task, index)
    finally:
        slots.close()
        await _stop([*running] if pulling is None else [*running, pulling])
        await reading.aclose()  # type: ignore[attr-defined]


def _result_of(task: "asyncio.Task[R]", index: int) -> R:
    try:
        return task.result()
    except PoolError as error:
        error.index = index
        raise


async def _stop(tasks: "Sequence[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _following(reading: AsyncIterator[Any]) -> Any:
    try:
        return await reading.__anext__()
    except StopAsyncIteration:
        return END


async def _read(inputs: Inputs) -> AsyncIterator[Any]:
    """The inputs, one at a time. They are closed with the reading."""
    if isinstance(inputs, _HELD):
        for item in inputs:
            yield item
        return
    if hasattr(inputs, "__aiter__"):
        later = cast(AsyncIterable[Any], inputs).__aiter__()
        try:
            async for item in later:
                yield item
        finally:
            if hasattr(later, "aclose"):
                await later.aclose()
        return
    try:
        now = iter(inputs)
    except TypeError as error:
        kind = type(inputs).__name__
        raise failure("invalid_request", f"expected inputs to iterate over; got {kind}") from error
    items = pulled(lambda: next(now, END), getattr(now, "close", _nothing))
    try:
        async for item in items:
            yield item
    finally:
        await items.aclose()  # type: ignore[attr-defined]


def _nothing() -> None:
    pass
