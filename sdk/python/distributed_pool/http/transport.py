"""The connections of a client, and the time for which a request may stand still."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import AsyncIterator, Callable, Optional, cast

import httpx

from .tls import Tls

#: 4 seconds: members close connections that are idle for longer than 5.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=4.0)
#: 64 KiB: a longer body is sent in pieces, each of which shows that the sending goes on.
_PIECE = 65_536


class _Secure(httpx.AsyncBaseTransport):
    """The connections of https. The system's certificates take 40 ms to read, at the first one."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        # Certificates that cannot be read are refused at once.
        self._context = tls.context() if tls.is_set else None
        self._made: Optional[httpx.AsyncHTTPTransport] = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._made is None:
            context = self._context or self._tls.context()
            self._made = httpx.AsyncHTTPTransport(verify=context, limits=_LIMITS, trust_env=False)
        return await self._made.handle_async_request(request)

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.aclose()


def http_client(tls: Tls) -> httpx.AsyncClient:
    """A client that reads certificates for https only.

    Raises:
        PoolError: `invalid_request` for certificates that cannot be read.
    """
    # Without any authority, these settings trust no server.
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain = httpx.AsyncHTTPTransport(verify=nobody, limits=_LIMITS, trust_env=False)
    # The variables of proxies are for other hosts than those of the cluster.
    return httpx.AsyncClient(transport=plain, mounts={"https://": _Secure(tls)}, trust_env=False)


async def answer_of(
    client: httpx.AsyncClient, request: httpx.Request, seconds: Optional[float]
) -> httpx.Response:
    """Sends a request. Returns at the head of the answer.

    Args:
        seconds: the longest silence; each piece of the body that is sent starts it again. None is
            no limit.

    Raises:
        asyncio.TimeoutError: nothing was sent and nothing came for so long.
    """
    if seconds is None:
        return await client.send(request, stream=True)
    moved = time.monotonic()

    def moves() -> None:
        nonlocal moved
        moved = time.monotonic()

    request.stream = _Watched(cast(httpx.AsyncByteStream, request.stream), moves)
    sending = asyncio.ensure_future(client.send(request, stream=True))
    try:
        while not sending.done():
            left = moved + seconds - time.monotonic()
            if left <= 0:
                raise asyncio.TimeoutError(f"nothing came for {seconds:g} s")
            await asyncio.wait({sending}, timeout=left)
        return sending.result()
    except BaseException:
        await _given_up(sending)
        raise


async def _given_up(sending: "asyncio.Future[httpx.Response]") -> None:
    """Ends the sending, and closes an answer that has just come."""
    sending.cancel()
    await asyncio.wait({sending})
    if not sending.cancelled() and sending.exception() is None:
        await sending.result().aclose()


class _Watched(httpx.AsyncByteStream):
    """A body in pieces. `moves` is called when one has been sent, and the next one is to come."""

    def __init__(self, body: httpx.AsyncByteStream, moves: Callable[[], None]) -> None:
        self._body = body
        self._moves = moves

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            for start in range(0, len(chunk), _PIECE):
                self._moves()
                yield chunk[start : start + _PIECE]
        self._moves()

    async def aclose(self) -> None:
        await self._body.aclose()
