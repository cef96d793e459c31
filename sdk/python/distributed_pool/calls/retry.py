"""The policy of retries: a call is made again only where it cannot start a second child."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Awaitable, Callable, Dict, TypeVar

from ..errors import PoolError, changed, failure
from ..http.send import Deadline

T = TypeVar("T")

#: The first pause takes up to 0.1 s; the limit of each further pause is twice as high, to 10 s.
_FIRST_PAUSE = 0.1
_MAX_PAUSE = 10.0
#: 3 tries behind a gateway that drains, if the caller asks for fewer.
_MIN_DRAINING = 3
#: A member that asks for more than 1 minute is not asked again.
_MAX_RETRY_AFTER = 60.0


class Retries:
    """The tries of one call."""

    def __init__(self, spec: Dict[str, Any], retries: int) -> None:
        self._max = whole_number("retries", retries, 0)
        self._deadline = Deadline(spec.get("deadlineMs"))
        self._is_keyed = "idempotencyKey" in spec
        self._made = 0
        #: Whether a try may have started the child.
        self._may_run = False

    @property
    def for_spec(self) -> Dict[str, Any]:
        """The rest of the deadline, as a key of the spec; no key for the first try."""
        return {} if self._made == 0 else self._deadline.for_spec

    def allow(self, error: PoolError) -> bool:
        """Whether the call may be made again: it starts no second child, and tries are left."""
        if not error.retryable and not (self._is_keyed and error.code == "member_lost"):
            return False
        draining = error.code == "draining"
        return self._made < (max(self._max, _MIN_DRAINING) if draining else self._max)

    def known(self, error: PoolError) -> PoolError:
        """The error of the last try. It does not say that the tries before it ran nothing."""
        if self._may_run and error.admitted is False:
            return changed(error, admitted="unknown")
        return error

    async def pause_after(self, error: PoolError) -> None:
        """Pauses before the next try: a random time behind the time of `Retry-After`.

        Raises:
            PoolError: the error itself when no try is left, or the deadline would pass.
        """
        if not self.allow(error):
            raise self.known(error)
        after = error.retry_after or 0.0
        pause = after + random.random() * min(_MAX_PAUSE, _FIRST_PAUSE * 2**self._made)
        if after > _MAX_RETRY_AFTER or pause * 1000 >= self._deadline.remaining_ms:
            raise self.known(error)
        self._made += 1
        self._may_run = self._may_run or error.admitted is not False
        await asyncio.sleep(pause)


async def retried(retries: Retries, request: Callable[[], Awaitable[T]]) -> T:
    """Makes a request, and makes it again as the policy allows."""
    while True:
        try:
            return await request()
        except PoolError as error:
            await retries.pause_after(error)


def whole_number(name: str, value: Any, least: int) -> int:
    """The value of an option that is a whole number.

    Raises:
        PoolError: `invalid_request` for another value.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    detail = f"{name}: expected a whole number of at least {least}; got {value!r}"
    raise failure("invalid_request", detail)
