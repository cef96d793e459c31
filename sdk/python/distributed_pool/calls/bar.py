"""The progress bar of a map, where tqdm is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union


@dataclass(frozen=True)
class MapProgress:
    """How far a map has come."""

    #: The inputs whose calls have succeeded.
    done: int
    #: The number of inputs; None where only reading them all would tell.
    total: Optional[int]


#: True for a bar, False for none, or a function that is called after each success. None: a bar in
#: a notebook and on a terminal, where tqdm is installed.
Progress = Union[bool, None, Callable[[MapProgress], None]]


class Meter:
    """Counts the successes of a map, and shows them."""

    def __init__(self, progress: Progress, pool: str, inputs: Any) -> None:
        total = len(inputs) if hasattr(inputs, "__len__") else None
        self._total: Optional[int] = total
        self._done = 0
        self._tell = progress if callable(progress) else None
        self._bar: Any = None
        if progress is True or (progress is None and _is_watched()):
            self._bar = _bar(pool, total)

    def one(self) -> None:
        """Notes one success."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(1)
        if self._tell is not None:
            self._tell(MapProgress(self._done, self._total))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _is_watched() -> bool:
    """Whether a person watches: this is a notebook, or stderr is a terminal."""
    return "ipykernel" in sys.modules or bool(sys.stderr and sys.stderr.isatty())


def _bar(pool: str, total: Optional[int]) -> Any:
    # Without widgets, tqdm warns in a notebook.
    name = "tqdm.auto" if importlib.util.find_spec("ipywidgets") else "tqdm"
    try:
        tqdm: Any = importlib.import_module(name).tqdm
    except ImportError:
        return None
    return tqdm(desc=pool, total=total)
