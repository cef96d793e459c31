"""HTTP to a member: each wait has a limit, and a problem in the answer becomes an error."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, AsyncIterator, Dict, List, Mapping, Optional

import httpx
from pydantic import ValidationError

from ..errors import PoolError, error_for, failure
from ..models import RunProblem
from .faults import TRANSPORT_ERRORS, no_answer
from .json_text import parsed
from .tls import Tls
from .transport import answer_of, http_client

#: 10 seconds without a piece of the body that is sent, or for the head of the answer.
ANSWER_SECONDS = 10.0
#: 2 seconds to make a connection.
_CONNECT_SECONDS = 2.0
#: 15 seconds, a heartbeat and a half: a body that is silent for longer is lost.
SILENCE_SECONDS = 15.0
#: 64 KiB: a longer body is no problem of the contract.
_MAX_PROBLEM = 65_536
_PROBLEM_KEYS = {"type", "title", "status", "detail", "code"}
#: 128 MiB: more than the largest page of a listing.
_MAX_JSON = 134_217_728

EVENTS = "text/event-stream"
JSON = "application/json"
BYTES = "application/octet-stream"


@dataclass(frozen=True)
class Request:
    """One request. Its body is JSON (`data`), bytes or a stream (`content`), or multipart."""

    method: str = "GET"
    accept: str = JSON
    data: Any = None
    content: Any = None
    #: Files of a multipart body, as httpx has them. The first one is the spec.
    files: Optional[List[Any]] = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The member that has to show a certificate for its name. Default: the host of the URL.
    member: Optional[str] = None
    #: Seconds for the head of the answer, from the last piece of the body on; None for no limit.
    seconds: Optional[float] = ANSWER_SECONDS


class Client:
    """Requests of one caller. It makes its connections in the event loop that uses it."""

    def __init__(
        self, token: Optional[str] = None, tls: Optional[Tls] = None, names_members: bool = False
    ) -> None:
        """`names_members`: members have to show a certificate for their name, not for the host."""
        if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
            detail = "expected a token of printable characters without spaces"
            raise failure("invalid_request", detail)
        self.has_token = token is not None
        self._tls = tls or Tls()
        self._names_members = names_members
        self._headers = {"accept-encoding": "identity", "user-agent": "distributed-pool-python"}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"
        self._http = http_client(self._tls)

    async def send(self, url: str, request: Request) -> httpx.Response:
        """Sends a request. Returns at the head of the answer; the caller closes it.

        Raises:
            PoolError: `invalid_request` for a redirect; `member_lost` for another type of answer.
            TRANSPORT_ERRORS: there was no answer.
        """
        if self._http.is_closed:
            raise failure("member_lost", "the pool was closed", admitted="unknown")
        built = self._built(url, request)
        response = await answer_of(self._http, built, request.seconds)
        try:
            if response.is_redirect or 300 <= response.status_code < 400:
                raise _redirected(response)
            is_raw = request.accept == BYTES
            if response.status_code < 300 and response.status_code != 204 and not is_raw:
                kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
                if kind != request.accept:
                    raise _foreign(response, request.accept)
            # Raw bytes have no heartbeat, so their silence does not mean a lost stream.
            silence = None if is_raw and response.status_code < 300 else SILENCE_SECONDS
            built.extensions["timeout"]["read"] = silence
            return response
        except BaseException:
            await response.aclose()
            raise

    def _built(self, url: str, request: Request) -> httpx.Request:
        accept = f"{EVENTS};lines=long" if request.accept == EVENTS else request.accept
        headers = {**self._headers, "accept": accept, **request.headers}
        content = request.content
        if request.data is not None:
            headers["content-type"] = JSON
            content = request.data
        elif content is not None:
            headers["content-type"] = BYTES
        extensions: Dict[str, Any] = {}
        member = request.member or _member_in(url) if self._names_members else None
        if member is not None:
            extensions["sni_hostname"] = f"{member}.{self._tls.member_domain}"
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        try:
            return self._http.build_request(
                request.method,
                url,
                headers=headers,
                content=content,
                files=request.files,
                timeout=timeout,
                extensions={**extensions, "timeout": timeout.as_dict()},
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise failure("invalid_request", f"expected a URL; got {url!r}: {error}") from error

    async def json(self, url: str, request: Request = Request(), key: Optional[str] = None) -> Any:
        """Sends a request and reads its JSON answer, which has the key.

        Raises:
            PoolError: the problem in the answer; `member_lost` without an answer.
        """
        try:
            response = await self.send(url, request)
            if response.status_code >= 400:
                raise await self.problem(response)
            return await json_of(response, key)
        except TRANSPORT_ERRORS as error:
            raise no_answer(url, error) from error
        except ValueError as error:
            raise no_answer(url, error) from error

    async def problem(self, response: httpx.Response) -> PoolError:
        """The error that an answer of 400 or more carries. It closes the answer."""
        text = (await _body_of(response, _MAX_PROBLEM)).decode("utf-8", "replace")
        try:
            body = parsed(text)
            if not isinstance(body, dict) or not _PROBLEM_KEYS <= body.keys():
                raise ValueError("it lacks the keys of a problem")
            problem = RunProblem.model_validate(body)
            return error_for(problem, _pause_of(response.headers.get("retry-after")))
        except (ValueError, ValidationError, PoolError):
            form = _form_of(response)
            detail = f"expected a problem of distributed-pool; got {form}: {text[:200]}"
            return failure("member_lost", detail, admitted="unknown")

    async def aclose(self) -> None:
        await self._http.aclose()


async def json_of(response: httpx.Response, key: Optional[str] = None) -> Any:
    """The JSON of an answer, which it closes.

    Raises:
        ValueError: for too long a text, or JSON without the key.
        PoolError: `payload_too_large` for JSON that nests too deeply.
    """
    body = await _body_of(response, _MAX_JSON)
    value = parsed(body)
    if key is not None and not (isinstance(value, dict) and key in value):
        raise ValueError(f"expected JSON with {key}; got {body[:200]!r}")
    return value


async def _body_of(response: httpx.Response, limit: int) -> bytes:
    """The bytes of an answer, cut soon behind the limit."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                break
    finally:
        await response.aclose()
    return bytes(body)


def _form_of(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "no content type")
    return f"HTTP {response.status_code} with {kind}"


def _foreign(response: httpx.Response, accept: str) -> PoolError:
    """The error of an answer of another type, such as the page of a proxy."""
    detail = f"expected {accept} of a member; got {_form_of(response)}"
    return failure("member_lost", detail, admitted="unknown")


def _redirected(response: httpx.Response) -> PoolError:
    """A redirect is not followed: it would carry the token to another server."""
    place = response.headers.get("location", "an unknown place")
    detail = f"expected the URL of a member; {response.url} redirects to {place}"
    return failure("invalid_request", detail)


def _pause_of(header: Optional[str]) -> Optional[float]:
    """Seconds from a `Retry-After` header, which has seconds or a date."""
    if header is None:
        return None
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


async def chunks_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes of an answer while they arrive. It closes the answer."""
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    finally:
        await response.aclose()


def _member_in(url: str) -> Optional[str]:
    """The member of the child in a URL, by the child's id; None for a URL without a child."""
    match = re.match(r"[^?]*/children/([\w-]+)\.[0-9a-f]{32}(?=[/?]|$)", url)
    return match and match[1]
