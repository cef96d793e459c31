"""Reads server-sent events as the events of the contract, and the output that is in them."""

from __future__ import annotations

import base64
import re
import time
from typing import Any, AsyncIterator, Dict, Optional, Type, Union, cast

import httpx
from httpx_sse import EventSource
from pydantic import BaseModel

from ..errors import PoolError, changed, failure, message_of
from ..models import (
    FailedEvent,
    GapEvent,
    PlacedEvent,
    ProgressEvent,
    QueuedEvent,
    ResultEvent,
    StderrEvent,
    StdoutEvent,
)
from .faults import TRANSPORT_ERRORS
from .json_text import parsed, too_deep

#: 128 Mi characters: more than a result of 16 MiB in which every byte is escaped.
_MAX_EVENT = 134_217_728
#: A server that is no member may send any id.
_ID = re.compile(r"[0-9]{1,15}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

#: An event of a child. `id` is its number in the child's log, from 1 on; `queued` has none.
PoolEvent = Union[
    QueuedEvent,
    PlacedEvent,
    StdoutEvent,
    StderrEvent,
    ProgressEvent,
    GapEvent,
    ResultEvent,
    FailedEvent,
]

#: The events that this version knows. It skips those of a newer member.
_KNOWN: Dict[str, Type[BaseModel]] = {
    "queued": QueuedEvent,
    "placed": PlacedEvent,
    "stdout": StdoutEvent,
    "stderr": StderrEvent,
    "progress": ProgressEvent,
    "gap": GapEvent,
    "result": ResultEvent,
    "failed": FailedEvent,
}
#: The types that have to be readable: those above, those of a wait, and no type at all.
_READ = {*_KNOWN, "granted", "message"}


def is_terminal(event: PoolEvent) -> bool:
    """Whether the event ends its stream."""
    return isinstance(event, (ResultEvent, FailedEvent))


def output_bytes(event: Union[StdoutEvent, StderrEvent]) -> bytes:
    """The bytes of a `stdout` or `stderr` event, whichever encoding it has.

    Example:
        >>> for event in pool.stream("pipeline", ["date"]):
        ...     if event.type == "stdout":
        ...         sys.stdout.buffer.write(output_bytes(event))
    """
    if event.base64 is not None:
        return base64.b64decode(event.base64)
    return (event.text or "").encode("utf-8", "replace")


class _Heard:
    """The text of an answer for the reader of events, with bounds in bytes and in time."""

    def __init__(self, response: httpx.Response, until: Optional[float]) -> None:
        self.headers = response.headers
        #: Characters since the last event.
        self.held = 0
        self._response = response
        self._until = until
        response.encoding = "utf-8"

    async def aiter_text(self) -> AsyncIterator[str]:
        async for text in self._response.aiter_text():
            self.held += len(text)
            if self.held > _MAX_EVENT:
                raise ValueError(f"expected events of at most {_MAX_EVENT} characters")
            if self._until is not None and time.monotonic() > self._until:
                raise ValueError("no terminal event came in 30 seconds after the deadline")
            yield text


async def read_data(
    response: httpx.Response, until: Optional[float] = None
) -> AsyncIterator[Dict[str, Any]]:
    """The data of each event as JSON, with the `id` of an event that has one of its own.

    An event of a type that this version does not know is skipped where it cannot be read.

    Args:
        until: the time of `time.monotonic()` after which the stream is lost. Default: never.
    """
    heard = _Heard(response, until)
    last = ""
    source = EventSource(cast(httpx.Response, heard)).aiter_sse()
    try:
        async for message in source:
            heard.held = 0
            if not message.data:
                continue
            try:
                data = parsed(message.data)
                if not isinstance(data, dict):
                    raise ValueError(f"expected an event; got {message.data[:200]}")
            except (PoolError, ValueError):
                if message.event in _READ:
                    raise
                continue
            # The reader repeats the last id for events without one.
            if message.id != last and _ID.fullmatch(message.id):
                data["id"] = int(message.id)
            last = message.id
            yield data
    finally:
        await source.aclose()
        await response.aclose()


async def read_events(
    response: httpx.Response, until: Optional[float] = None
) -> AsyncIterator[PoolEvent]:
    """The events of an answer up to and including the terminal one. It closes the answer.

    Raises:
        PoolError: `member_lost` when the stream is cut before its terminal event;
            `payload_too_large` for an event that nests too deeply to be read.
    """
    # The events of a child have ids, and those of a wait have none.
    admitted: Union[bool, str] = "unknown"
    lost = "the stream ended before its terminal event"
    cause: Optional[BaseException] = None
    reading = read_data(response, until)
    try:
        async for data in reading:
            if "id" in data:
                admitted = True
            event = event_of(data)
            if event is None:
                continue
            yield event
            if is_terminal(event):
                return
    except (*TRANSPORT_ERRORS, ValueError) as error:
        cause = error
        lost = f"the stream was cut before its terminal event: {message_of(error)}"
    except PoolError as error:
        raise changed(error, admitted=admitted) from error
    finally:
        await reading.aclose()  # type: ignore[attr-defined]
    raise failure("member_lost", lost, admitted=admitted) from cause


def event_of(data: Dict[str, Any]) -> Optional[PoolEvent]:
    """The event of the contract; None for one that this version does not know.

    Raises:
        ValueError: for an event that lacks what its reader needs.
        PoolError: `payload_too_large` for one that nests too deeply.
    """
    model = _KNOWN.get(str(data.get("type")))
    if model is None:
        return None
    # A gateway of another version may not have asked for long lines.
    if data.get("partial"):
        raise ValueError("expected a whole event; got a part of it")
    try:
        return cast(PoolEvent, model.model_validate(_speakable(data)))
    except RecursionError as error:
        raise too_deep() from error


def _speakable(data: Dict[str, Any]) -> Dict[str, Any]:
    """The same data, in which U+FFFD replaces half surrogates. A function's value keeps them."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return _LONE_SURROGATE.sub("\ufffd", value)
        if isinstance(value, dict):
            return {clean(key): clean(each) for key, each in value.items()}
        return [clean(each) for each in value] if isinstance(value, list) else value

    return {key: each if key == "value" else clean(each) for key, each in data.items()}


class Whole:
    """Watches the events of a call whose caller needs all of the output."""

    def __init__(self) -> None:
        self._dropped = 0

    def take(self, event: PoolEvent) -> None:
        """Takes each event.

        Raises:
            PoolError: `events_expired` at a result behind lost output.
        """
        if isinstance(event, GapEvent):
            self._dropped += event.dropped_bytes
        if isinstance(event, ResultEvent) and self._dropped > 0:
            raise failure(
                "events_expired",
                f"the child has ended, and {self._dropped} bytes of its output were lost when "
                "the connection was cut",
            )
