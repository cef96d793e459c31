"""The answers of members. `generate_models.py` makes this file from the contract."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Artifact(BaseModel):
    """
    A file that a child left. `/children/{id}/files/{path}` has its bytes.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    path: str = ''
    """
    The path of the file in the workspace.
    """
    bytes: int = 0
    """
    The size of the file in bytes.
    """


class FunctionError(BaseModel):
    """
    An error that a function threw, as its child saw it. It has at most 16 errors, the causes and the grouped ones included, of 40,960 characters together; the rest is left out.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    name: str = ''
    """
    The name of the error's class, such as `TypeError`.
    """
    message: str = ''
    """
    The message of the error.
    """
    stack: Optional[str] = None
    """
    The stack of the error; absent where there is none.
    """
    code: Optional[str] = None
    """
    The code of the error, such as `ECONNREFUSED`, where it has one; a number as decimal text.
    """
    cause: Optional[Any] = None
    """
    A value like this one: `FunctionError`.
    """
    errors: Optional[list[FunctionError]] = None
    """
    The errors that this one groups: `errors` of an `AggregateError`; `exceptions` of an `ExceptionGroup`.
    """


class GapEvent(BaseModel):
    """
    The reader missed this many bytes of output: they are no longer kept.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['gap']
    """
    The type of the event: `gap`.
    """
    dropped_bytes: Annotated[int, Field(alias='droppedBytes')]
    """
    The number of bytes that the reader missed.
    """
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class InvalidField(BaseModel):
    """
    A field of the request that is at fault.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    path: str = ''
    """
    JSON Pointer to the field; empty for the whole.
    """
    message: str = ''
    """
    The expected value, and the one that came.
    """


class Load(BaseModel):
    """
    How busy one member is in one pool.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    active: int = 0
    """
    Children that hold a slot now.
    """
    max: int = 0
    """
    Slots of this pool on this member (`maxChildren`); 0 while it drains.
    """
    queued: int = 0
    """
    Callers that wait for a slot of this pool on this member.
    """


class PoolSummary(BaseModel):
    """
    A pool and its size.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    pool: Optional[str] = None
    """
    The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
    """
    members: int = 0
    """
    The members that admit children.
    """
    max: int = 0
    """
    The slots of the members that admit children, together.
    """
    draining: Optional[int] = None
    """
    The members that drain. Absent from a member of an earlier version.
    """
    lost: Optional[int] = None
    """
    The members that are lost or sick. Absent from a member of an earlier version.
    """


class Problem(BaseModel):
    """
    The reason why a request or a child failed: RFC 9457, with a stable `code`.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: str = ''
    """
    The URN of the code: `urn:distributed-pool:problem:` and the code.
    """
    title: str = ''
    """
    The meaning of the code, for people.
    """
    status: int = 0
    """
    The HTTP status that belongs to the code.
    """
    detail: str = ''
    """
    For people: what was expected, and what came.
    """
    code: str
    """
    The stable code of a problem. More codes may come, so a client treats a code that it does not know by its status.
    """
    fields: Optional[list[InvalidField]] = None
    """
    With `invalid_request`: each field at fault.
    """
    load: Optional[Load] = None
    """
    With `at_capacity`: the member's load at that moment.
    """
    admitted: Optional[Any] = None
    """
    Whether a member admitted the child: false when certainly nothing was run, so the same request may be sent again; true when it was admitted; `"unknown"` when the answer was lost. Absent where `code` says it.
    """
    error: Optional[FunctionError] = None
    """
    With `function_threw`: the error.
    """


