"""The connections of a pool: one client for HTTP, and the way to the members."""

from __future__ import annotations

from typing import Optional, Union

from .consul.client import ConsulClient
from .consul.members import ConsulMembers, trust
from .consul.options import ConsulOptions
from .errors import failure
from .http.client import Client
from .http.tls import Tls
from .placement.access import Access
from .placement.direct import DirectAccess
from .placement.gateway import GatewayAccess


class Connection:
    """A client and its way to the pools."""

    def __init__(self, client: Client, access: Access) -> None:
        self.client = client
        self.access = access

    async def aclose(self) -> None:
        await self.access.aclose()
        await self.client.aclose()


def connect(
    url: Optional[str],
    consul: Union[str, ConsulOptions, None],
    token: Optional[str],
    tls: Tls,
    insecure: bool,
) -> Connection:
    """Connects by one member's URL, or by Consul. The first request opens a connection.

    Raises:
        PoolError: `invalid_request` for options that make no sense.
    """
    if (url is None) == (consul is None):
        raise failure("invalid_request", "expected either a url or consul; got both or none")
    client = Client(token, tls, names_members=consul is not None)
    if url is not None:
        return Connection(client, GatewayAccess(client, url, insecure))
    options = ConsulOptions.from_env(consul) if isinstance(consul, str) else consul
    assert options is not None
    rule = trust(tls.is_set, insecure or token is None)
    return Connection(client, DirectAccess(client, ConsulMembers(ConsulClient(options), rule)))
