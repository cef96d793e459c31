"""The results of calls: how a child ended, and the output that it wrote."""

from __future__ import annotations

import codecs
import io
import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, List, Mapping, Optional, TypeVar

from ..errors import PoolError, changed, error_of
from ..http.events import PoolEvent, Whole, output_bytes
from ..models import (
    Artifact,
    ChildReference,
    FailedEvent,
    PlacedEvent,
    ProgressEvent,
    ResultEvent,
    StderrEvent,
    StdoutEvent,
    Usage,
)
from .retry import whole_number

#: 1 MiB of stdout, and as much of stderr, is kept.
_MAX_OUTPUT = 1_048_576

ChildT = TypeVar("ChildT")


@dataclass(frozen=True)
class Result(Generic[ChildT]):
    """How a child ended by itself, with the output that `run` kept."""

    #: A handle on the child, whose `file(path)` reads an artifact.
    child: ChildT
    #: The exit code of a command; None for a function.
    exit_code: Optional[int] = None
    #: The value of a function or a task.
    value: Any = None
    usage: Optional[Usage] = None
    artifacts: List[Artifact] = field(default_factory=list)
    #: The output as text, in which U+FFFD replaces bytes that are not UTF-8.
    stdout: str = ""
    stderr: str = ""
    #: Whether the child wrote more than `max_output_bytes` to one of the two.
    truncated: bool = False


class Sink:
    """Receives output. This one drops it."""

    truncated = False
    text = ""

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class Kept(Sink):
    """Keeps the first bytes of an output, and drops the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()

    def write(self, data: bytes) -> None:
        room = self._limit - len(self._bytes)
        self.truncated = self.truncated or len(data) > room
        self._bytes += data[:room]

    @property
    def text(self) -> str:  # type: ignore[override]
        return self._bytes.decode("utf-8", "replace")


class Copied(Sink):
    """Copies an output to a stream: bytes to one of bytes, else text."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._binary = getattr(stream, "buffer", None)
        if isinstance(stream, (io.RawIOBase, io.BufferedIOBase)):
            self._binary = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        if self._binary is None:
            self._stream.write(self._decoder.decode(data))
            return
        # Text that this process wrote before comes first.
        if self._binary is not self._stream:
            self._stream.flush()
        self._binary.write(data)
        self._binary.flush()

    def close(self) -> None:
        rest = self._decoder.decode(b"", final=True)
        if rest:
            self._stream.write(rest)


class Ending(Generic[ChildT]):
    """Takes the events of a call up to its end, and makes its result."""

    def __init__(self, options: Mapping[str, Any], child_of: Callable[[str], ChildT]) -> None:
        self._child_of = child_of
        self._on_progress: Optional[Callable[[ProgressEvent], None]] = options.get("on_progress")
        self._stdout, self._stderr = Sink(), Sink()
        self._whole: Optional[Whole] = Whole()
        self._is_kept = False
        self._child: Optional[ChildReference] = None
        self.result: Optional[Result[ChildT]] = None

    @staticmethod
    def copying(options: Mapping[str, Any], child_of: Callable[[str], ChildT]) -> "Ending[ChildT]":
        """An ending that copies the output to streams."""
        ending = Ending(options, child_of)
        out, err = options.get("stdout", sys.stdout), options.get("stderr", sys.stderr)
        ending._stdout = Sink() if out is None else Copied(out)
        ending._stderr = Sink() if err is None else Copied(err)
        if out is None and err is None:
            ending._whole = None
        return ending

    @staticmethod
    def keeping(options: Mapping[str, Any], child_of: Callable[[str], ChildT]) -> "Ending[ChildT]":
        """An ending that keeps the output for the result."""
        ending = Ending(options, child_of)
        limit = whole_number("max_output_bytes", options.get("max_output_bytes", _MAX_OUTPUT), 0)
        ending._stdout, ending._stderr = Kept(limit), Kept(limit)
        ending._is_kept = True
        return ending

    def take(self, event: PoolEvent) -> bool:
        """Takes one event. Returns whether it was the end.

        Raises:
            PoolError: the problem of a `failed` event; `events_expired` when output was lost.
        """
        try:
            return self._take(event)
        except PoolError as error:
            raise self.described(error) from error.__cause__

    def described(self, error: PoolError) -> PoolError:
        """The same error, with the child that was placed and the output so far."""
        if self._child is None:
            return error
        fields = {"child": self._child, **(self._output() if self._is_kept else {})}
        return changed(error, **fields)

    def _take(self, event: PoolEvent) -> bool:
        if self._whole is not None:
            self._whole.take(event)
        if isinstance(event, PlacedEvent):
            self._child = event.child
        elif isinstance(event, StdoutEvent):
            self._stdout.write(output_bytes(event))
        elif isinstance(event, StderrEvent):
            self._stderr.write(output_bytes(event))
        elif isinstance(event, ProgressEvent) and self._on_progress is not None:
            self._on_progress(event)
        elif isinstance(event, FailedEvent):
            self._close()
            left = event.model_dump(
                by_alias=True, exclude_none=True, include={"exit_code", "usage", "artifacts"}
            )
            raise error_of(event.problem, **left)
        elif isinstance(event, ResultEvent):
            self._close()
            self.result = Result(
                child=self._child_of(self._child.id if self._child is not None else ""),
                exit_code=event.exit_code,
                value=event.value,
                usage=event.usage,
                artifacts=event.artifacts or [],
                **self._output(),
            )
            return True
        return False

    def _close(self) -> None:
        self._stdout.close()
        self._stderr.close()

    def _output(self) -> Any:
        truncated = self._stdout.truncated or self._stderr.truncated
        return {"stdout": self._stdout.text, "stderr": self._stderr.text, "truncated": truncated}
