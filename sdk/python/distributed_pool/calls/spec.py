"""The spec of a call as a program writes it, and its translation to the spec of the contract."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import (
    IO,
    Any,
    AsyncIterable,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from typing_extensions import TypedDict

from ..errors import failure
from ..functions import Task, positional, source_of
from ..models import ProgressEvent
from .values import checked_arguments

#: The work of a call: a function, a task, a command as a list, or a spec in the contract's words.
Work = Union[Callable[..., Any], Task, Sequence[str], Mapping[str, Any]]
#: A child's input: text, bytes, or bytes that are sent while the child runs.
Stdin = Union[str, bytes, IO[bytes], Iterable[bytes], AsyncIterable[bytes], Mapping[str, Any]]
#: A file: text, bytes, a path of this machine, or an object of the contract, such as `{"url": …}`.
File = Union[str, bytes, "os.PathLike[str]", Mapping[str, Any]]

#: 4 KiB: a longer source is named by its hash, so that it travels once to each member.
_HASHED_FROM = 4_096


class CallOptions(TypedDict, total=False):
    """The options of any call. All of them may be left out.

    - `env`: variables for the child. Default: none of the caller's.
    - `stdin`: the child's input. Default: empty for a call, open for a placed child.
    - `files`: files that go into the workspace, by path; `artifacts`: patterns of those that come
      out; `archive`: a tar or zip archive that is unpacked, as bytes or a path.
    - `wait_ms`: milliseconds to wait for a slot. Default 0: a full pool refuses at once.
    - `deadline_ms`: milliseconds until the child is stopped, the wait included. Default: the
      pool's; without one 5 minutes for a call, none for a placed child.
    - `link`: stop the child when the caller's connection goes. Default False.
    - `idempotency_key`: starts one child at most, whoever sends it how often.
    - `retries`: further tries of what certainly started nothing. Default 0; 5 in a `map`.
    - `labels`, `limits`, `sandbox`, `notify`, `tty`: as in the contract.
    - `output_encoding`: `text` or `base64`, the form of output events of `stream`.
    - `stdout`, `stderr`: streams that receive the output of `call`. Default: those of this
      process. None drops it.
    - `on_progress`: is called with each progress event.
    - `max_output_bytes`: bytes of stdout, and of stderr, that `run` keeps. Default 1 MiB.
    """

    env: Mapping[str, str]
    stdin: Stdin
    files: Mapping[str, File]
    artifacts: Sequence[str]
    archive: File
    wait_ms: int
    deadline_ms: int
    link: bool
    idempotency_key: str
    retries: int
    labels: Mapping[str, str]
    limits: Mapping[str, Any]
    sandbox: str
    notify: Mapping[str, str]
    tty: Mapping[str, int]
    output_encoding: str
    stdout: Optional[IO[Any]]
    stderr: Optional[IO[Any]]
    on_progress: Optional[Callable[[ProgressEvent], None]]
    max_output_bytes: int


class Options(CallOptions, total=False):
    """The options of any call, and `timeout`: seconds after which the caller waits no longer.

    The call then raises `TimeoutError`. The child lives on, unless it is linked.
    """

    timeout: float


#: Options of the caller's side. The others are keys of the spec.
_OWN = frozenset({"retries", "stdout", "stderr", "on_progress", "max_output_bytes"})


@dataclass(frozen=True)
class Call:
    """A call that is ready to be sent."""

    pool: str
    spec: Dict[str, Any]
    #: Whether the work is a function or a task, which has a value instead of an exit code.
    has_value: bool
    #: Files that travel beside the spec, as httpx has them.
    parts: List[Any] = field(default_factory=list)
    #: The input that is sent while the child runs.
    source: Union[Iterable[bytes], AsyncIterable[bytes], None] = None
    #: The options of the caller's side.
    own: CallOptions = field(default_factory=lambda: CallOptions())


def call_of(pool: str, work: Work, args: Sequence[Any], options: Mapping[str, Any]) -> Call:
    """A call as it is sent.

    Raises:
        PoolError: `invalid_request` for work or an argument that cannot travel, and for options
            that do not exist.
    """
    odd = [key for key in options if key not in CallOptions.__annotations__]
    if odd:
        known = ", ".join(sorted(CallOptions.__annotations__))
        raise failure("invalid_request", f"expected the options {known}; got {', '.join(odd)}")
    spec = {_camel(key): each for key, each in options.items() if key not in _OWN}
    for key in ("limits", "tty"):
        if key in spec:
            spec[key] = {_camel(name): each for name, each in spec[key].items()}
    spec.update(_work(work, args))
    parts: List[Any] = []
    source = None
    stdin = spec.get("stdin")
    if isinstance(stdin, (bytes, bytearray)):
        spec["stdin"] = {"base64": base64.b64encode(stdin).decode("ascii")}
    elif stdin is not None and not isinstance(stdin, (str, Mapping)):
        # An input of one body ends when the body breaks off.
        spec["stdin"], source = {"open": True, "once": True}, stdin
    if spec.get("files"):
        inline = {}
        for path, content in dict(spec["files"]).items():
            part = _part(path, content)
            if part is None:
                inline[path] = content
            else:
                parts.append(part)
        spec["files"] = inline
    part = _part("archive", spec["archive"]) if "archive" in spec else None
    if part is not None:
        parts.append(part)
        del spec["archive"]
    own = {key: each for key, each in options.items() if key in _OWN}
    has_value = "function" in spec or "task" in spec
    return Call(pool, spec, has_value, parts, source, own)  # type: ignore[arg-type]


def _work(work: Work, args: Sequence[Any]) -> Dict[str, Any]:
    if isinstance(work, Task):
        return {"task": {"name": work.name, "args": checked_arguments(list(args))}}
    if isinstance(work, Mapping):
        return _refusing(args, dict(work))
    if isinstance(work, (list, tuple)):
        return _refusing(args, {"command": list(work)})
    if not callable(work):
        expected = "expected a function, a task, a list such as ['uname', '-a'], or a child spec"
        raise failure("invalid_request", f"{expected}; got {type(work).__name__}")
    return {"function": {**named_source(work), "args": checked_arguments(list(args))}}


def named_source(fn: Callable[..., Any]) -> Dict[str, Any]:
    """A function as the contract has it, but for its arguments."""
    source = source_of(fn)
    named = {"source": source, "runtime": "python"}
    data = source.encode("utf-8", "surrogatepass")
    if len(data) >= _HASHED_FROM:
        named["hash"] = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return named


def bound_arguments(work: Work, args: Sequence[Any], kwargs: Mapping[str, Any]) -> List[Any]:
    """The arguments of a function with those that were given by name."""
    if callable(work) and not isinstance(work, Task):
        return positional(work, args, kwargs)
    if kwargs:
        raise failure("invalid_request", f"expected arguments by position; got {', '.join(kwargs)}")
    return list(args)


def _refusing(args: Sequence[Any], spec: Dict[str, Any]) -> Dict[str, Any]:
    if args:
        detail = "expected the arguments of a command or a spec inside it; got more behind it"
        raise failure("invalid_request", detail)
    return spec


def _part(name: str, content: Any) -> Optional[Tuple[str, Any]]:
    """A file that travels beside the spec, as httpx has it; None for one inside the spec."""
    kind = "application/octet-stream"
    if isinstance(content, (bytes, bytearray)):
        return (name, ("file", bytes(content), kind))
    if isinstance(content, os.PathLike):
        try:
            file = open(content, "rb")
        except OSError as error:
            raise failure("invalid_request", f"files: {error}") from error
        mode = os.fstat(file.fileno()).st_mode
        return (name, ("file", file, f"{kind};mode=755" if mode & 0o100 else kind))
    return None


def refuse_shared_input(options: Mapping[str, Any]) -> None:
    """Refuses an input that several calls would share, each of which would get a part of it.

    Raises:
        PoolError: `invalid_request`.
    """
    stdin = options.get("stdin")
    if any(hasattr(stdin, name) for name in ("read", "__next__", "__anext__")):
        expected = "stdin: expected text or bytes, which each call of many gets"
        raise failure("invalid_request", f"{expected}; got one {type(stdin).__name__} for all")


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
