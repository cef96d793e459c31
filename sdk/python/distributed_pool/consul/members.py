"""The members of pools as Consul lists them, with one watch per pool that is asked for."""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Dict, List, Optional, Sequence

import httpx

from ..errors import PoolError, failure, message_of
from ..placement.members import NAME, Member, is_readable
from .client import READING, ConsulClient

#: 5 seconds for the first list to arrive.
_FIRST_LIST_SECONDS = 5.0
#: 15 seconds, the TTL of a member's check. When Consul is back, a member that is missing stays on
#: the list for this long, because it may be about to register again.
_SETTLE_SECONDS = 15.0
#: The pause before a failed watch starts again: 0.1 s at first, doubled up to 2 s.
_RETRY_MIN = 0.1
_RETRY_MAX = 2.0
#: 1 second passes behind an answer that Consul may repeat at once.
_AGAIN_SECONDS = 1.0


class _Watch:
    """One watch, which keeps the last good list while Consul is away."""

    def __init__(self, consul: ConsulClient, expression: Optional[str]) -> None:
        self._consul = consul
        self._expression = expression
        self.members: Optional[List[Member]] = None
        self._error: Optional[BaseException] = None
        self._first = asyncio.Event()
        self.task = asyncio.ensure_future(self._run())

    async def listed(self) -> List[Member]:
        """The members, passing or not.

        Raises:
            PoolError: without a list: Consul's refusal; `no_members_available` while it is away.
        """
        if self.members is None:
            try:
                await asyncio.wait_for(self._first.wait(), _FIRST_LIST_SECONDS)
            except asyncio.TimeoutError:
                pass
        if self.members is not None:
            return self.members
        if isinstance(self._error, PoolError):
            raise self._error
        why = f"no answer in {_FIRST_LIST_SECONDS:g} s"
        if self._error is not None:
            why = message_of(self._error)
        raise failure("no_members_available", f"Consul has not answered yet: {why}")

    async def _run(self) -> None:
        index: Optional[str] = None
        pause = _RETRY_MIN
        #: Members that went missing while Consul was away, until this time.
        missing: Dict[str, Member] = {}
        missing_until = 0.0
        while True:
            try:
                found, answered = await self._consul.members(self._expression, index)
                has_grown = int(answered) > int(index or 0)
                index = _following(answered, index)
                # Consul shows an empty list to a token that may not read it.
                refusal = None if found else await self._consul.refusal()
                if refusal is not None:
                    raise refusal
                if self._error is not None and self.members is not None:
                    missing = {each.name: each for each in self.members}
                    missing_until = time.monotonic() + _SETTLE_SECONDS
                    index = None
                self._error, pause = None, _RETRY_MIN
                names = {each.name for each in found}
                settling = time.monotonic() < missing_until
                kept = [each for each in missing.values() if settling and each.name not in names]
                self.members = [*found, *kept]
                self._first.set()
                if kept:
                    # The list is asked for again soon, because the missing ones leave it.
                    index = None
                if kept or not has_grown:
                    await asyncio.sleep(_AGAIN_SECONDS)
            except Exception as error:
                self._error = await self._behind(error)
                if isinstance(self._error, PoolError):
                    self._first.set()
                index = None
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_MAX)

    async def _behind(self, error: Exception) -> Exception:
        """The refusal behind an error of Consul's; the error itself for another one."""
        if not isinstance(error, httpx.HTTPStatusError) or error.response.status_code != 403:
            return error
        try:
            refusal = await self._consul.refusal()
        except Exception:
            refusal = None
        return refusal or failure("forbidden", f"{READING}: {error.response.text[:200]}")


def _following(answered: str, asked: Optional[str]) -> Optional[str]:
    """The index for the next question; None where Consul's went back or is 0."""
    return answered if int(answered) >= max(1, int(asked or 0)) else None


class ConsulMembers:
    """The members in Consul, less those that may not be asked."""

    def __init__(self, consul: ConsulClient, refused: Callable[[Member], Optional[str]]) -> None:
        self._consul = consul
        #: Why a member is not asked; None for one that is.
        self._refused = refused
        self._watches: Dict[str, _Watch] = {}

    async def in_pool(self, pool: str) -> Sequence[Member]:
        if not NAME.fullmatch(pool):
            expected = "expected a pool name: 1 to 63 of A-Z a-z 0-9 _ -"
            raise failure("invalid_request", f"{expected}; got {pool!r}")
        watch = self._watches.get(pool)
        if watch is None:
            watch = _Watch(self._consul, f'"{pool}" in Service.Tags')
            self._watches[pool] = watch
        listed = await watch.listed()
        return [each for each in listed if each.passing and self._refused(each) is None]

    async def registered(self) -> Sequence[Member]:
        return await self._once(None)

    async def find(self, name: str) -> Optional[Member]:
        for watch in self._watches.values():
            for member in watch.members or []:
                if member.name == name:
                    return self._trusted(member)
        found = await self._once(f'Service.Meta.member == "{name}"')
        return self._trusted(found[0]) if found else None

    async def aclose(self) -> None:
        tasks = [watch.task for watch in self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._consul.aclose()

    async def _once(self, expression: Optional[str]) -> List[Member]:
        try:
            found, _ = await asyncio.wait_for(self._consul.members(expression), _FIRST_LIST_SECONDS)
            refusal = None if found else await self._consul.refusal()
        except (httpx.HTTPError, asyncio.TimeoutError, ValueError, KeyError) as error:
            detail = f"Consul does not answer: {message_of(error)}"
            raise failure("no_members_available", detail) from error
        if refusal is not None:
            raise refusal
        return found

    def _trusted(self, member: Member) -> Member:
        reason = self._refused(member)
        if reason is not None:
            raise failure("member_lost", reason, admitted="unknown")
        return member


def trust(https_only: bool, insecure: bool) -> Callable[[Member], Optional[str]]:
    """The rule for which members may be asked: no token goes over the network in clear."""

    def refused(member: Member) -> Optional[str]:
        start = f"member {member.name} is registered with {member.url}, and is not asked"
        if https_only and not member.url.startswith("https:"):
            return f"{start}: expected https, because TLS is configured"
        if not insecure and is_readable(member.url):
            return f"{start}: expected https or a loopback address; see insecure"
        return None

    return refused
