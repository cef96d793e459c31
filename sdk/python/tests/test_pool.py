"""Calls of a real member, whose URL is in DPOOL_URL."""

import asyncio
import contextlib
import io
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, Executor

import pytest

from distributed_pool import (
    AsyncDistributedPool,
    CapacityError,
    DistributedPool,
    FunctionThrewError,
    PoolError,
)

URL = os.environ.get("DPOOL_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="DPOOL_URL names no member")


@pytest.fixture()
def pool():
    with DistributedPool(URL, stderr=None) as pool:
        yield pool


def square(n):
    return n * n


def until(label, is_true, seconds=20):
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"{label} did not happen in {seconds} seconds"
        time.sleep(0.01)


def is_over(pool, job):
    return lambda: all(
        each.status == "ended" for each in pool.children("pipeline", {"job": job}).children
    )


def test_output_goes_to_the_stdout_of_the_moment(pool):
    def prints(n):
        print("é" * n)

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        pool.call("pipeline", prints, 3)
    assert out.getvalue() == "ééé\n"
    raw = io.BytesIO()
    pool.call("pipeline", ["printf", r"\377\000"], stdout=raw)
    assert raw.getvalue() == b"\xff\x00"


def test_two_hundred_inputs_are_mapped_in_order(pool):
    seen = []
    inputs = range(200)
    values = list(pool.map("pipeline", square, inputs, progress=seen.append))
    assert values == [n * n for n in inputs]
    assert (seen[-1].done, seen[-1].total) == (200, 200)


def test_the_first_failure_ends_a_map(pool):
    def odd_fails(n):
        if n == 3:
            raise ValueError(f"{n} is odd")
        return n

    taken = []

    def inputs():
        for n in range(1_000):
            taken.append(n)
            yield n

    with pytest.raises(FunctionThrewError) as caught:
        list(pool.map("pipeline", odd_fails, inputs()))
    assert (caught.value.index, caught.value.error.message) == (3, "3 is odd")
    assert len(taken) < 1_000


def test_leaving_a_map_stops_its_children(pool):
    spec = {"function": {"source": "def f(n):\n  import time\n  time.sleep(60 * n)\n  return n",
                         "runtime": "python"}, "labels": {"job": "left"}}  # fmt: skip
    results = pool.map("pipeline", spec, [0, 1, 1], ordered=False, concurrency=3)
    assert next(results) == 0
    results.close()
    until("the end of the children", is_over(pool, "left"))


def test_an_executor_is_one_of_the_standard_library(pool):
    def slow():
        import time

        time.sleep(60)

    with pool.executor("pipeline", labels={"job": "executor"}) as executor:
        assert isinstance(executor, Executor)
        assert list(executor.map(square, [1, 2, 3])) == [1, 4, 9]
        assert executor.submit(square, n=4).result() == 16
        many = [executor.submit(square, n) for n in range(40)]
        assert [each.result() for each in many] == [n * n for n in range(40)]
        running = executor.submit(slow)
        until("the start of the child", lambda: not is_over(pool, "executor")())
        assert running.cancel()
        with pytest.raises(CancelledError):
            running.result()
        with pytest.raises(PoolError, match="lambda"):
            executor.submit(lambda: 1)
        until("the end of the child", is_over(pool, "executor"))
    with pytest.raises(RuntimeError):
        executor.submit(square, 1)


def test_a_timeout_ends_the_wait_and_a_linked_child(pool):
    with pytest.raises(TimeoutError):
        pool.call("pipeline", ["sleep", "60"], timeout=0.5, link=True, labels={"job": "late"})
    until("the end of the child", is_over(pool, "late"))


def test_closing_a_pool_ends_the_calls_of_other_threads():
    pool = DistributedPool(URL)
    ended = []

    def call():
        try:
            pool.call("pipeline", ["sh", "-c", "echo; sleep 60"], link=True, stdout=started)
        except BaseException as error:
            ended.append(error)

    started = io.StringIO()
    thread = threading.Thread(target=call)
    thread.start()
    until("output", lambda: started.getvalue() != "")
    pool.close()
    thread.join(20)
    assert [error.code for error in ended] == ["member_lost"]
    with pytest.raises(PoolError, match="closed"):
        pool.pools()


def test_input_is_streamed(pool):
    def pieces():
        for n in range(3):
            yield f"{n}\n".encode()

    assert pool.run("pipeline", ["cat"], stdin=pieces()).stdout == "0\n1\n2\n"

    def broken():
        yield b"one"
        raise OSError("no more")

    with pytest.raises(PoolError, match="no more") as caught:
        pool.run("pipeline", ["cat"], stdin=broken())
    assert caught.value.code == "cancelled"


def test_tasks_of_asyncio_are_cancelled(pool):
    async def main():
        async with AsyncDistributedPool(URL, stdout=None) as pools:
            waiting = pools.call("pipeline", ["sleep", "60"], link=True, labels={"job": "task"})
            task = asyncio.ensure_future(waiting)
            await asyncio.sleep(0)
            while not (await pools.children("pipeline", {"job": "task"}, "running")).children:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(main(), 20))
    until("the end of the child", is_over(pool, "task"))


def test_options_and_bad_input_are_refused(pool):
    for work, options in (
        (["true"], {"deadlineMs": 1}),
        (["true"], {"retries": -1}),
        (7, {}),
        ([], {}),
    ):
        with pytest.raises(PoolError) as caught:
            pool.call("pipeline", work, **options)
        assert caught.value.code == "invalid_request"
    for arguments in ({}, {"url": URL, "consul": "x"}, {"url": "ftp://x"}, {"token": "a\nb"}):
        with pytest.raises(PoolError):
            DistributedPool(**{"url": None, **arguments})


def test_a_full_pool_refuses_and_a_wait_gets_a_slot(pool):
    with pytest.raises(CapacityError) as caught:
        children = []
        while True:
            children.append(pool.place_child("pipeline", ["sleep", "60"], link=False))
    assert caught.value.retryable
    positions = []
    for event in pool.stream("pipeline", ["true"], wait_ms=20_000):
        if event.type == "queued":
            positions.append(event.position)
            for child in children:
                child.stop(grace_ms=0)
            children = []
    assert positions[0] == 1
    assert event.type == "result"


def test_an_interrupt_ends_the_wait_and_a_linked_child(pool):
    def interrupt():
        until("the start of the child", lambda: not is_over(pool, "interrupted")())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        pool.call("pipeline", ["sleep", "60"], link=True, labels={"job": "interrupted"})
    thread.join(20)
    until("the end of the child", is_over(pool, "interrupted"))
