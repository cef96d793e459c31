"""Outlier detection: a member that fails several times in a row goes to the end of the order.

The algorithm is Envoy's, with its consecutive failures and its ejection time. No member is left
out for good, because the others may be full.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, Dict

from ..members import Member

#: 3 failures in a row eject a member.
_FAILURES = 3
#: 5 seconds for the first ejection, 10 for the second, up to 5 minutes.
_EJECTION = 5.0
_MAX_EJECTION = 300.0
#: Once the ejection is over, one caller a second tries the member, until it works.
_TRIAL = 1.0
#: After 5 minutes in order, former ejections no longer count.
_FORGET = 300.0
#: 10,000 members with failures are known at a time.
_MAX_KNOWN = 10_000
#: Failures of an admission for which a sick member may be the cause.
SICK = frozenset({"sandbox_unavailable", "internal_error", "member_lost"})


@dataclass
class _Failing:
    failures: int = 0
    ejections: int = 0
    until: float = 0.0
    on_trial: bool = False


class Outliers:
    """Failures of one kind, by the member's name."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failing: Dict[str, _Failing] = {}

    def may_try(self, member: Member) -> bool:
        """Whether the member comes before the sick ones. Now and then one caller may try it."""
        known = self._failing.get(member.name)
        if known is None or known.failures < _FAILURES:
            return True
        now = self._now()
        if now < known.until:
            return False
        known.until, known.on_trial = now + _TRIAL, True
        return True

    def failed(self, name: str) -> None:
        known = self._failing.setdefault(name, _Failing())
        if len(self._failing) > _MAX_KNOWN:
            del self._failing[next(iter(self._failing))]
        known.failures += 1
        now = self._now()
        if known.failures < _FAILURES or (now < known.until and not known.on_trial):
            return
        known.ejections += 1
        known.on_trial = False
        known.until = now + min(_MAX_EJECTION, _EJECTION * known.ejections)

    def worked(self, name: str) -> None:
        known = self._failing.get(name)
        if known is None:
            return
        known.failures = 0
        if known.ejections == 0 or self._now() - known.until > _FORGET:
            del self._failing[name]


class Health:
    """The health of a pool's members, as this process has found it."""

    def __init__(self) -> None:
        #: Whether members start children. Only an admission shows that one does.
        self.starts = Outliers()
        #: Whether members tell their load in time.
        self.answers = Outliers()

    def may_try(self, member: Member) -> bool:
        """Whether the member comes before the sick ones."""
        return self.starts.may_try(member) and self.answers.may_try(member)
