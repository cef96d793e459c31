"""Access to pools through one member, the gateway, which places and forwards."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional
from urllib.parse import urlsplit

import httpx

from ..errors import PoolError, failure, message_of
from ..http.client import EVENTS, JSON, Client, Request, json_of
from ..http.faults import TRANSPORT_ERRORS, never_sent, no_answer
from ..http.send import Posting, post_spec
from ..models import ChildReference, Pool, PoolChildList, PoolList
from .access import ChildFilter, Placed, Placing
from .members import NAME, is_readable, owner_of
from .pages import PAGE_ENTRIES, all_pages

#: 30 seconds for the gateway, which may have to try many members, to answer a placement.
_PLACE_SECONDS = 30.0
#: One day: members refuse longer waits.
_MAX_WAIT_MS = 86_400_000


class GatewayAccess:
    """The pools behind the member at a URL."""

    asks_owners = False

    def __init__(self, client: Client, url: str, insecure: bool = False) -> None:
        if not isinstance(url, str) or not re.match(r"https?://[^/\s]+", url):
            expected = "expected the URL of a member, such as http://127.0.0.1:7400"
            raise failure("invalid_request", f"{expected}; got {url!r}")
        if client.has_token and not insecure and is_readable(url):
            detail = "expected an https URL, or a loopback address, for a request with a token"
            raise failure("invalid_request", f"{detail}; insecure sends the token in clear")
        self._client = client
        self._url = url.rstrip("/")

    async def call(self, placing: Placing) -> Placed:
        url = f"{self._of(placing.pool)}/call"
        return Placed(await self._post(url, placing, EVENTS, _PLACE_SECONDS))

    async def place_child(self, placing: Placing) -> str:
        wait = placing.spec.get("waitMs", 0)
        seconds = _PLACE_SECONDS
        if isinstance(wait, (int, float)):
            seconds += min(wait, _MAX_WAIT_MS) / 1000
        url = f"{self._of(placing.pool)}/children"
        response = await self._post(url, placing, JSON, seconds)
        try:
            return str((await json_of(response, "id"))["id"])
        except (*TRANSPORT_ERRORS, ValueError) as error:
            raise no_answer(self._url, error) from error

    async def pools(self) -> PoolList:
        entries = await self._pages("/pools", "pools", ChildFilter())
        return PoolList.model_validate({"pools": entries["pools"]})

    async def pool(self, pool: str) -> Pool:
        return Pool.model_validate(await self._ask(self._of(pool), "members"))

    async def children(self, pool: str, only: ChildFilter) -> PoolChildList:
        self._of(pool)
        return PoolChildList.model_validate(
            await self._pages(f"/pools/{pool}/children", "children", only)
        )

    async def child_url(self, child: str) -> str:
        owner_of(child)
        return f"{self._url}/children/{child}"

    def direct_url(self, child: ChildReference) -> Optional[str]:
        return child.url if self._may_follow(child.url) else None

    async def aclose(self) -> None:
        pass

    async def _post(
        self, url: str, placing: Placing, accept: str, seconds: float
    ) -> httpx.Response:
        posting = Posting(placing.spec, accept=accept, parts=placing.parts, seconds=seconds)
        try:
            answer = await post_spec(self._client, url, posting)
        except TRANSPORT_ERRORS as error:
            raise (self._unreachable(error) or no_answer(self._url, error)) from error
        if isinstance(answer, PoolError):
            raise answer
        return answer

    async def _ask(self, url: str, key: str) -> Any:
        try:
            return await self._client.json(url, Request(), key)
        except PoolError as error:
            raise (self._unreachable(error.__cause__) or error) from error

    async def _pages(self, path: str, key: str, only: ChildFilter) -> Dict[str, Any]:
        """All entries of a listing, and the members that did not answer."""
        found: Dict[str, Any] = {key: [], "unreachable": []}

        async def read(cursor: Optional[str]) -> Any:
            query = only.query(limit=PAGE_ENTRIES, cursor=cursor)
            return await self._ask(f"{self._url}{path}{query}", key)

        async for page in all_pages(read):
            found[key] += page[key]
            missing = page.get("unreachable", [])
            found["unreachable"] += [each for each in missing if each not in found["unreachable"]]
        return found

    def _unreachable(self, error: Optional[BaseException]) -> Optional[PoolError]:
        """The error of a request that no member received; the caller may try again."""
        if error is None or not never_sent(error):
            return None
        detail = f"cannot reach a member at {self._url}: {message_of(error)}"
        return failure("no_members_available", detail)

    def _of(self, pool: str) -> str:
        """The URL of a pool. Another string than a name would change the path."""
        if not isinstance(pool, str) or not NAME.fullmatch(pool):
            expected = "expected a pool name: 1 to 63 of A-Z a-z 0-9 _ -"
            raise failure("invalid_request", f"{expected}; got {pool!r}")
        return f"{self._url}/pools/{pool}"

    def _may_follow(self, to: str) -> bool:
        """Whether requests may go to this URL: never from https to http, no token in clear."""
        source, target = urlsplit(self._url), urlsplit(to)
        if target.scheme == "https":
            return True
        if target.scheme != "http" or source.scheme == "https":
            return False
        is_near = not is_readable(self._url) and not is_readable(to)
        return not self._client.has_token or source.netloc == target.netloc or is_near
