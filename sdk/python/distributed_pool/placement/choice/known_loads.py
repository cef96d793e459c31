"""The loads of a pool's members as one client knows them, without asking anybody.

A choice compares a few random members that are known, and the one whose child ended last: the
choice among d with memory (Mitzenmacher, Prabhakar and Shah, 2002).
"""

from __future__ import annotations

from typing import Callable, List, Mapping, Optional, Sequence, Tuple

from ..members import Member
from .beliefs import Belief, BeliefSet, Load

#: 0.1 s: a member that said nothing for longer is asked before it is sent a call.
_FRESH_SECONDS = 0.1
#: 5 s: until then, a member that had a free slot is worth a question.
_KNOWN_SECONDS = 5.0


class KnownLoads:
    """The known loads of one pool. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._fresh = BeliefSet()
        self._older = BeliefSet()
        #: The member whose child ended last.
        self._freed: Optional[Belief] = None
        #: The mean ratio of the last random sample, and its time.
        self._sample: Tuple[float, float] = (0.0, float("-inf"))

    def note(self, name: str, load: Load, now: float) -> None:
        """Notes the load that a member told."""
        belief = self._of(name, now)
        belief.told(load, now)
        self._renew(belief)

    def note_sample(self, loads: Sequence[Load], now: float) -> None:
        """Notes the loads of a random sample, beside `note` for each of its members."""
        if loads:
            self._sample = (sum(load.ratio for load in loads) / len(loads), now)

    def sent(self, name: str, now: float) -> None:
        """Notes that a member was sent a request for an admission."""
        belief = self._of(name, now)
        belief.sent(now)
        self._set_of(belief).refile(belief)

    def answered(self, name: str, admitted: bool, load: Optional[Load], now: float) -> None:
        """Notes the answer to such a request, or its failure."""
        belief = self._find(name)
        if belief is None:
            return
        belief.answered(admitted, load, now)
        if load is not None:
            self._renew(belief)
        else:
            self._set_of(belief).refile(belief)

    def ended(self, name: str, now: float) -> None:
        """Notes that a child which this client placed there has ended."""
        belief = self._find(name)
        if belief is None or belief.load is None:
            return
        belief.ended(now)
        self._renew(belief)
        self._freed = belief

    def choose(
        self,
        members: Mapping[str, Member],
        now: float,
        may_try: Callable[[Member], bool],
    ) -> Optional[Tuple[Member, Load, bool]]:
        """The least loaded of a few members that spoke just now, and its believed load.

        The third value says whether a sample of other members is likely to show a lower load.
        """
        self._age(now)
        drawn = self._fresh.draw(lambda each: self._is_usable(each, members, now))
        freed = self._freed
        if freed is not None and freed.index >= 0 and freed not in drawn:
            is_fresh = self._fresh.by_name.get(freed.name) is freed
            if is_fresh and self._is_usable(freed, members, now):
                drawn.append(freed)
        for belief in _by_ratio(drawn):
            member, load = members[belief.name], belief.load
            if load is not None and may_try(member):
                unknown = len(members) - len(self._fresh.by_name)
                return member, load, unknown > 0 and self._is_busy(load, now)
        return None

    def older(
        self,
        members: Mapping[str, Member],
        now: float,
        may_try: Callable[[Member], bool],
    ) -> Optional[Member]:
        """The least loaded of a few members whose loads are old, which is worth a question."""
        self._age(now)
        drawn = self._older.draw(lambda each: self._is_usable(each, members, now))
        known = (members[belief.name] for belief in _by_ratio(drawn))
        return next((member for member in known if may_try(member)), None)

    @staticmethod
    def _is_usable(belief: Belief, members: Mapping[str, Member], now: float) -> bool:
        return belief.name in members and belief.silent(now) <= _FRESH_SECONDS

    def _is_busy(self, load: Load, now: float) -> bool:
        """Whether other members are likely to be less loaded, by more than half a slot."""
        mean, at = self._sample
        usual = mean if now - at <= _KNOWN_SECONDS else 0.0
        return load.active > 0 and load.ratio > usual + 0.5 / load.max

    def _find(self, name: str) -> Optional[Belief]:
        return self._fresh.by_name.get(name) or self._older.by_name.get(name)

    def _of(self, name: str, now: float) -> Belief:
        belief = self._find(name)
        if belief is None:
            belief = Belief(name, now)
            self._fresh.add(belief)
        return belief

    def _set_of(self, belief: Belief) -> BeliefSet:
        return self._fresh if belief.name in self._fresh.by_name else self._older

    def _renew(self, belief: Belief) -> None:
        self._set_of(belief).discard(belief)
        self._fresh.add(belief)

    def _age(self, now: float) -> None:
        for belief in self._fresh.older_than(now - _FRESH_SECONDS):
            self._fresh.discard(belief)
            self._older.add(belief)
        for belief in self._older.older_than(now - _KNOWN_SECONDS):
            self._older.discard(belief)


def _by_ratio(beliefs: List[Belief]) -> List[Belief]:
    return sorted(beliefs, key=lambda each: each.load.ratio if each.load else 1.0)
