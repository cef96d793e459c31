"""Reads the JSON of members."""

from __future__ import annotations

import json
from typing import Any, Union

from ..errors import PoolError, failure

#: 4,300 digits: Python refuses to read a longer integer.
_MAX_DIGITS = 4_300


def parsed(text: Union[str, bytes, bytearray]) -> Any:
    """The value of a JSON text.

    An integer of more than 4,300 digits is read as a float, which is `inf`, as `1e5000` is.

    Raises:
        ValueError: for another text.
        PoolError: `payload_too_large` for a text that nests deeper than Python can read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise too_deep() from error
    except UnicodeDecodeError:
        raise
    except ValueError:
        return json.loads(text, parse_int=_number)


def too_deep() -> PoolError:
    """The error for JSON that nests deeper than the stack of this thread allows."""
    detail = "expected JSON that Python can read; got arrays or objects that nest too deeply"
    return failure("payload_too_large", detail, admitted="unknown")


def _number(digits: str) -> Union[int, float]:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)
