"""A handle on a child, which any process can make from the child's id."""

from __future__ import annotations

from typing import Any, AsyncIterable, AsyncIterator, Iterable, Optional, Union
from urllib.parse import quote

from .calls.results import Ending, Result
from .calls.stream import pieces_of
from .calls.values import json_bytes
from .connection import Connection
from .errors import failure
from .http.client import BYTES, Request, chunks_of, json_of
from .http.events import PoolEvent, event_of
from .http.resume import Reading, asked
from .http.send import write_stdin
from .models import Child

#: 10 seconds for an answer, beside the time for which it waits.
_ANSWER_SECONDS = 10.0

Input = Union[str, bytes, Iterable[bytes], AsyncIterable[bytes]]


class AsyncChildHandle:
    """A handle on a child. The child lives on when its handles, or their process, go away.

    Example:
        >>> child = await pool.place_child("pipeline", ["sleep", "60"])
        >>> await child.stop()
    """

    def __init__(self, id: str, connection: Connection) -> None:
        #: The id of the child: the name of its member, a dot, and 32 hexadecimal digits.
        self.id = id
        self._connection = connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    async def info(self) -> Child:
        """The child as its member sees it now: its status, its labels, and how it ended.

        Raises:
            PoolError: `child_forgotten`; `child_not_found`; `member_lost`.
        """
        return Child.model_validate(await self._json("", Request(), "id"))

    async def events(self, after: Optional[int] = None) -> AsyncIterator[PoolEvent]:
        """The child's events, up to and including the terminal one.

        A stream that was cut resumes after its last event, with up to six tries in some 6 seconds.

        Args:
            after: the id of an event: only later ones are read. Default: all that are kept.

        Raises:
            PoolError: `member_lost`; `events_expired`; `child_forgotten`; `child_not_found`.
        """
        url = await self._url()
        reading = Reading(self._connection.client, self._connection.access)
        reading.child, reading.after = self.id, after
        response = await asked(url, reading.open())
        events = reading.events(response)
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    async def wait(self) -> Result["AsyncChildHandle"]:
        """Waits until the child has ended by itself, and drops its output.

        Raises:
            PoolError: the child failed, was stopped or lost.
        """
        ending: Ending[AsyncChildHandle] = Ending({}, lambda _: self)
        events = self.events()
        try:
            async for event in events:
                ending.take(event)
        finally:
            await events.aclose()  # type: ignore[attr-defined]
        assert ending.result is not None
        return ending.result

    async def result(self, wait_ms: int = 0) -> Optional[Result["AsyncChildHandle"]]:
        """How the child ended, also when its output is no longer kept; None while it runs.

        Args:
            wait_ms: milliseconds to wait for the end, at most 25,000.

        Raises:
            PoolError: the child failed, was stopped or lost; `child_forgotten`.
        """
        client = self._connection.client
        url = await self._url(f"/result?waitMs={wait_ms}")
        request = Request(seconds=wait_ms / 1000 + _ANSWER_SECONDS)
        response = await asked(url, client.send(url, request))
        if response.status_code == 204:
            await response.aclose()
            return None
        if response.status_code >= 400:
            raise await client.problem(response)
        body = await asked(url, json_of(response))
        event = event_of({**body, "type": "failed" if "problem" in body else "result"})
        ending: Ending[AsyncChildHandle] = Ending({}, lambda _: self)
        if event is not None:
            ending.take(event)
        return ending.result

    async def stop(self, grace_ms: Optional[int] = None) -> Child:
        """Stops the child: TERM, grace, KILL to its whole process tree. Returns at once.

        Args:
            grace_ms: milliseconds between TERM and KILL. Default: the member's (5,000).
        """
        query = "" if grace_ms is None else f"?graceMs={grace_ms}"
        return Child.model_validate(await self._json(query, Request(method="DELETE")))

    async def signal(self, name: str) -> Child:
        """Sends a signal to the child's program, such as `SIGUSR1`.

        Raises:
            PoolError: `invalid_request` for an unknown signal; `child_not_found`.
        """
        return Child.model_validate(await self._post("/signal", {"signal": name}))

    async def resize(self, rows: int, columns: int) -> Child:
        """Sets the size of the terminal of a child that has one."""
        return Child.model_validate(await self._post("/tty", {"rows": rows, "columns": columns}))

    async def write_stdin(self, data: Input, end: bool = False) -> int:
        """Writes text, bytes or a stream of bytes to the child's input.

        Args:
            end: closes the input behind the data.

        Returns:
            The number of bytes that the child's pipe has taken.

        Raises:
            PoolError: `stdin_closed` when the child takes no more.
        """
        content: Union[bytes, AsyncIterator[bytes]]
        if isinstance(data, str):
            content = data.encode("utf-8", "replace")
        elif isinstance(data, (bytes, bytearray)):
            content = bytes(data)
        else:
            content = pieces_of(data)
        return await write_stdin(self._connection.client, await self._url(), content, end)

    async def file(self, path: str) -> bytes:
        """The bytes of an artifact, a file that the child left.

        Raises:
            PoolError: `not_found` without such an artifact; `child_forgotten`.
        """
        return b"".join([chunk async for chunk in self.read_file(path)])

    async def read_file(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of an artifact while they arrive, for a file that is too large to hold."""
        names = path.split("/")
        # A URL would lose these names, and lead elsewhere.
        if any(name in ("", ".", "..") for name in names):
            raise failure("not_found", f"expected the path of an artifact; got {path!r}")
        encoded = "/".join(quote(name, safe="", errors="replace") for name in names)
        url = await self._url(f"/files/{encoded}")
        client = self._connection.client
        response = await asked(url, client.send(url, Request(accept=BYTES)))
        if response.status_code != 200:
            raise await client.problem(response)
        chunks = chunks_of(response)
        try:
            while True:
                try:
                    chunk = await asked(url, chunks.__anext__())
                except StopAsyncIteration:
                    return
                yield chunk
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]

    async def _url(self, path: str = "") -> str:
        return f"{await self._connection.access.child_url(self.id)}{path}"

    async def _post(self, path: str, body: Any) -> Any:
        return await self._json(path, Request(method="POST", data=json_bytes(body)))

    async def _json(self, path: str, request: Request, key: Optional[str] = None) -> Any:
        return await self._connection.client.json(await self._url(path), request, key)
