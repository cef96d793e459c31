"""One call as a stream of events, with its input."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any, AsyncIterable, AsyncIterator, Callable, Iterable, Optional, Union, cast

from ..connection import Connection
from ..errors import PoolError, error_of, failure, message_of
from ..http.events import PoolEvent, is_terminal
from ..http.resume import Reading
from ..http.send import stop_after_lost_input, write_stdin
from ..models import FailedEvent, PlacedEvent, QueuedEvent
from ..placement.access import Placed, Placing
from .blocking import END, pulled
from .retry import Retries
from .spec import Call

#: 30 seconds after its deadline, a call whose terminal event did not come is lost.
_LATE_SECONDS = 30.0
#: One week: members refuse longer deadlines.
_MAX_DEADLINE_MS = 604_800_000
#: 64 KiB in one piece of a file.
_PIECE_BYTES = 65_536


async def stream_call(connection: Connection, call: Call) -> AsyncIterator[PoolEvent]:
    """Places a call and yields its events. Closing the iterator closes the connection.

    Raises:
        PoolError: the call was not placed, or its stream was cut for good.
    """
    spec = call.spec
    retries = Retries(spec, call.own.get("retries", 0))
    deadline = spec.get("deadlineMs")
    is_number = isinstance(deadline, (int, float)) and 0 < deadline < _MAX_DEADLINE_MS
    seconds = (cast(float, deadline) if is_number else _MAX_DEADLINE_MS) / 1000 + _LATE_SECONDS
    stream = _Stream(connection, call, time.monotonic() + seconds)
    while True:
        events = stream.one_try({**spec, **retries.for_spec})
        try:
            async for event in events:
                if isinstance(event, FailedEvent) and not stream.is_placed:
                    error = error_of(event.problem)
                    if retries.allow(error):
                        raise error
                    known = retries.known(error).admitted
                    if known != error.admitted:
                        problem = event.problem.model_copy(update={"admitted": known})
                        event = event.model_copy(update={"problem": problem})
                yield event
            return
        except PoolError as error:
            if stream.is_placed:
                raise
            refusal = error
        finally:
            await events.aclose()  # type: ignore[attr-defined]
        await retries.pause_after(refusal)


class _Stream:
    def __init__(self, connection: Connection, call: Call, until: float) -> None:
        self._connection = connection
        self._call = call
        self._until = until
        self.is_placed = False
        self._ended = False
        self._sending: Optional["asyncio.Task[None]"] = None
        #: Why the child cannot get the rest of its input.
        self._fault: Optional[PoolError] = None

    async def one_try(self, spec: Any) -> AsyncIterator[PoolEvent]:
        """The events of one try to be placed and, once it is, of the child."""
        client, access = self._connection.client, self._connection.access
        positions: "asyncio.Queue[int]" = asyncio.Queue()
        placing = Placing(self._call.pool, spec, self._call.parts, positions.put_nowait)
        task = asyncio.ensure_future(access.call(placing))
        events: Optional[AsyncIterator[PoolEvent]] = None
        try:
            while not task.done():
                moved = asyncio.ensure_future(positions.get())
                try:
                    await asyncio.wait({task, moved}, return_when=asyncio.FIRST_COMPLETED)
                    if moved.done():
                        yield QueuedEvent(type="queued", position=moved.result())
                finally:
                    moved.cancel()
            placed = task.result()
            reading = Reading(client, access, self._until)
            events = reading.events(placed.response, placed.on_end)
            async for event in events:
                if isinstance(event, PlacedEvent):
                    self.is_placed = True
                    self._start_sending(event.child.id)
                self._ended = is_terminal(event)
                # A child without the rest of its input was stopped for that reason.
                if isinstance(event, FailedEvent) and self._fault is not None:
                    if event.problem.code == "cancelled":
                        raise self._fault
                yield event
        finally:
            await self._leave(task, events)

    async def _leave(
        self, task: "asyncio.Task[Placed]", events: Optional[AsyncIterator[PoolEvent]]
    ) -> None:
        if self._sending is not None:
            self._sending.cancel()
        if events is not None:
            await events.aclose()  # type: ignore[attr-defined]
            return
        # A caller that leaves while it waits gives up its queues, or the answer that just came.
        task.cancel()
        try:
            await (await task).response.aclose()
        except (asyncio.CancelledError, Exception):
            pass

    def _start_sending(self, child: str) -> None:
        source = self._call.source
        if source is not None and self._sending is None:
            self._sending = asyncio.ensure_future(self._send(child, source))

    async def _send(self, child: str, source: Union[Iterable[bytes], AsyncIterable[bytes]]) -> None:
        """Sends the input on a connection of its own, no faster than the child reads."""
        client = self._connection.client
        url = await self._connection.access.child_url(child)
        broken: Optional[BaseException] = None

        async def bytes_of() -> AsyncIterator[bytes]:
            nonlocal broken
            try:
                async for piece in pieces_of(source):
                    yield piece
            except Exception as error:
                broken = error
                raise

        try:
            await write_stdin(client, url, bytes_of(), end=True)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if isinstance(error, PoolError) and error.code == "stdin_closed" and not broken:
                return
            why = broken or error
            detail = f"stdin: {message_of(why)}; a child cannot go on without the rest of its input"
            self._fault = failure("cancelled", detail)
            self._fault.__cause__ = why
            # A body that broke off has stopped the child already; one that never began has not.
            if not self._ended:
                await stop_after_lost_input(client, url)


async def pieces_of(source: Union[Iterable[bytes], AsyncIterable[bytes]]) -> AsyncIterator[bytes]:
    """The bytes of an input. Another thread reads a file, up to 64 KiB at a time.

    A pipe or a terminal is not read ahead: what has come is sent at once.
    """
    if hasattr(source, "__aiter__"):
        async for piece in cast(AsyncIterable[bytes], source):
            yield _bytes_of(piece)
        return
    read = _reader_of(source)
    items = iter(source)

    def following() -> Any:
        return read(_PIECE_BYTES) or END if read is not None else next(items, END)

    pieces = pulled(following)
    try:
        async for piece in pieces:
            yield _bytes_of(piece)
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


def _reader_of(source: Any) -> Optional[Callable[[int], Any]]:
    """Reads a piece of a file as soon as there is some of it; None for what is no file."""
    if isinstance(source, io.TextIOBase) and not source.seekable():
        return source.readline
    read: Optional[Callable[[int], Any]] = getattr(source, "read1", getattr(source, "read", None))
    return read


def _bytes_of(piece: Union[bytes, str]) -> bytes:
    if isinstance(piece, str):
        return piece.encode("utf-8", "replace")
    if not isinstance(piece, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected an input of bytes or text; got {type(piece).__name__}")
    return bytes(piece)