class Progress(BaseModel):
    """
    The last progress that the child reported. Absent when there is none.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    done: float
    """
    The amount that is done, in a unit that the child chooses. It may decrease, and may exceed a `total` that was a guess.
    """
    total: Optional[float] = None
    """
    The whole amount, in the same unit; absent when the child did not report it.
    """
    message: Optional[str] = None
    """
    One line for people, without control characters. The child wrote it. Absent when it did not.
    """


class ProgressEvent(BaseModel):
    """
    Progress that the child reports itself: a command by lines such as `3/10 words` on its file descriptor 3, a function by its context. Events are throttled to five a second, and to fewer after some minutes; the last report before the end always comes.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['progress']
    """
    The type of the event: `progress`.
    """
    done: float
    """
    The amount that is done, in a unit that the child chooses. It may decrease, and may exceed a `total` that was a guess.
    """
    total: Optional[float] = None
    """
    The whole amount, in the same unit; absent when the child did not report it.
    """
    message: Optional[str] = None
    """
    One line for people, without control characters. The child wrote it. Absent when it did not.
    """
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class QueuedEvent(BaseModel):
    """
    The caller waits for a slot. There is no child yet, and the event carries no id.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['queued']
    """
    The type of the event: `queued`.
    """
    position: int
    """
    1 for the next caller to be served.
    """
    count: Optional[int] = None
    """
    Slots that a request with `count` still waits for: fewer than it asked for where the queue is full. Calls have no such field.
    """
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class StderrEvent(BaseModel):
    """
    Output of the child: `text`, or `base64` when the spec asks for it.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['stderr']
    """
    The type of the event: `stderr`.
    """
    text: Optional[str] = None
    """
    The output as text; absent for base64.
    """
    base64: Optional[str] = None
    """
    The output in base64; absent for text.
    """
    lossy: Optional[bool] = None
    """
    True when U+FFFD replaces bytes of `text` that were not UTF-8. Default false: `text` is all of it.
    """
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class StdoutEvent(BaseModel):
    """
    Output of the child: `text`, or `base64` when the spec asks for it.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['stdout']
    """
    The type of the event: `stdout`.
    """
    text: Optional[str] = None
    """
    The output as text; absent for base64.
    """
    base64: Optional[str] = None
    """
    The output in base64; absent for text.
    """
    lossy: Optional[bool] = None
    """
    True when U+FFFD replaces bytes of `text` that were not UTF-8. Default false: `text` is all of it.
    """
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class Usage(BaseModel):
    """
    The resources that the child took, so far while it runs. Absent when they are not measured yet.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    wall_ms: Annotated[float, Field(alias='wallMs')] = 0.0
    """
    Milliseconds from placement to the end of the process.
    """
    cpu_ms: Annotated[Optional[float], Field(alias='cpuMs')] = None
    """
    Milliseconds of user and system time of all processes of the child, with the start of its sandbox; null when the member cannot measure it (a command without a cgroup).
    """
    max_rss_bytes: Annotated[Optional[int], Field(alias='maxRssBytes')] = None
    """
    The most bytes of memory that all processes of the child and its workspace took at any time; null when the member cannot measure it (a command without a cgroup).
    """


class Child(BaseModel):
    """
    One sandboxed process of a pool.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    id: str
    """
    The id of a child: the name of its member, a dot, and 32 hexadecimal digits.
    """
    pool: Optional[str] = None
    """
    The pool of the child.
    """
    member: Optional[str] = None
    """
    The member that runs the child.
    """
    url: str = ''
    """
    The URL of the child on its own member.
    """
    owner: str = ''
    """
    The caller that placed the child: the name of its token, `jwt:` and the `sub` of its JWT, or `anyone` where callers need no token.
    """
    status: Optional[str] = None
    """
    What a child does. `running`: its program runs or is being started. `stopping`: it is being stopped. `ended`: its process is gone, and its artifacts can be read.
    """
    kind: Optional[str] = None
    """
    What a child runs: a command, a function or a task.
    """
    started_at: Annotated[Optional[AwareDatetime], Field(alias='startedAt')] = None
    """
    The time when the child got its slot.
    """
    deadline_at: Annotated[Optional[AwareDatetime], Field(alias='deadlineAt')] = None
    """
    The time when the child will be stopped; null if it has no deadline.
    """
    ended_at: Annotated[Optional[AwareDatetime], Field(alias='endedAt')] = None
    """
    The time when the child's process ended; null while it runs.
    """
    exit_code: Annotated[Optional[int], Field(alias='exitCode')] = None
    """
    The exit code of a child that has ended; 128 + n when signal n ended it. Null while it runs, and for a function that returned or threw.
    """
    code: Optional[str]
    """
    The code of the problem of a child that failed; null otherwise.
    """
    labels: Optional[dict[str, str]] = None
    """
    The names and values that the caller gave the child.
    """
    sandbox: Optional[str] = None
    """
    The level of the child's sandbox.
    """
    name: Optional[str] = None
    """
    What runs, in short, for people: the file name of the program, the name of the task, or the export of the function; at most 128 characters. Absent from a member of an earlier version.
    """
    command: Optional[list[str]] = None
    """
    The program and its arguments, for the caller that placed the child and the scope `admin`. What goes beyond 1,024 characters together is left out, and `…` takes its place. Absent for a function or a task, and for other callers.
    """
    progress: Optional[Progress] = None
    usage: Optional[Usage] = None


class ChildReference(BaseModel):
    """
    A child, and where it runs.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    id: str
    """
    The id of a child: the name of its member, a dot, and 32 hexadecimal digits.
    """
    pool: Optional[str] = None
    """
    The pool of the child.
    """
    member: Optional[str] = None
    """
    The member that runs the child.
    """
    url: str = ''
    """
    The URL of the child on its own member.
    """


