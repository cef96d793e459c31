"""Reads a child's stream over cuts of the connection: no event is lost, and none comes twice."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, AsyncIterator, Awaitable, Callable, Optional, Protocol

import httpx

from ..errors import PoolError, changed, error_of
from ..models import ChildReference, FailedEvent, PlacedEvent
from .client import EVENTS, Client, Request
from .events import PoolEvent, is_terminal, read_events
from .faults import TRANSPORT_ERRORS, never_sent, no_answer

#: After a cut, a child is lost once the stream could not be reopened 6 times in a row.
_TRIES = 6
#: 100 ms pass before the first try, give or take a half; each further pause is twice as long.
_FIRST_PAUSE = 0.1
#: 10 seconds: a stream that was open for longer was not cut by its member at once.
_HEARTBEAT = 10.0


class Locator(Protocol):
    """Where to ask for a child."""

    #: Whether a child's own member is asked, so that a refused connection means it is gone.
    asks_owners: bool

    async def child_url(self, child: str) -> str:
        """The URL of the child, at its own member or at the gateway."""

    def direct_url(self, child: ChildReference) -> Optional[str]:
        """The URL at its own member, for a stream that a gateway handed over; None for none."""


class _HandedOverError(Exception):
    """A gateway that is about to leave ended its answer. The child runs on."""

    def __init__(self, event: FailedEvent) -> None:
        super().__init__("the gateway is about to leave")
        self.event = event


class Reading:
    """One reading of a child's events, from an answer that has been opened.

    After a cut, and after a handover, the events are read from the child. The request that placed
    the child is never sent again.
    """

    def __init__(self, client: Client, locator: Locator, until: Optional[float] = None) -> None:
        self._client = client
        self._locator = locator
        self._until = until
        self.child: Optional[str] = None
        self.after: Optional[int] = None
        #: The URL of the child at its own member, as long as that answers.
        self._direct: Optional[str] = None
        self._tries = 0

    async def open(self, url: Optional[str] = None) -> httpx.Response:
        """Opens the events behind the last one that was read. A 204 means that there are none."""
        base = url or self._direct or await self._locator.child_url(str(self.child))
        headers = {} if self.after is None else {"last-event-id": str(self.after)}
        request = Request(accept=EVENTS, headers=headers)
        response = await self._client.send(f"{base}/events", request)
        if response.status_code >= 400:
            raise await self._client.problem(response)
        return response

    async def events(
        self, response: httpx.Response, on_end: Callable[[], None] = lambda: None
    ) -> AsyncIterator[PoolEvent]:
        """The events up to and including the terminal one.

        Raises:
            PoolError: `member_lost` when the stream cannot resume; `events_expired`;
                `payload_too_large` for an event that nests too deeply.
        """
        answer: Optional[httpx.Response] = response
        while answer is not None:
            opened = time.monotonic()
            reading = self._of_answer(answer)
            try:
                async for event in reading:
                    if is_terminal(event):
                        on_end()
                    yield event
                return
            except _HandedOverError as error:
                cut: Exception = error
            except PoolError as error:
                # An event that cannot be read would come again.
                if error.code != "member_lost":
                    raise
                cut = error
            finally:
                await reading.aclose()  # type: ignore[attr-defined]
            if self.child is None:
                raise _error_of(cut)
            # A child may be silent for longer than any connection lasts.
            if time.monotonic() - opened > _HEARTBEAT:
                self._tries = 0
            answer = await self._reopened(cut)

    async def _of_answer(self, response: httpx.Response) -> AsyncIterator[PoolEvent]:
        if response.status_code == 204:
            await response.aclose()
            return
        reading = read_events(response, self._until)
        try:
            async for event in reading:
                if isinstance(event, FailedEvent):
                    if event.child is not None and event.problem.code == "draining":
                        self.child = event.child.id
                        self._direct = self._locator.direct_url(event.child)
                        raise _HandedOverError(event)
                    if self.child is not None:
                        event = _of_admitted(event)
                if isinstance(event, PlacedEvent):
                    self.child = event.child.id
                self.after = self.after if event.id is None else event.id
                self._tries = 0
                yield event
        finally:
            await reading.aclose()  # type: ignore[attr-defined]

    async def _reopened(self, cut: Exception) -> httpx.Response:
        while self._tries < _TRIES:
            await asyncio.sleep(_FIRST_PAUSE * 2**self._tries * (0.5 + random.random()))
            self._tries += 1
            try:
                return await self._open_anywhere()
            except PoolError as error:
                # Behind the same URL, another gateway may answer.
                if not (error.retryable or error.code == "draining"):
                    raise _admitted(error) from cut
            except TRANSPORT_ERRORS as error:
                # A member whose port is closed took its children along.
                if self._locator.asks_owners and never_sent(error):
                    break
        raise _admitted(_error_of(cut)) from cut

    async def _open_anywhere(self) -> httpx.Response:
        if self._direct is None:
            return await self.open()
        try:
            return await self.open(self._direct)
        except (PoolError, *TRANSPORT_ERRORS):
            self._direct = None
            return await self.open()


def _error_of(error: Exception) -> PoolError:
    if isinstance(error, _HandedOverError):
        return error_of(error.event.problem)
    assert isinstance(error, PoolError)
    return error


def _admitted(error: PoolError) -> PoolError:
    """The same error of a child that has certainly been admitted, so it is not sent again."""
    is_silent = error.code == "draining" and error.problem.admitted is None
    return changed(error, admitted=True) if error.code == "member_lost" or is_silent else error


def _of_admitted(event: FailedEvent) -> FailedEvent:
    """The same event. Behind the child's id, `draining` does not mean that nothing was run."""
    if event.problem.code != "draining" or event.problem.admitted is not None:
        return event
    problem = event.problem.model_copy(update={"admitted": True})
    return event.model_copy(update={"problem": problem})


async def asked(url: str, asking: Awaitable[Any]) -> Any:
    """The answer. Without one, the error is `member_lost`."""
    try:
        return await asking
    except TRANSPORT_ERRORS as error:
        raise no_answer(url, error) from error
