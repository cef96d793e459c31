"""A caller's wait for a slot at several members at once: the first one that grants is taken."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from ..errors import PoolError
from ..http.client import Client
from ..http.faults import TRANSPORT_ERRORS
from .choice.beliefs import Load
from .member_client import load_in, slot_events
from .members import Member

#: In a pool of up to 5 members, a caller waits at all of them; in a larger one, at 2.
_WAIT_AT_ALL_UP_TO = 5
_WAIT_AT = 2
_PROBE_SECONDS = 0.25

OnPosition = Callable[[int], None]


class Granted:
    """A slot that a member holds for the caller until `release`."""

    def __init__(self, member: Member, slot: str, waits: "List[asyncio.Task[None]]") -> None:
        self.member = member
        self.slot = slot
        self._waits = waits

    async def release(self) -> None:
        """Leaves the queues. A slot that was not taken goes back."""
        for wait in self._waits:
            wait.cancel()
        await asyncio.gather(*self._waits, return_exceptions=True)


class Wait:
    """One wait of one caller, in the queues of members of a pool."""

    def __init__(self, client: Client, pool: str, sandbox: Optional[str]) -> None:
        self._client = client
        self._wanted: Dict[str, Any] = {"pool": pool}
        if sandbox is not None:
            self._wanted["sandbox"] = sandbox
        self._pool = pool
        self._positions: Dict[str, int] = {}

    async def first(
        self, members: Sequence[Member], until: float, on_position: OnPosition
    ) -> Optional[Granted]:
        """The first slot that a member grants; None when none came in time, or all refuse."""
        chosen = await self._chosen(members)
        granted: "asyncio.Queue[Tuple[Member, str]]" = asyncio.Queue()
        wait_ms = max(1, int((until - time.monotonic()) * 1000))
        wanted = {**self._wanted, "waitMs": wait_ms}

        async def at(member: Member) -> None:
            events = slot_events(self._client, member, wanted)
            try:
                async for event in events:
                    if event.get("type") == "granted":
                        granted.put_nowait((member, str(event["slot"]["id"])))
                    elif event.get("type") == "queued":
                        self._positions[member.name] = int(event["position"])
                        on_position(min(self._positions.values()))
            except (PoolError, ValueError, KeyError, *TRANSPORT_ERRORS):
                # Another member may grant a slot.
                pass
            finally:
                await events.aclose()  # type: ignore[attr-defined]

        waits = [asyncio.ensure_future(at(member)) for member in chosen]
        got = asyncio.ensure_future(granted.get())
        result: Optional[Granted] = None
        try:
            ends = asyncio.gather(*waits)
            left = max(0.0, until - time.monotonic())
            both: "Set[asyncio.Future[Any]]" = {got, ends}
            await asyncio.wait(both, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if got.done():
                member, slot = got.result()
                result = Granted(member, slot, waits)
        finally:
            got.cancel()
            if result is None:
                await Granted(members[0], "", waits).release()
        return result

    async def _chosen(self, members: Sequence[Member]) -> Sequence[Member]:
        if len(members) <= _WAIT_AT_ALL_UP_TO:
            return members
        sample = random.sample(members, _WAIT_AT_ALL_UP_TO)

        async def demand(member: Member) -> Tuple[float, Member]:
            try:
                asking = load_in(self._client, member, self._pool)
                load = await asyncio.wait_for(asking, _PROBE_SECONDS)
            except (PoolError, *TRANSPORT_ERRORS):
                load = Load(1, 1, 1_000)
            return (load.active + load.queued) / max(1, load.max), member

        demands = await asyncio.gather(*map(demand, sample))
        return [member for _, member in sorted(demands, key=lambda each: each[0])[:_WAIT_AT]]