class ChildResult(BaseModel):
    """
    How a child ended.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    child: ChildReference
    value: Optional[Any] = None
    """
    The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command.
    """
    encoding: Optional[str] = None
    """
    How `value` is written. Default: `json`, when it is absent.
    """
    exit_code: Annotated[Optional[int], Field(alias='exitCode')] = None
    """
    The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
    """
    usage: Optional[Usage] = None
    """
    The resources that a child took.
    """
    artifacts: Annotated[list[Artifact], Field(validate_default=True)] = []
    """
    The files that the child left for its caller.
    """
    problem: Optional[Problem] = None
    """
    The reason why the child failed; absent for a child that ended by itself.
    """


class DrainingMember(BaseModel):
    """
    A member that drains: it admits no child, and finishes those that run.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    member: Optional[str] = None
    """
    The name of a member: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
    """
    drain_ends_at: Annotated[Optional[AwareDatetime], Field(alias='drainEndsAt')] = None
    """
    With `draining`: the time when children that still run are stopped.
    """


class FailedEvent(BaseModel):
    """
    Terminal: the child, or its placement, failed. With `child`, only the stream has ended: the member that passed it on is about to leave. Such an event has no id.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['failed']
    """
    The type of the event: `failed`.
    """
    problem: Problem
    child: Optional[ChildReference] = None
    """
    With `draining`: the child, which runs on. Its events resume at `/children/{id}/events` of any member, after the last event that had an id.
    """
    value: Optional[Any] = None
    """
    The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command.
    """
    encoding: Optional[str] = None
    """
    How `value` is written. Default: `json`, when it is absent.
    """
    exit_code: Annotated[Optional[int], Field(alias='exitCode')] = None
    """
    The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
    """
    usage: Optional[Usage] = None
    """
    The resources that a child took.
    """
    artifacts: Optional[list[Artifact]] = None
    """
    The files that the child left for its caller.
    """
    partial: Optional[bool] = None
    """
    True when the `value` or the `artifacts` are left out, because the line would reach 64 KiB: `/children/{id}/result` has them. Absent when the event is whole.
    """
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class PlacedEvent(BaseModel):
    """
    The child has a slot. Always the first event with an id.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['placed']
    """
    The type of the event: `placed`.
    """
    child: ChildReference
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class PoolChildList(BaseModel):
    """
    Children of one pool, on all its members.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    children: Annotated[list[Child], Field(validate_default=True)] = []
    """
    The children of this page.
    """
    next_cursor: Annotated[Optional[str], Field(alias='nextCursor')] = None
    """
    The `cursor` of the next page; absent on the last one.
    """
    unreachable: list[str] = []
    """
    Members that did not answer in time. Their children are missing from the list.
    """
    draining: Optional[list[DrainingMember]] = None
    """
    Members that drain. Absent from a member of an earlier version.
    """


class PoolList(BaseModel):
    """
    The pools that have members.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    pools: Annotated[list[PoolSummary], Field(validate_default=True)] = []
    """
    The pools of this page.
    """
    next_cursor: Annotated[Optional[str], Field(alias='nextCursor')] = None
    """
    The `cursor` of the next page; absent on the last one.
    """


class PoolMember(BaseModel):
    """
    A member of a pool.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    member: Optional[str] = None
    """
    The name of a member: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
    """
    url: str = ''
    """
    The URL of the member.
    """
    version: str = ''
    """
    The version of the member's program.
    """
    sandbox: Optional[str] = None
    """
    The level of the member's sandbox.
    """
    load: Optional[Load] = None
    """
    The member's load; null when it did not answer in time.
    """
    state: Optional[str] = None
    """
    `up`: it admits children. `draining`: it admits none, and finishes those that run. `sick`: it can start none, and is still asked about its children. `lost`: the registry has not heard of it, or it does not answer. `left`: it is no longer registered.
    """
    detail: Optional[str] = None
    """
    For people: the reason for a state other than `up`.
    """
    started_at: Annotated[Optional[AwareDatetime], Field(alias='startedAt')] = None
    """
    The time when the member's process started. Absent while it does not answer.
    """
    drain_ends_at: Annotated[Optional[AwareDatetime], Field(alias='drainEndsAt')] = None
    """
    With `draining`: the time when children that still run are stopped.
    """


class ResultEvent(BaseModel):
    """
    Terminal: the child ended by itself.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: Literal['result']
    """
    The type of the event: `result`.
    """
    value: Optional[Any] = None
    """
    The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command.
    """
    encoding: Optional[str] = None
    """
    How `value` is written. Default: `json`, when it is absent.
    """
    exit_code: Annotated[Optional[int], Field(alias='exitCode')] = None
    """
    The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
    """
    usage: Optional[Usage] = None
    """
    The resources that a child took.
    """
    artifacts: Annotated[list[Artifact], Field(validate_default=True)] = []
    """
    The files that the child left for its caller.
    """
    partial: Optional[bool] = None
    """
    True when the `value` or the `artifacts` are left out, because the line would reach 64 KiB: `/children/{id}/result` has them. Absent when the event is whole.
    """
    id: Optional[int] = None
    """
    Its number in the child's log.
    """


