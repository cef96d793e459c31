"""Access to pools without a gateway: from a watched list of members, each asked directly."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Awaitable, Callable, Dict, List, Optional, Tuple

from ..errors import PoolError, failure, message_of
from ..http.client import Client, Request, json_of
from ..http.faults import TRANSPORT_ERRORS
from ..models import ChildReference, Pool, PoolChildList, PoolList
from .access import ChildFilter, Placed, Placing
from .choice.health import Health
from .choice.known_loads import KnownLoads
from .member_client import about_caller, load_in
from .members import Member, Members, nobody_in, owner_of
from .pages import PAGE_ENTRIES, all_pages
from .placing import Placement

#: 2 seconds for a member's part of a listing.
_LIST_SECONDS = 2.0


class DirectAccess:
    """The pools of the members in a registry."""

    asks_owners = True

    def __init__(self, client: Client, members: Members) -> None:
        self.client = client
        self.members = members
        self._states: Dict[str, Tuple[KnownLoads, Health]] = {}

    def state(self, pool: str) -> Tuple[KnownLoads, Health]:
        """The known loads and the health of a pool's members."""
        return self._states.setdefault(pool, (KnownLoads(), Health()))

    async def call(self, placing: Placing) -> Placed:
        placement = Placement(self, placing, is_call=True)
        response = await placement.run()
        known, _ = self.state(placing.pool)
        name = placement.member.name if placement.member is not None else ""
        return Placed(response, on_end=lambda: known.ended(name, time.monotonic()))

    async def place_child(self, placing: Placing) -> str:
        response = await Placement(self, placing, is_call=False).run()
        try:
            return str((await json_of(response, "id"))["id"])
        except (*TRANSPORT_ERRORS, ValueError) as error:
            detail = f"the answer of the member that admitted was cut: {message_of(error)}"
            raise failure("member_lost", detail, admitted=True) from error

    async def pools(self) -> PoolList:
        pools: Dict[str, List[int]] = {}
        for member in await self.members.registered():
            for pool, slots in member.pools.items() if member.passing else ():
                pools.setdefault(pool, []).append(slots)
        entries = [
            {"pool": pool, "members": len(slots), "max": sum(slots)}
            for pool, slots in sorted(pools.items())
        ]
        return PoolList.model_validate({"pools": entries})

    async def pool(self, pool: str) -> Pool:
        async def ask(member: Member) -> Any:
            load = await load_in(self.client, member, pool)
            tasks = await self._ask(member, f"/tasks?pool={pool}")
            return {"active": load.active, "max": load.max, "queued": load.queued}, tasks

        answers = await self._ask_all(pool, ask)
        members = [
            {
                "member": member.name,
                "url": member.url,
                "version": member.version,
                "sandbox": member.sandbox,
                "load": None if answer is None else answer[0],
            }
            for member, answer in answers
        ]
        found = [answer[1] for _, answer in answers if answer is not None]
        both = {
            key: sorted({name for tasks in found for name in tasks.get(key, [])})
            for key in ("tasks", "runtimes")
        }
        return Pool.model_validate({"pool": pool, "members": members, **both})

    async def children(self, pool: str, only: ChildFilter) -> PoolChildList:
        async def ask(member: Member) -> Any:
            async def read(cursor: Optional[str]) -> Any:
                query = only.query(pool=pool, limit=PAGE_ENTRIES, cursor=cursor)
                return await self._ask(member, f"/children{query}")

            return [entry async for page in all_pages(read) for entry in page["children"]]

        answers = await self._ask_all(pool, ask)
        children = [each for _, answer in answers for each in answer or []]
        children.sort(key=lambda each: (each["startedAt"], each["id"]))
        lost = [member.name for member, answer in answers if answer is None]
        return PoolChildList.model_validate({"children": children, "unreachable": lost})

    async def child_url(self, child: str) -> str:
        owner = owner_of(child)
        member = await self.members.find(owner)
        if member is None:
            detail = f"no member is called {owner}, so there is no child {child}"
            raise failure("child_not_found", detail)
        return f"{member.url}/children/{child}"

    def direct_url(self, child: ChildReference) -> Optional[str]:
        return None

    async def aclose(self) -> None:
        await self.members.aclose()

    async def _ask(self, member: Member, path: str) -> Any:
        return await self.client.json(f"{member.url}{path}", Request(member=member.name))

    async def _ask_all(
        self, pool: str, ask: Callable[[Member], Awaitable[Any]]
    ) -> List[Tuple[Member, Any]]:
        """The answer of every member of a pool; None for one that fails or is slow."""
        members = await self.members.in_pool(pool)
        if not members:
            raise await nobody_in(pool, self.members)

        async def one(member: Member) -> Any:
            try:
                return await asyncio.wait_for(ask(member), _LIST_SECONDS)
            except asyncio.TimeoutError:
                return None
            except PoolError as error:
                return error

        answers = await asyncio.gather(*map(one, members))
        if all(answer is None or isinstance(answer, PoolError) for answer in answers):
            for refusal in filter(None, map(about_caller, answers)):
                raise refusal
        return [
            (member, None if isinstance(answer, PoolError) else answer)
            for member, answer in zip(members, answers)
            if not (isinstance(answer, PoolError) and answer.code == "pool_not_found")
        ]
