"""The errors of connections: what they say, and whether a request was sent."""

from __future__ import annotations

import asyncio
from typing import Optional
from urllib.parse import urlsplit

import httpx

from ..errors import PoolError, failure, message_of

#: Errors of a connection: a request may have reached the member.
TRANSPORT_ERRORS = (httpx.HTTPError, httpx.StreamError, asyncio.TimeoutError, OSError)


def never_sent(error: Optional[BaseException]) -> bool:
    """Whether a request certainly did not reach the member: no connection was made."""
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol))


def no_answer(url: str, cause: BaseException) -> PoolError:
    """The error of a request that may have reached the member."""
    parts = urlsplit(url)
    error = failure(
        "member_lost",
        f"no answer from {parts.scheme}://{parts.netloc}: {message_of(cause)}",
        admitted="unknown",
    )
    error.__cause__ = cause
    return error
