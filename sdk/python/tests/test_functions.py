"""What travels as source, and what the error says about the rest."""

import functools
import math
from pathlib import Path
from typing import Optional

import pytest

from distributed_pool import PoolError
from distributed_pool.calls.spec import named_source
from distributed_pool.calls.values import checked_arguments, json_bytes
from distributed_pool.functions import positional, source_of


def ran(fn, *args):
    """The value of a function that runs from its source alone."""
    module = {"__name__": "function"}
    exec(source_of(fn), module)
    return module[fn.__name__](*args)


def refusal(fn):
    with pytest.raises(PoolError) as caught:
        source_of(fn)
    assert caught.value.code == "invalid_request"
    return caught.value.detail


def add(a, b=2):
    """Adds."""
    import json

    def inner(n):
        return n + b

    return json.loads(str(inner(a))) if a else sum(x for x in [b])


def annotated(path: Path, other: Optional[int] = None) -> Optional[Path]:
    found: Path = path
    return found


def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1)


async def coroutine(n):
    return n


def uses_module():
    return math.pi


def has_default(n=math.pi):
    return n


@functools.lru_cache()
def cached(n):
    return n


def decorator(fn):
    def inner(*args):
        return fn(*args)

    return inner


@decorator
def decorated(n):
    return n


class Counter:
    def method(self):
        return 1

    def __call__(self):
        return 1


def test_a_function_runs_from_its_source():
    assert ran(add, 1) == 3
    assert ran(recursive, 5) == 120
    assert ran(annotated, "here") == "here"
    assert "async def" in source_of(coroutine)


def test_a_nested_function_is_dedented():
    def nested(n):
        return n + 1

    assert ran(nested, 1) == 2


@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (lambda n: n, "a lambda"),
        (Counter().method, "bound method"),
        (Counter(), "native, or an object"),
        (Counter, "native, or an object"),
        (functools.partial(add, 1), "native, or an object"),
        (print, "native, or an object"),
        (cached, "native, or an object"),
        (decorated, "captured fn"),
        (uses_module, "uses math"),
        (has_default, "uses math"),
    ],
)
def test_the_error_says_why_a_function_cannot_travel(fn, why):
    assert why in refusal(fn)


def test_a_captured_variable_is_named():
    captured = 3

    def closure():
        return captured

    assert "captured captured" in refusal(closure)


def test_a_function_without_a_file_is_refused():
    module = {}
    exec("def made(): return 1", module)
    assert "source cannot be read" in refusal(module["made"])


def test_keywords_become_positions():
    assert positional(add, (1,), {"b": 3}) == [1, 3]
    with pytest.raises(PoolError, match="invalid_request"):
        positional(add, (), {"c": 3})


def test_a_long_source_has_a_hash():
    assert "hash" not in named_source(add)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), "args[0] is nan"),
        ({"a": [b""]}, "args[0]['a'][0] is an instance of bytes"),
        ({1: 2}, "args[0] is a dict with the key 1"),
        (2**53, "args[0] is an integer beyond"),
    ],
)
def test_an_argument_that_json_changes_is_refused(value, path):
    with pytest.raises(PoolError) as caught:
        checked_arguments([value])
    assert path in caught.value.detail


def test_a_cycle_is_refused():
    cycle = []
    cycle.append(cycle)
    with pytest.raises(PoolError, match="cycle"):
        checked_arguments([cycle])


def test_half_a_surrogate_travels():
    assert json_bytes(["\ud800\u2028"]) == b'["\\ud800\\u2028"]'
