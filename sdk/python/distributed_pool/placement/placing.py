"""One child's way to a member: it asks the members of the pool itself, without a gateway."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Dict, Optional, Protocol, Sequence, Tuple

import httpx

from ..errors import CapacityError, PoolError, failure
from ..http.client import Client
from ..http.send import Deadline
from .access import Placing
from .choice.health import SICK, Health
from .choice.known_loads import KnownLoads
from .member_client import UNFIT, Asked, about_caller, is_known_code, load_in, try_member
from .members import Member, Members, fitting, nobody_in
from .search import Admission, Ports, Search
from .waiting import Wait

#: The pause after a claim that failed, at first; the pauses double up to 1 second.
_FIRST_PAUSE = 0.02
_MAX_PAUSE = 1.0
_NOT_NOW = ("all_members_at_capacity", "no_members_available")


class Directory(Protocol):
    """The members of the pools, and the facts about each pool that its callers share."""

    client: Client
    members: Members

    def state(self, pool: str) -> Tuple[KnownLoads, Health]:
        """The known loads and the health of a pool's members."""


class Placement:
    """One child's way to a member. The deadline of the spec covers the wait for a slot."""

    def __init__(self, access: Directory, placing: Placing, is_call: bool) -> None:
        self._access = access
        self._placing = placing
        self._is_call = is_call
        self._spec = {key: each for key, each in placing.spec.items() if key != "waitMs"}
        self._deadline = Deadline(placing.spec.get("deadlineMs"))
        self._started = time.monotonic()
        #: The members that cannot serve this call, with their refusals.
        self._unfit: Dict[str, PoolError] = {}
        self.member: Optional[Member] = None

    async def run(self) -> httpx.Response:
        """Is admitted at once, or as soon as a slot is granted."""
        try:
            wait_ms = self._placing.spec.get("waitMs") or 0
            return await (self._wait(wait_ms) if wait_ms > 0 else self._keyed())
        except PoolError as error:
            refusal = about_caller(error.__cause__)
            if refusal is None:
                raise
            raise refusal from error

    async def _candidates(self) -> Sequence[Member]:
        members = await self._access.members.in_pool(self._placing.pool)
        fit = fitting(self._placing.pool, self._spec, members)
        others = [each for each in fit if each.name not in self._unfit]
        if fit and not others:
            raise next(iter(self._unfit.values()))
        return others

    async def _try_now(self) -> httpx.Response:
        members = await self._candidates()
        if not members:
            raise await nobody_in(self._placing.pool, self._access.members)
        known, health = self._access.state(self._placing.pool)

        async def probe(member: Member) -> Any:
            return await load_in(self._access.client, member, self._placing.pool)

        ports = Ports(probe=probe, admit=self._admit, known=known, health=health)
        return await Search(self._placing.pool, members, ports).place()

    async def _keyed(self) -> httpx.Response:
        """The child that a key has started needs no slot, so any member of a full pool has it."""
        try:
            return await self._try_now()
        except CapacityError:
            members = await self._candidates()
            if "idempotencyKey" not in self._spec or not members:
                raise
            admission = await self._admit(random.choice(members))
            if admission.admitted is None:
                raise
            return admission.admitted

    async def _admit(self, member: Member, slot: Optional[str] = None) -> Admission:
        if self._deadline.passed:
            raise failure("deadline_exceeded", "the deadline passed before a member admitted")
        # The member may have begun to leave, and a request to a port that closes could get lost.
        listed = await self._access.members.in_pool(self._placing.pool)
        if all(each.name != member.name for each in listed):
            return Admission(unreachable=Exception(f"member {member.name} has left the pool"))
        if member.name in self._unfit:
            return Admission(unreachable=self._unfit[member.name])
        waited = int((time.monotonic() - self._started) * 1000) if slot is not None else 0
        asked = Asked(
            pool=self._placing.pool,
            spec={**self._spec, **self._deadline.for_spec},
            is_call=self._is_call,
            parts=self._placing.parts,
            slot=slot,
            waited_ms=waited,
        )
        known, health = self._access.state(self._placing.pool)
        try:
            admission = await try_member(self._access.client, member, asked)
        except PoolError as error:
            if error.code in SICK:
                health.starts.failed(member.name)
            raise
        if admission.load is not None:
            known.note(member.name, admission.load, time.monotonic())
        if admission.admitted is not None:
            health.starts.worked(member.name)
            self.member = member
        elif admission.unreachable is not None:
            self._note(member, admission.unreachable, health)
        if self._unfit and admission.admitted is None:
            await self._candidates()
        return admission

    def _note(self, member: Member, why: BaseException, health: Health) -> None:
        if not isinstance(why, PoolError) or why.code in SICK:
            health.starts.failed(member.name)
        # A code of a newer member may mean that it cannot serve the call.
        if isinstance(why, PoolError) and (why.code in UNFIT or not is_known_code(why.code)):
            self._unfit[member.name] = why

    async def _wait(self, wait_ms: float) -> httpx.Response:
        until = self._started + min(wait_ms, self._deadline.remaining_ms) / 1000
        wait = Wait(self._access.client, self._placing.pool, self._spec.get("sandbox"))
        failures = 0
        while True:
            try:
                return await self._keyed()
            except PoolError as error:
                members = [] if error.code not in _NOT_NOW else await self._candidates()
                if not members:
                    raise
            if time.monotonic() >= until:
                raise self._timeout(wait_ms)
            granted = await wait.first(members, until, self._placing.on_position)
            if granted is not None:
                try:
                    admission = await self._admit(granted.member, granted.slot)
                finally:
                    await granted.release()
                if admission.admitted is not None:
                    return admission.admitted
            pause = min(_MAX_PAUSE, _FIRST_PAUSE * 2**failures) * (0.5 + random.random())
            await asyncio.sleep(max(0.0, min(pause, until - time.monotonic())))
            failures += 1

    def _timeout(self, wait_ms: float) -> PoolError:
        if self._deadline.passed:
            return failure("deadline_exceeded", "the deadline passed before a member admitted")
        detail = f"no slot of pool {self._placing.pool} came free in {wait_ms:g} ms"
        return failure("queue_timeout", detail)
