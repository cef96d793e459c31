"""Asks several members for their load, without waiting for the slow ones."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Awaitable, Callable, Dict, List, Optional, Sequence, Set, Tuple

from ..members import Member
from .beliefs import Load
from .health import Health

#: 0.1 s: a load that comes later counts as a failure of the member.
_SLOW_SECONDS = 0.1
#: Once half of the members have answered, the others have as much time again, at least 10 ms.
_HEDGE_SECONDS = 0.01


@dataclass(frozen=True)
class Probing:
    """The way to ask members, and their health."""

    probe: Callable[[Member], Awaitable[Load]]
    health: Health


class ProbeRound:
    """One question to several members at once."""

    def __init__(self, members: Sequence[Member], seconds: float, ports: Probing) -> None:
        self._ports = ports
        self._until = time.monotonic() + seconds
        self._pending: Dict[asyncio.Future[Load], Member] = {
            asyncio.ensure_future(self._probe(each)): each for each in members
        }
        #: The error of the last member that failed.
        self.last_error: Optional[BaseException] = None

    async def answers(self, is_late: bool) -> List[Tuple[Member, Load]]:
        """The answers of the quick members, in random order; then those that come later."""
        started = time.monotonic()
        count = len(self._pending)
        done: Set[asyncio.Future[Load]] = set()
        until = self._until
        while len(done) < count and time.monotonic() < until:
            waiting = self._pending.keys() - done
            finished, _ = await asyncio.wait(
                waiting,
                timeout=until - time.monotonic(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            done |= finished
            has_free = any(each.exception() is None and each.result().is_free for each in done)
            if not is_late and has_free and 2 * len(done) >= count:
                now = time.monotonic()
                until = min(until, now + max(_HEDGE_SECONDS, now - started))
                is_late = True
        loads: List[Tuple[Member, Load]] = []
        for probe in done:
            member = self._pending.pop(probe)
            error = probe.exception()
            if error is None:
                loads.append((member, probe.result()))
            else:
                self.last_error = error
        random.shuffle(loads)
        return loads

    def close(self) -> List[str]:
        """Asks no longer. Returns the names of the members that did not answer."""
        for probe in self._pending:
            if probe.done():
                # An error that nobody looks at would be logged.
                probe.exception()
            else:
                probe.cancel()
        return [member.name for member in self._pending.values()]

    async def _probe(self, member: Member) -> Load:
        started = time.monotonic()
        answers = self._ports.health.answers
        try:
            load = await self._ports.probe(member)
            is_well = True
            return load
        except asyncio.CancelledError:
            # A caller that leaves early ends its questions.
            is_well = True
            raise
        except BaseException:
            is_well = False
            raise
        finally:
            if is_well and time.monotonic() - started <= _SLOW_SECONDS:
                answers.worked(member.name)
            else:
                answers.failed(member.name)
