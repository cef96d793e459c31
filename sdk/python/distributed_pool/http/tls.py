"""The certificates of a client, and the members whose certificates it trusts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Optional

from ..errors import failure, message_of


@dataclass(frozen=True)
class Tls:
    """The certificates of a client, as paths of PEM files or PEM text."""

    ca: Optional[str] = None
    cert: Optional[str] = None
    key: Optional[str] = None
    #: Members have to show a certificate for `NAME.member_domain`.
    member_domain: str = "distributed-pool"

    @property
    def is_set(self) -> bool:
        return any((self.ca, self.cert, self.key))

    def context(self) -> ssl.SSLContext:
        """The settings of connections.

        Raises:
            PoolError: `invalid_request` for certificates that cannot be read.
        """
        try:
            is_text = self.ca is not None and "-----BEGIN" in self.ca
            return self._loaded(is_text)
        except (OSError, ssl.SSLError, ValueError) as error:
            detail = f"expected certificates as PEM files; got {message_of(error)}"
            raise failure("invalid_request", detail) from error

    def _loaded(self, is_text: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(
            cafile=None if is_text else self.ca, cadata=self.ca if is_text else None
        )
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context
