"""Placement: choosing a member of a pool and being admitted by it.

It tries the least loaded of the members whose load it knows. Where it knows none, or all refuse,
it asks a random sample for their load, and tries them from the least loaded on. Sick members come
last. The member's own admission is the only truth. When each member of a sample refuses, a larger
sample of the others is asked, until none is left.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Awaitable, Callable, Iterator, List, Optional, Sequence, Set, Tuple

import httpx

from ..errors import PoolError, failure, message_of
from .choice.beliefs import Load
from .choice.known_loads import KnownLoads
from .choice.probes import ProbeRound, Probing
from .members import Member

#: In a pool of up to 20 members, all are asked at once; of a larger one, 5 at first.
_ASK_ALL_UP_TO = 20
_SAMPLE = 5
#: Each further sample is 4 times as large as the last one.
_GROWTH = 4
#: 3 passes over the members, because slots come free and are taken during one pass.
_PASSES = 3
#: 3 members that are known at most refuse a caller, before it asks.
_KNOWN_TRIES = 3
#: 0.25 s for a member to tell its load; 2 s for a slow one, when no other member admits.
_PROBE_SECONDS = 0.25
_PATIENT_SECONDS = 2.0


@dataclass(frozen=True)
class Admission:
    """The outcome of one try to be admitted: admitted, full, or nothing was run."""

    admitted: Optional[httpx.Response] = None
    full: bool = False
    #: Why a member with free slots admits nothing, such as a drain.
    closed: Optional[PoolError] = None
    unreachable: Optional[BaseException] = None
    load: Optional[Load] = None


@dataclass(frozen=True)
class Ports(Probing):
    """The ways in which one search asks members."""

    #: Raises only when the member may have admitted: such a try is never repeated elsewhere.
    admit: Callable[[Member], Awaitable[Admission]]
    known: KnownLoads


class Search:
    """One caller's tries to be admitted."""

    def __init__(self, pool: str, members: Sequence[Member], ports: Ports) -> None:
        self._pool = pool
        self._members = members
        self._by_name = {each.name: each for each in members}
        self._ports = ports
        self._full = 0
        self._closed: Optional[PoolError] = None
        self._last_error: Optional[BaseException] = None
        self._slow: Set[str] = set()
        #: The best member that is known, where asking others is likely to pay.
        self._busy: Optional[Tuple[Member, Load]] = None

    async def place(self) -> httpx.Response:
        """Finds the least loaded member that admits.

        Raises:
            PoolError: `no_members_available` when none answers; `all_members_at_capacity`;
                `member_lost` when a member was lost while it may have admitted.
        """
        found = await self._try_known()
        for number in range(_PASSES):
            if found is not None:
                return found
            found = await self._pass(number)
        if found is not None:
            return found
        count = len(self._members)
        detail = f"all {count} members are at capacity"
        if self._closed is not None:
            detail = f"none of {count} members admits: {self._closed.detail}"
        error = failure("all_members_at_capacity", f"pool {self._pool}: {detail}")
        raise error from self._closed

    async def _pass(self, number: int) -> Optional[httpx.Response]:
        count = len(self._members)
        # The first pass leaves no member out.
        enough = count if number == 0 else min(count, _ASK_ALL_UP_TO)
        if number > 0:
            self._full = 0
        asked = 0
        for batch in self._batches(count if count <= _ASK_ALL_UP_TO else _SAMPLE):
            found = await self._try_each(batch, _PROBE_SECONDS, is_sample=True)
            asked += len(batch)
            if found is not None:
                return found
            if asked >= enough:
                break
        # A slow member is not lost. When no other one admits, it gets a longer wait, once.
        if number == 0 and self._slow:
            slow = [self._by_name[name] for name in self._slow]
            found = await self._try_each(slow, _PATIENT_SECONDS)
            if found is not None:
                return found
        if self._full == 0:
            raise self._none_answers()
        return None

    def _none_answers(self) -> PoolError:
        count = len(self._members)
        tried = f"none of its {count} members answers"
        if count == 1:
            tried = "its one member does not answer"
        why = "" if self._last_error is None else f": {message_of(self._last_error)}"
        error = failure("no_members_available", f"pool {self._pool}: {tried}{why}")
        error.__cause__ = self._last_error
        return error

    async def _try_known(self) -> Optional[httpx.Response]:
        """Tries members that are known. It asks none of them, or two whose loads are old."""
        tried: Set[str] = set()

        def may_try(member: Member) -> bool:
            return member.name not in tried and self._ports.health.may_try(member)

        known = self._ports.known
        while len(tried) < _KNOWN_TRIES:
            choice = known.choose(self._by_name, time.monotonic(), may_try)
            if choice is None:
                break
            member, load, is_busy = choice
            if is_busy:
                self._busy = (member, load)
                return None
            tried.add(member.name)
            found = await self._try(member)
            if found is not None:
                return found
        older = known.older(self._by_name, time.monotonic(), may_try)
        if older is None:
            return None
        # One of two that hangs delays nobody.
        others = [each for each in self._members if each is not older and may_try(each)]
        pair = [older, random.choice(others)] if others else [older]
        return await self._try_each(pair, _PROBE_SECONDS)

    async def _try_each(
        self, candidates: Sequence[Member], seconds: float, is_sample: bool = False
    ) -> Optional[httpx.Response]:
        """Asks the candidates for their load, and tries them from the least loaded on."""
        round = ProbeRound(candidates, seconds, self._ports)
        try:
            for is_late in (False, True):
                loads = await round.answers(is_late)
                for member, load in loads:
                    self._ports.known.note(member.name, load, time.monotonic())
                if is_sample:
                    self._ports.known.note_sample([each for _, each in loads], time.monotonic())
                free = [(member, load) for member, load in loads if load.is_free]
                self._full += len(loads) - len(free)
                busy, self._busy = self._busy, None
                if busy is not None and busy[0] not in candidates:
                    free.append(busy)
                for member, _ in sorted(free, key=lambda each: each[1].ratio):
                    found = await self._try(member)
                    if found is not None:
                        return found
        finally:
            self._slow.update(round.close())
            self._last_error = round.last_error or self._last_error
        return None

    async def _try(self, member: Member) -> Optional[httpx.Response]:
        known = self._ports.known
        known.sent(member.name, time.monotonic())
        admission: Optional[Admission] = None
        try:
            admission = await self._ports.admit(member)
        finally:
            admitted = admission is not None and admission.admitted is not None
            load = None if admission is None else admission.load
            known.answered(member.name, admitted, load, time.monotonic())
        if admission.full:
            self._full += 1
            self._closed = admission.closed or self._closed
        elif admission.unreachable is not None:
            self._last_error = admission.unreachable
        return admission.admitted

    def _batches(self, size: int) -> Iterator[List[Member]]:
        """The members in random order, in growing batches. Sick ones come when no other is left."""
        order = random.sample(self._members, len(self._members))
        sick = [each for each in order if not self._ports.health.may_try(each)]
        well = [each for each in order if each not in sick]
        for group in (well, sick):
            start, count = 0, size
            while start < len(group):
                yield group[start : start + count]
                start, count = start + count, count * _GROWTH
