"""Calls whose types mypy checks. Nothing runs them."""

from typing import Dict, List

from typing_extensions import assert_type

from distributed_pool import (
    AsyncChildHandle,
    AsyncDistributedPool,
    ChildHandle,
    DistributedPool,
    Result,
)


def lengths(words: List[str]) -> Dict[str, int]:
    return {word: len(word) for word in words}


async def later(n: int) -> int:
    return n


def without_asyncio(pool: DistributedPool) -> None:
    assert_type(pool.call("pipeline", lengths, ["a"], deadline_ms=1_000), Dict[str, int])
    assert_type(pool.call("pipeline", later, 1), int)
    assert_type(pool.call("pipeline", ["true"]), Result[ChildHandle])
    assert_type(pool.run("pipeline", ["true"]).stdout, str)
    for event in pool.stream("pipeline", ["true"]):
        if event.type == "stdout":
            assert_type(event.id, "int | None")
    with pool.executor("pipeline") as executor:
        assert_type(executor.submit(lengths, ["a"]).result(), Dict[str, int])


async def with_asyncio(pool: AsyncDistributedPool) -> None:
    assert_type(await pool.call("pipeline", later, 1), int)
    assert_type(await pool.call("pipeline", ["true"]), Result[AsyncChildHandle])
