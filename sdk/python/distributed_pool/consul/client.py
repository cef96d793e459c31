"""The questions that this package asks Consul."""

from __future__ import annotations

import ssl
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import quote

import httpx

from ..errors import PoolError, failure
from ..placement.members import SERVICE, Member, member_of
from .options import ConsulOptions

#: Consul answers a blocking query after this time, even when nothing has changed.
_WAIT = "60s"
_QUERY_SECONDS = 75.0
READING = "Consul refuses to show the members"
#: The right to read a service without that to read its nodes gives an empty list.
_RIGHTS = (
    ("service", SERVICE, f'service "{SERVICE}" {{ policy = "read" }}'),
    ("node", "", 'node_prefix "" { policy = "read" }'),
)


class ConsulClient:
    """Requests to one Consul agent."""

    def __init__(self, options: ConsulOptions) -> None:
        self._extensions: Dict[str, Any] = {}
        if options.tls_server_name is not None:
            self._extensions["sni_hostname"] = options.tls_server_name
        # The system's certificates take 40 ms to read. Without any, no server is trusted.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if options.url.startswith("https:"):
            context = ssl.create_default_context(cafile=options.ca_file)
        if options.cert_file is not None:
            context.load_cert_chain(options.cert_file, options.key_file)
        if not options.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        user, _, password = (options.auth or "").partition(":")
        self._url = options.url
        self.has_token = bool(options.token)
        self._http = httpx.AsyncClient(
            verify=context,
            auth=(user, password) if options.auth else None,
            headers={"X-Consul-Token": options.token} if options.token else {},
            params={"ns": options.namespace} if options.namespace else {},
            timeout=httpx.Timeout(10.0, read=_QUERY_SECONDS),
            trust_env=False,
        )

    async def members(
        self, expression: Optional[str], index: Optional[str] = None
    ) -> Tuple[List[Member], str]:
        """The members that fit a filter expression, and the index for the next question."""
        query = "" if index is None else f"wait={_WAIT}&index={index}&"
        if expression is not None:
            query += f"filter={quote(expression)}"
        url = f"{self._url}/v1/health/service/{SERVICE}?{query}"
        response = await self._http.get(url, extensions=self._extensions)
        response.raise_for_status()
        found = [member_of(entry) for entry in response.json()]
        return [each for each in found if each is not None], response.headers["x-consul-index"]

    async def refusal(self) -> Optional[PoolError]:
        """Why the token may not see the members; None where it may, or Consul has no ACLs."""
        questions = [
            {"Resource": resource, "Access": "read", "Segment": segment}
            for resource, segment, _ in _RIGHTS
        ]
        response = await self._http.post(
            f"{self._url}/v1/internal/acl/authorize", json=questions, extensions=self._extensions
        )
        if response.status_code == 403:
            return failure("unauthorized", f"{READING}: it does not know the ACL token")
        if response.status_code in (401, 404):
            return None
        response.raise_for_status()
        allowed = [answer.get("Allow") for answer in response.json()]
        rules = [rule for (_, _, rule), allow in zip(_RIGHTS, allowed) if allow is False]
        if not rules:
            return None
        lacks = " and ".join(rules)
        if self.has_token:
            return failure("forbidden", f"{READING}: the ACL token lacks {lacks}")
        none = "no ACL token is given (CONSUL_HTTP_TOKEN), and the anonymous one lacks"
        return failure("unauthorized", f"{READING}: {none} {lacks}")

    async def aclose(self) -> None:
        await self._http.aclose()
