"""Problems: what ended a request or a child, and `PoolError`, the one class of errors."""

from __future__ import annotations

from typing import Any, Dict, Optional, Type, Union

from pydantic import BaseModel

from .models import FunctionError, RunProblem

#: The codes that this package raises itself, with their status and title.
_OWN = {
    "invalid_request": (400, "The request is not valid"),
    "unauthorized": (401, "A valid token is required"),
    "forbidden": (403, "This is not allowed"),
    "not_found": (404, "There is nothing at this path"),
    "pool_not_found": (404, "There is no such pool"),
    "child_not_found": (404, "There is no such child"),
    "payload_too_large": (413, "The payload is too large"),
    "events_expired": (410, "These events are no longer kept"),
    "cancelled": (502, "The child was stopped"),
    "member_lost": (502, "The member was lost"),
    "all_members_at_capacity": (503, "All members of the pool are at capacity"),
    "no_members_available": (503, "The pool has no member that answers"),
    "queue_timeout": (503, "No slot came free in time"),
    "deadline_exceeded": (504, "The deadline passed"),
}
#: Known codes that say that nothing was run: those of the statuses 408, 429 and 503.
_NOTHING_RAN = frozenset(
    "at_capacity all_members_at_capacity no_members_available queue_timeout draining overloaded "
    "idempotency_unavailable fenced too_many_requests request_timeout".split()
)


class PoolError(Exception):
    """A problem that ended a request or a child. Match on `code`; the message is for people.

    Example:
        >>> try:
        ...     pool.call("pipeline", fn)
        ... except PoolError as error:
        ...     if not error.retryable:
        ...         raise
    """

    #: The problem as the member sent it. Once a child was placed, it also has the `child`, and
    #: `exit_code`, `usage` and `artifacts` of a child that failed; with `run` the output.
    problem: RunProblem
    #: Seconds to pause before the same call is made again, as the member asked. Default: unknown.
    retry_after: Optional[float]
    #: With `map`: the position of the input whose call failed, from 0 on.
    index: Optional[int] = None

    def __init__(self, problem: RunProblem, retry_after: Optional[float] = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.problem.detail}"

    def __reduce__(self) -> Any:
        return (type(self), (self.problem, self.retry_after))

    @property
    def code(self) -> str:
        """The stable code. A newer member may send one that this version does not know."""
        return self.problem.code

    @property
    def detail(self) -> str:
        """What was expected and what came, for people."""
        return self.problem.detail

    @property
    def status(self) -> int:
        """The HTTP status of the problem."""
        return self.problem.status

    @property
    def admitted(self) -> Union[bool, str, None]:
        """Whether a member admitted the child: False when certainly nothing was run; "unknown"
        when its answer was lost; None where neither the problem nor its code says it."""
        admitted: Union[bool, str, None] = self.problem.admitted
        if admitted is None and self.code in _NOTHING_RAN:
            return False
        return admitted

    @property
    def retryable(self) -> bool:
        """Whether nothing was run, so that the same call may be made again after a pause."""
        return self.admitted is False


class CapacityError(PoolError):
    """No slot was free: `at_capacity`, `all_members_at_capacity` or `queue_timeout`."""


class MemberLostError(PoolError):
    """The member was lost or does not answer. It is unknown whether the child still runs."""


class RemoteError(Exception):
    """An error that a function raised in its child. It is the cause of `FunctionThrewError`."""

    def __init__(self, error: FunctionError) -> None:
        super().__init__(error.stack or f"{error.name}: {error.message}")
        self.error = error


class FunctionThrewError(PoolError):
    """The function raised an error inside its child. `error` has its name, message and stack."""

    def __init__(self, problem: RunProblem, retry_after: Optional[float] = None) -> None:
        super().__init__(problem, retry_after)
        if problem.error is not None:
            self.__cause__ = RemoteError(problem.error)

    @property
    def error(self) -> FunctionError:
        """The remote error as data."""
        return self.problem.error or FunctionError(name="Error", message=self.detail)


_CLASSES: Dict[str, Type[PoolError]] = {
    "at_capacity": CapacityError,
    "all_members_at_capacity": CapacityError,
    "queue_timeout": CapacityError,
    "member_lost": MemberLostError,
    "function_threw": FunctionThrewError,
}


def error_for(problem: RunProblem, retry_after: Optional[float] = None) -> PoolError:
    """The error for a problem, of the class that its code has."""
    return _CLASSES.get(problem.code, PoolError)(problem, retry_after)


def error_of(problem: BaseModel, **fields: Any) -> PoolError:
    """The error for the problem of an event, with further fields, such as the `child`."""
    data = {**problem.model_dump(by_alias=True, exclude_none=True), **fields}
    return error_for(RunProblem.model_validate(data))


def failure(code: str, detail: str, **more: Any) -> PoolError:
    """An error of this package's own, such as `failure("member_lost", text, admitted=True)`."""
    status, title = _OWN[code]
    kind = f"urn:distributed-pool:problem:{code}"
    fields = {"type": kind, "title": title, "status": status, "detail": detail, "code": code}
    return error_for(RunProblem.model_validate({**fields, **more}))


def changed(error: PoolError, **fields: Any) -> PoolError:
    """The same error with other fields of its problem."""
    copy = error_for(error.problem.model_copy(update=fields), error.retry_after)
    if error.__cause__ is not None:
        copy.__cause__ = error.__cause__
    return copy


def message_of(error: BaseException) -> str:
    """The message of any error. Errors of timeouts have none."""
    return str(error) or type(error).__name__
