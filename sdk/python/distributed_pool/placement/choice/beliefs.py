"""The belief of one client about the load of each member."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional

#: 1,024 members of each of the two ages are known at a time.
_MAX_KNOWN = 1_024
#: 5 random members are compared.
_CHOICES = 5
_INTEGER = re.compile(r"([a-z]+)=(\d{1,15})(;.*)?")

LOAD_HEADER = "pool-load"


@dataclass(frozen=True)
class Load:
    """How busy one member is in one pool."""

    active: int
    max: int
    queued: int = 0

    @property
    def ratio(self) -> float:
        return self.active / self.max if self.max > 0 else 1.0

    @property
    def is_free(self) -> bool:
        return self.active < self.max


def load_of(header: Optional[str]) -> Optional[Load]:
    """The load in a header, such as `active=3, max=8, queued=0`; None for anything else."""
    told: Dict[str, int] = {}
    for part in (header or "").split(","):
        match = _INTEGER.fullmatch(part.strip())
        if match:
            told[match[1]] = int(match[2])
    if "active" not in told or "max" not in told:
        return None
    return Load(told["active"], told["max"], told.get("queued", 0))


class Belief:
    """The belief of one client about the load of one member."""

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        #: When the member told its load, or when the last end of a child there was seen.
        self.at = now
        #: The place in the list of the members with a free slot; -1 for none.
        self.index = -1
        self._told: Optional[Load] = None
        #: Children admitted less children ended, since the member told its load.
        self._since = 0
        #: Requests without an answer yet, and since when the member has said nothing.
        self._pending = 0
        self._silent_since = 0.0

    @property
    def load(self) -> Optional[Load]:
        if self._told is None:
            return None
        active = max(0, self._told.active + self._since) + self._pending
        return Load(active, self._told.max, self._told.queued)

    def silent(self, now: float) -> float:
        """Seconds for which the member has owed an answer without saying anything."""
        return now - self._silent_since if self._pending > 0 else 0.0

    def told(self, load: Load, now: float) -> None:
        self._told, self._since, self.at = load, 0, now

    def sent(self, now: float) -> None:
        if self._pending == 0:
            self._silent_since = now
        self._pending += 1

    def answered(self, admitted: bool, load: Optional[Load], now: float) -> None:
        self._pending = max(0, self._pending - 1)
        self._silent_since = now
        if load is not None:
            self.told(load, now)
        elif admitted:
            self._since += 1
        else:
            self._told = None

    def ended(self, now: float) -> None:
        self._since -= 1
        self.at = now


class BeliefSet:
    """Beliefs in the order of their news. To add, to remove and to draw take constant time."""

    def __init__(self) -> None:
        #: The oldest first.
        self.by_name: Dict[str, Belief] = {}
        self._free: List[Belief] = []

    def add(self, belief: Belief) -> None:
        self.by_name[belief.name] = belief
        self.refile(belief)
        if len(self.by_name) > _MAX_KNOWN:
            self.discard(self.by_name[next(iter(self.by_name))])

    def discard(self, belief: Belief) -> None:
        self.by_name.pop(belief.name, None)
        self._set_free(belief, False)

    def refile(self, belief: Belief) -> None:
        load = belief.load
        self._set_free(belief, load is not None and load.is_free)

    def draw(self, passes: Callable[[Belief], bool]) -> List[Belief]:
        """Up to 5 different beliefs of members with a free slot that pass, in random order."""
        drawn: List[Belief] = []
        rest = len(self._free)
        while rest > 0 and len(drawn) < _CHOICES:
            belief = self._free[random.randrange(rest)]
            self._swap(belief, self._free[rest - 1])
            if passes(belief):
                drawn.append(belief)
            rest -= 1
        return drawn

    def older_than(self, at: float) -> List[Belief]:
        """The beliefs whose news are from before that time."""
        old: List[Belief] = []
        for belief in self.by_name.values():
            if belief.at >= at:
                break
            old.append(belief)
        return old

    def _set_free(self, belief: Belief, is_free: bool) -> None:
        if is_free == (belief.index >= 0):
            return
        if is_free:
            belief.index = len(self._free)
            self._free.append(belief)
        else:
            self._swap(belief, self._free[-1])
            self._free.pop()
            belief.index = -1

    def _swap(self, one: Belief, other: Belief) -> None:
        one.index, other.index = other.index, one.index
        self._free[one.index], self._free[other.index] = one, other
