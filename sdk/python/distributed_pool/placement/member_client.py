"""The questions that placement asks one member, and the meaning of its refusals."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Dict, List, Optional, Union

import httpx

from ..calls.values import json_bytes
from ..errors import PoolError, failure, message_of
from ..http.client import EVENTS, JSON, Client, Request
from ..http.events import read_data
from ..http.faults import TRANSPORT_ERRORS, never_sent
from ..http.send import Deadline, Posting, Spec, post_spec
from ..models import known_codes
from .choice.beliefs import LOAD_HEADER, Load, load_of
from .members import Member
from .search import Admission

#: 10 seconds for an admission; a member that says nothing for this long is lost.
_ADMIT_SECONDS = 10.0
#: A try whose answer was lost is sent again 3 times within that time, first after 50 ms.
_REPEATS = 3
_FIRST_PAUSE = 0.05
#: Refusals of a member that lacks the task or the runtime, or cannot start the child.
UNFIT = frozenset({"task_not_found", "runtime_not_found", "sandbox_unavailable"})
#: Refusals that concern the caller, who gets one when no member answers better.
_ABOUT_CALLER = UNFIT | {"unauthorized", "forbidden", "too_many_requests", "overloaded"}
#: Refusals of a member that has no slot to give now.
_FULL = frozenset({"at_capacity", "draining", "fenced"})
#: Refusals after which another member is tried, beside those that say that nothing was run.
_ELSEWHERE = UNFIT | _FULL | {"slot_not_found", "pool_not_found"}


@dataclass(frozen=True)
class Asked:
    """One try to be admitted: the spec, with what remains of its deadline."""

    pool: str
    spec: Spec
    #: Whether the child is that of a call, or lives on its own.
    is_call: bool = True
    parts: List[Any] = field(default_factory=list)
    #: A slot that the member granted, and the milliseconds for which the caller waited for it.
    slot: Optional[str] = None
    waited_ms: int = 0


def is_known_code(code: str) -> bool:
    """Whether this version knows the code."""
    return code in known_codes


def about_caller(error: Optional[BaseException]) -> Optional[PoolError]:
    """The error itself, if it is a refusal that concerns the caller."""
    if not isinstance(error, PoolError):
        return None
    is_it = error.code in _ABOUT_CALLER or not is_known_code(error.code)
    return error if is_it else None


async def load_in(client: Client, member: Member, pool: str) -> Load:
    """The member's load in the pool.

    Raises:
        PoolError: `pool_not_found`; `member_lost`.
    """
    request = Request(member=member.name)
    counted = await client.json(f"{member.url}/children/count", request, "pools")
    try:
        load = counted["pools"][pool]
        return Load(int(load["active"]), int(load["max"]), int(load.get("queued", 0)))
    except (TypeError, KeyError, ValueError):
        detail = f"member {member.name} does not serve pool {pool}"
        raise failure("pool_not_found", detail) from None


async def try_member(client: Client, member: Member, asked: Asked) -> Admission:
    """Asks one member to admit the child: the only step that can start it.

    Raises:
        PoolError: a refusal that another member would repeat; `member_lost` when the member was
            lost while it may have admitted.
    """
    try:
        answer = await _until_answered(client, member, asked)
    except TRANSPORT_ERRORS as error:
        if never_sent(error):
            return Admission(unreachable=error)
        detail = f"member {member.name} was lost while it may have admitted the child"
        lost = failure("member_lost", f"{detail}: {message_of(error)}", admitted="unknown")
        raise lost from error
    if not isinstance(answer, PoolError):
        return Admission(admitted=answer, load=load_of(answer.headers.get(LOAD_HEADER)))
    told = answer.problem.load
    load = None if told is None else Load(told.active, told.max, told.queued)
    if answer.code == "at_capacity":
        return Admission(full=True, load=load)
    if answer.code in _FULL:
        return Admission(full=True, closed=answer, load=load)
    may_run = answer.problem.admitted is True or answer.problem.admitted == "unknown"
    is_other = answer.admitted is False or answer.code in _ELSEWHERE
    # A code of a newer member says nothing, but a refused admission runs nothing.
    if not may_run and (is_other or not is_known_code(answer.code)):
        return Admission(unreachable=answer)
    raise answer


async def _until_answered(
    client: Client, member: Member, asked: Asked
) -> Union[httpx.Response, PoolError]:
    """A try whose answer was lost is sent again, to the same process.

    The process remembers the request. It answers with the child that the first one started, or
    starts it.
    """
    url = f"{member.url}/{'call' if asked.is_call else 'children'}"
    deadline = Deadline(asked.spec.get("deadlineMs"))
    until = Deadline(_ADMIT_SECONDS * 1000)
    request_id = uuid.uuid4()
    lost: Optional[BaseException] = None
    attempt = 0
    while True:
        spec = {"pool": asked.pool, **asked.spec, **(deadline.for_spec if attempt > 0 else {})}
        if asked.slot is not None:
            spec["slot"] = asked.slot
        headers: Dict[str, str] = {}
        if asked.waited_ms > 0:
            headers["pool-waited-ms"] = str(asked.waited_ms)
        if member.boot is not None:
            headers["pool-request-id"] = f"{member.boot}.{request_id}.{attempt}"
        posting = Posting(
            spec,
            accept=EVENTS if asked.is_call else JSON,
            parts=asked.parts,
            headers=headers,
            member=member.name,
            seconds=max(0.001, until.remaining_ms / 1000),
        )
        try:
            return await post_spec(client, url, posting)
        except (PoolError, *TRANSPORT_ERRORS) as error:
            # A refused connection says nothing about the try before.
            if attempt == 0 and (isinstance(error, PoolError) or never_sent(error)):
                raise
            lost = lost or error
        pause = _FIRST_PAUSE * 2**attempt
        if attempt == _REPEATS or pause * 1000 >= until.remaining_ms or member.boot is None:
            raise lost
        await asyncio.sleep(pause)
        attempt += 1


async def slot_events(
    client: Client, member: Member, wanted: Dict[str, Any]
) -> AsyncIterator[Dict[str, Any]]:
    """The events of a wait in the member's queue. A slot is held until the stream is closed."""
    request = Request(method="POST", accept=EVENTS, data=json_bytes(wanted), member=member.name)
    response = await client.send(f"{member.url}/slots", request)
    if response.status_code != 200:
        raise await client.problem(response)
    async with contextlib.AsyncExitStack() as stack:
        events = read_data(response)
        stack.push_async_callback(events.aclose)  # type: ignore[attr-defined]
        async for event in events:
            yield event
