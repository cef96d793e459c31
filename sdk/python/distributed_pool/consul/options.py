"""How to reach a Consul agent: options, and Consul's own variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Mapping, Optional
from urllib.parse import urlsplit

from ..errors import failure

_TRUE = ("1", "t", "T", "true", "TRUE", "True")


@dataclass(frozen=True)
class ConsulOptions:
    """How to reach a Consul agent. The files are paths of PEM files."""

    #: `http://127.0.0.1:8500`, `https://…`, or `host:port`, which is http.
    address: str = "127.0.0.1:8500"
    token: Optional[str] = None
    #: `user:password` for HTTP basic authentication.
    auth: Optional[str] = None
    ca_file: Optional[str] = None
    cert_file: Optional[str] = None
    key_file: Optional[str] = None
    #: The name that the agent's certificate must carry. Default: the host of the address.
    tls_server_name: Optional[str] = None
    #: False accepts any certificate of the agent.
    verify: bool = True
    namespace: Optional[str] = None

    @staticmethod
    def from_env(
        address: Optional[str] = None, env: Optional[Mapping[str, str]] = None
    ) -> "ConsulOptions":
        """Reads Consul's own variables, `CONSUL_HTTP_ADDR` and its family.

        Args:
            address: takes the place of `CONSUL_HTTP_ADDR`. Default without both: 127.0.0.1:8500.
            env: the variables. Default: those of this process.

        Example:
            >>> pool = DistributedPool(consul=ConsulOptions.from_env())
        """
        values = os.environ if env is None else env

        def variable(name: str) -> Optional[str]:
            return values.get(f"CONSUL_{name}") or None

        token, token_file = variable("HTTP_TOKEN"), variable("HTTP_TOKEN_FILE")
        if token_file is not None:
            with open(token_file, encoding="utf-8") as file:
                token = file.read().strip()
        place = address or variable("HTTP_ADDR") or "127.0.0.1:8500"
        if "://" not in place and variable("HTTP_SSL") in _TRUE:
            place = f"https://{place}"
        verify = variable("HTTP_SSL_VERIFY")
        return ConsulOptions(
            address=place,
            token=token,
            auth=variable("HTTP_AUTH"),
            ca_file=variable("CACERT"),
            cert_file=variable("CLIENT_CERT"),
            key_file=variable("CLIENT_KEY"),
            tls_server_name=variable("TLS_SERVER_NAME"),
            verify=verify is None or verify in _TRUE,
            namespace=variable("NAMESPACE"),
        )

    @property
    def url(self) -> str:
        """The address as a URL.

        Raises:
            PoolError: `invalid_request` for an address that is not an http or https one.
        """
        text = self.address if "://" in self.address else f"http://{self.address}"
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            expected = "expected Consul's address as http://HOST:PORT or HOST:PORT"
            raise failure("invalid_request", f"{expected}; got {self.address!r}")
        return text.rstrip("/")
