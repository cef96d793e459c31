"""Sends a child spec. A source that has a hash is named by it, and sent where it is not known."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, AsyncIterator, Dict, List, Optional, Union

import httpx

from ..calls.values import json_bytes
from ..errors import PoolError, failure
from .client import ANSWER_SECONDS, EVENTS, Client, Request

Spec = Dict[str, Any]


class Deadline:
    """A time until which something may last. None is no limit."""

    def __init__(self, ms: Optional[float]) -> None:
        self._until = None if ms is None else time.monotonic() + ms / 1000

    @property
    def remaining_ms(self) -> float:
        if self._until is None:
            return float("inf")
        return max(0.0, (self._until - time.monotonic()) * 1000)

    @property
    def passed(self) -> bool:
        return self.remaining_ms <= 0

    @property
    def for_spec(self) -> Spec:
        """The rest as a key of a spec: whole milliseconds, at least 1."""
        if self._until is None:
            return {}
        return {"deadlineMs": max(1, int(self.remaining_ms))}


@dataclass(frozen=True)
class Posting:
    """A child spec on its way to one URL, which is one try to be admitted."""

    spec: Spec
    accept: str = EVENTS
    #: Files of the caller, as httpx has them. They travel beside the spec.
    parts: List[Any] = field(default_factory=list)
    headers: Dict[str, str] = field(default_factory=dict)
    member: Optional[str] = None
    seconds: float = ANSWER_SECONDS


async def post_spec(client: Client, url: str, posting: Posting) -> Union[httpx.Response, PoolError]:
    """Posts a child spec. Returns the open answer, or the problem in it.

    A member that lacks the source has run nothing and taken no slot. It is sent the whole spec,
    with the rest of the deadline.
    """
    spec = posting.spec
    function = spec.get("function")
    has_both = isinstance(function, dict) and {"source", "hash"} <= function.keys()
    # Parts may be far larger than any source, so a spec with parts is sent once, with its source.
    if not has_both or posting.parts:
        return await _post(client, url, posting)
    deadline = Deadline(spec.get("deadlineMs"))
    named = {key: value for key, value in spec["function"].items() if key != "source"}
    answer = await _post(client, url, replace(posting, spec={**spec, "function": named}))
    if not isinstance(answer, PoolError) or answer.code != "source_unknown":
        return answer
    if deadline.passed:
        detail = "the deadline passed before the source could be sent"
        return failure("deadline_exceeded", detail)
    return await _post(client, url, replace(posting, spec={**spec, **deadline.for_spec}))


async def _post(client: Client, url: str, posting: Posting) -> Union[httpx.Response, PoolError]:
    data = json_bytes(posting.spec)
    request = Request(
        method="POST",
        accept=posting.accept,
        headers=posting.headers,
        member=posting.member,
        seconds=posting.seconds,
    )
    if posting.parts:
        spec_part = ("spec", (None, data, "application/json"))
        request = replace(request, files=[spec_part, *posting.parts])
    else:
        request = replace(request, data=data)
    response = await client.send(url, request)
    return response if response.status_code < 300 else await client.problem(response)


async def write_stdin(
    client: Client, url: str, content: Union[bytes, AsyncIterator[bytes]], end: bool
) -> int:
    """Writes to the input of the child at the URL, no faster than the child reads.

    Returns:
        The number of bytes that the child's pipe has taken.

    Raises:
        PoolError: `stdin_closed` when the child takes no more.
    """
    # No limit: the child may leave its input unread for as long as it lives.
    request = Request(method="POST", content=content, seconds=None)
    query = "true" if end else "false"
    try:
        return int((await client.json(f"{url}/stdin?end={query}", request, "bytes"))["bytes"])
    finally:
        if not isinstance(content, bytes):
            await content.aclose()  # type: ignore[attr-defined]


async def stop_after_lost_input(client: Client, url: str) -> None:
    """Stops a child that cannot get the rest of its input."""
    try:
        await client.json(url, Request(method="DELETE"))
    except PoolError:
        pass
