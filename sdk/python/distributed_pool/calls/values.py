"""Arguments as JSON, without a change that the caller would not see."""

from __future__ import annotations

import json
import math
from typing import Any, Iterator, List, Optional, Tuple

from ..errors import failure

_SAFE_INTEGER = 2**53 - 1
#: 1,000 levels: members refuse values that nest deeper.
_MAX_NESTING = 1_000


def checked_arguments(args: List[Any]) -> List[Any]:
    """The arguments themselves, when JSON carries them unchanged.

    Raises:
        PoolError: `invalid_request`, with the path of the value that JSON would change.
    """
    flaw = _flaw_in(args)
    if flaw is not None:
        raise failure("invalid_request", f"expected arguments that JSON carries; args{flaw}")
    return args


#: A value, its key, and the node that contains it.
_Node = Tuple[Any, Any, Optional[Any]]


def _flaw_in(root: Any) -> Optional[str]:
    """The first part that JSON would change, with its path. It does not recurse."""
    pending: List[_Node] = [(root, None, None)]
    while pending:
        node = pending.pop()
        value = node[0]
        flaw = _flaw_of(value)
        if flaw is None and isinstance(value, (list, tuple, dict)):
            above = list(_above(node))
            if any(value is each[0] for each in above):
                flaw = "part of a cycle"
            elif len(above) > _MAX_NESTING:
                flaw = f"nested more than {_MAX_NESTING} levels deep"
            items = value.items() if isinstance(value, dict) else enumerate(value)
            if flaw is None:
                pending.extend((item, key, node) for key, item in items)
        if flaw is not None:
            keys = [node[1], *(each[1] for each in _above(node))][:-1]
            return "".join(f"[{key!r}]" for key in reversed(keys)) + f" is {flaw}"
    return None


def _above(node: _Node) -> Iterator[_Node]:
    parent = node[2]
    while parent is not None:
        yield parent
        parent = parent[2]


def _flaw_of(value: Any) -> Optional[str]:
    if value is None or isinstance(value, (bool, str, list, tuple)):
        return None
    if isinstance(value, int):
        return None if abs(value) <= _SAFE_INTEGER else "an integer beyond 2**53: send it as text"
    if isinstance(value, float):
        return None if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, str)), None)
        return None if odd is None else f"a dict with the key {odd!r}, which is not a string"
    return f"an instance of {type(value).__name__}: send text, a number, a list or a dict"


def json_bytes(value: Any) -> bytes:
    """JSON in ASCII, which also carries half a surrogate.

    Raises:
        PoolError: `invalid_request` for a value without JSON.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise failure("invalid_request", f"expected a child spec as JSON; {error}") from error
