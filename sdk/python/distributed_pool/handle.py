"""A handle on a child, for programs that do not use asyncio."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Generator, Optional

from .calls.results import Result
from .child import AsyncChildHandle, Input
from .http.events import PoolEvent
from .models import Child
from .portal import Portal


class ChildHandle:
    """A handle on a child. The child lives on when its handles, or their process, go away.

    Example:
        >>> child = pool.place_child("pipeline", ["sleep", "60"])
        >>> child.stop()
    """

    def __init__(self, child: AsyncChildHandle, portal: Portal) -> None:
        #: The id of the child: the name of its member, a dot, and 32 hexadecimal digits.
        self.id = child.id
        self._child = child
        self._portal = portal

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def info(self) -> Child:
        """The child as its member sees it now: its status, its labels, and how it ended.

        Raises:
            PoolError: `child_forgotten`; `child_not_found`; `member_lost`.
        """
        return self._portal.run(self._child.info())

    def events(self, after: Optional[int] = None) -> Generator[PoolEvent, None, None]:
        """The child's events, up to and including the terminal one, over cuts of the connection.

        Args:
            after: the id of an event: only later ones are read. Default: all that are kept.

        Raises:
            PoolError: `member_lost`; `events_expired`; `child_forgotten`; `child_not_found`.
        """
        return self._portal.iterate(self._child.events(after))

    def wait(self, timeout: Optional[float] = None) -> Result["ChildHandle"]:
        """Waits until the child has ended by itself, and drops its output.

        Args:
            timeout: seconds. Default: no limit.

        Raises:
            PoolError: the child failed, was stopped or lost.
            TimeoutError: after the timeout.
        """
        return self._own(self._portal.run(self._child.wait(), timeout))

    def result(self, wait_ms: int = 0) -> Optional[Result["ChildHandle"]]:
        """How the child ended, also when its output is no longer kept; None while it runs.

        Args:
            wait_ms: milliseconds to wait for the end, at most 25,000.

        Raises:
            PoolError: the child failed, was stopped or lost; `child_forgotten`.
        """
        result = self._portal.run(self._child.result(wait_ms))
        return None if result is None else self._own(result)

    def stop(self, grace_ms: Optional[int] = None) -> Child:
        """Stops the child: TERM, grace, KILL to its whole process tree. Returns at once.

        Args:
            grace_ms: milliseconds between TERM and KILL. Default: the member's (5,000).
        """
        return self._portal.run(self._child.stop(grace_ms))

    def signal(self, name: str) -> Child:
        """Sends a signal to the child's program, such as `SIGUSR1`."""
        return self._portal.run(self._child.signal(name))

    def resize(self, rows: int, columns: int) -> Child:
        """Sets the size of the terminal of a child that has one."""
        return self._portal.run(self._child.resize(rows, columns))

    def write_stdin(self, data: Input, end: bool = False) -> int:
        """Writes text, bytes or a stream of bytes to the child's input.

        Args:
            end: closes the input behind the data.

        Returns:
            The number of bytes that the child's pipe has taken.

        Raises:
            PoolError: `stdin_closed` when the child takes no more.
        """
        return self._portal.run(self._child.write_stdin(data, end))

    def file(self, path: str) -> bytes:
        """The bytes of an artifact, a file that the child left.

        Raises:
            PoolError: `not_found` without such an artifact; `child_forgotten`.
        """
        return self._portal.run(self._child.file(path))

    def read_file(self, path: str) -> Generator[bytes, None, None]:
        """The bytes of an artifact while they arrive, for a file that is too large to hold."""
        return self._portal.iterate(self._child.read_file(path))

    def _own(self, result: Result[AsyncChildHandle]) -> Result["ChildHandle"]:
        fields: Any = result
        return replace(fields, child=self)