class RunProblem(BaseModel):
    """
    The reason why a run failed. When a child had been placed, the fields of a result that it left are beside it.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    type: str = ''
    """
    The URN of the code: `urn:distributed-pool:problem:` and the code.
    """
    title: str = ''
    """
    The meaning of the code, for people.
    """
    status: int = 0
    """
    The HTTP status that belongs to the code.
    """
    detail: str = ''
    """
    For people: what was expected, and what came.
    """
    code: str
    """
    The stable code of a problem. More codes may come, so a client treats a code that it does not know by its status.
    """
    fields: Optional[list[InvalidField]] = None
    """
    With `invalid_request`: each field at fault.
    """
    load: Optional[Load] = None
    """
    With `at_capacity`: the member's load at that moment.
    """
    admitted: Optional[Any] = None
    """
    Whether a member admitted the child: false when certainly nothing was run, so the same request may be sent again; true when it was admitted; `"unknown"` when the answer was lost. Absent where `code` says it.
    """
    error: Optional[FunctionError] = None
    """
    With `function_threw`: the error.
    """
    child: Optional[ChildReference] = None
    stdout: Optional[str] = None
    """
    The first MiB of the child's standard output.
    """
    stderr: Optional[str] = None
    """
    The first MiB of the child's standard error.
    """
    truncated: Optional[bool] = None
    """
    True when the child wrote more output than an answer has: 1 MiB each of stdout and stderr.
    """
    value: Optional[Any] = None
    """
    The value that the function returned; null for undefined. `encoding` says how it is written. Absent for a command.
    """
    encoding: Optional[str] = None
    """
    How `value` is written. Default: `json`, when it is absent.
    """
    exit_code: Annotated[Optional[int], Field(alias='exitCode')] = None
    """
    The exit code; 128 + n when signal n ended the program. A child that was stopped has the one that it chose after TERM, or 137 after KILL. Absent for a function that returned or threw.
    """
    usage: Optional[Usage] = None
    """
    The resources that a child took.
    """
    artifacts: Optional[list[Artifact]] = None
    """
    The files that the child left for its caller.
    """


class Pool(BaseModel):
    """
    A pool with its members.
    """

    model_config = ConfigDict(
        extra='allow',
        populate_by_name=True,
    )
    pool: Optional[str] = None
    """
    The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
    """
    members: Annotated[list[PoolMember], Field(validate_default=True)] = []
    """
    The members of the pool.
    """
    tasks: list[str] = []
    """
    Tasks that at least one member of the pool has.
    """
    runtimes: list[str] = []
    """
    Runtimes that at least one member of the pool has.
    """


FunctionError.model_rebuild()


#: The codes that this version knows.
known_codes = frozenset(
    {
        "invalid_request",
        "unauthorized",
        "forbidden",
        "not_found",
        "pool_not_found",
        "child_not_found",
        "child_forgotten",
        "slot_not_found",
        "task_not_found",
        "runtime_not_found",
        "method_not_allowed",
        "not_acceptable",
        "unsupported_media_type",
        "range_not_satisfiable",
        "source_unknown",
        "idempotency_conflict",
        "stdin_closed",
        "fetch_failed",
        "events_expired",
        "payload_too_large",
        "request_timeout",
        "too_many_requests",
        "function_threw",
        "at_capacity",
        "all_members_at_capacity",
        "no_members_available",
        "queue_timeout",
        "draining",
        "overloaded",
        "idempotency_unavailable",
        "fenced",
        "worker_crashed",
        "out_of_memory",
        "cancelled",
        "member_lost",
        "deadline_exceeded",
        "sandbox_unavailable",
        "internal_error",
    }
)
