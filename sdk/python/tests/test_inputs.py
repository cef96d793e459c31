"""Inputs that block, and the number of calls at a time."""

import asyncio
import os
import subprocess
import sys
import threading
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from scripted import PLACED, as_json, server, sse

from distributed_pool import DistributedPool, PoolError
from distributed_pool.calls.fan_out import Slots, fan_out
from distributed_pool.calls.stream import pieces_of
from distributed_pool.consul import members as watching
from distributed_pool.errors import failure

SECONDS = 20


def within(work):
    return asyncio.run(asyncio.wait_for(work, SECONDS))


def test_an_input_that_blocks_leaves_the_event_loop_free():
    came = threading.Event()
    closed = SimpleQueue()

    def inputs():
        try:
            yield 1
            assert came.wait(SECONDS), "the event loop ran meanwhile"
            yield 2
            yield 3
        finally:
            closed.put(threading.current_thread() is not threading.main_thread())

    async def work(index, item):
        asyncio.get_running_loop().call_later(0.01, came.set)
        return item

    async def main():
        results = fan_out(work, inputs(), Slots(None, 2), ordered=True)
        taken = [await results.__anext__(), await results.__anext__()]
        await results.aclose()
        return taken

    assert within(main()) == [(0, 1), (1, 2)]
    # The thread may still read an input, which nobody awaits, before it closes them.
    assert closed.get(timeout=SECONDS)


def test_results_and_failures_do_not_wait_for_an_input():
    stop = threading.Event()

    def inputs():
        yield 1
        yield 2
        stop.wait(SECONDS)

    async def work(index, item):
        return item

    async def fails(index, item):
        if item == 2:
            raise failure("cancelled", "foo")
        return item

    async def taken(job):
        results = fan_out(job, inputs(), Slots(None, 5), ordered=True)
        try:
            return [await results.__anext__() for _ in range(2)]
        finally:
            await results.aclose()

    assert within(taken(work)) == [(0, 1), (1, 2)]
    with pytest.raises(PoolError, match="foo"):
        within(taken(fails))
    stop.set()


def test_errors_of_inputs_arrive():
    def inputs():
        yield 1
        raise OSError("no more")

    async def work(index, item):
        return item

    async def main():
        return [each async for each in fan_out(work, inputs(), Slots(None, 1), ordered=True)]

    with pytest.raises(OSError, match="no more"):
        within(main())


@pytest.mark.parametrize("mode", ["rb", "r"])
def test_a_pipe_is_sent_as_it_comes(mode):
    reading, writing = os.pipe()

    async def main():
        pieces = pieces_of(file)
        os.write(writing, b"foo\n")
        found = [await pieces.__anext__()]
        os.write(writing, b"bar\n")
        os.close(writing)
        return found + [piece async for piece in pieces]

    with open(reading, mode) as file:
        assert within(main()) == [b"foo\n", b"bar\n"]


def test_an_input_that_never_comes_does_not_keep_the_program():
    def answer(method, path, read):
        return sse(PLACED, {"type": "result", "exitCode": 0})

    program = """
import os, sys
from distributed_pool import DistributedPool
with DistributedPool(sys.argv[1]) as pool:
    print(pool.call("pipeline", ["true"], stdin=os.fdopen(int(sys.argv[2]), "rb")).exit_code)
"""
    reading, writing = os.pipe()
    try:
        with server(answer) as url:
            command = [sys.executable, "-c", program, url, str(reading)]
            ran = subprocess.run(
                command, pass_fds=[reading], capture_output=True, text=True, timeout=SECONDS
            )
    finally:
        os.close(reading)
        os.close(writing)
    assert (ran.returncode, ran.stdout) == (0, "0\n"), ran.stderr


def test_calls_do_not_share_one_input():
    with DistributedPool("http://127.0.0.1:1") as pool, open(os.devnull, "rb") as file:
        for stdin in (file, iter([b"foo"]), (each for each in [b"foo"])):
            with pytest.raises(PoolError, match="stdin") as caught:
                list(pool.map("pipeline", abs, [1], stdin=stdin))
            assert caught.value.code == "invalid_request"
            with pytest.raises(PoolError, match="stdin"):
                pool.executor("pipeline", stdin=stdin)


def counted(ask):
    slots = Slots(ask)

    async def main():
        return await asyncio.gather(*(slots.limit() for _ in range(50)))

    return within(main())


def test_many_calls_count_the_slots_once():
    asked = []

    async def ask():
        asked.append(1)
        await asyncio.sleep(0)
        return SimpleNamespace(members=[SimpleNamespace(load=SimpleNamespace(max=7))])

    assert counted(ask) == [7] * 50
    assert len(asked) == 1


def test_a_count_that_fails_is_made_again():
    asked = []

    async def ask():
        asked.append(1)
        raise failure("no_members_available", "foo")

    with pytest.raises(PoolError, match="foo"):
        counted(ask)
    assert len(asked) == 1
    with pytest.raises(PoolError, match="foo"):
        counted(ask)


def test_an_executor_repeats_the_count():
    asked = []

    def answer(method, path, read):
        if method == "POST":
            return sse(PLACED, {"type": "result", "value": 1})
        asked.append(path)
        if len(asked) == 1:
            return 503, "text/plain", b"foo"
        if len(asked) == 2:
            kind = "urn:distributed-pool:problem:overloaded"
            body = {"type": kind, "title": "foo", "detail": "foo", "code": "overloaded"}
            return as_json({**body, "status": 503}, 503)
        return as_json({"pool": "pipeline", "members": [], "tasks": [], "runtimes": []})

    def one():
        return 1

    with server(answer) as url, DistributedPool(url) as pool:
        with pool.executor("pipeline") as executor:
            with pytest.raises(PoolError):
                executor.submit(one).result(SECONDS)
            assert executor.submit(one).result(SECONDS) == 1
    assert len(asked) == 3


def test_a_watch_pauses_where_the_index_of_consul_does_not_grow(monkeypatch):
    answers = ["5", "5", "6", "3", "0", "9"]
    steps = []
    over = []
    sleep = asyncio.sleep

    class Consul:
        async def members(self, expression, index):
            steps.append(index)
            if len(steps) > len(answers):
                over[0].set()
                await sleep(SECONDS)
            return [SimpleNamespace(name="m1")], answers[len(steps) - 1]

    async def pause(seconds):
        steps.append("pause")
        answers.insert(len(steps) - 1, "")
        await sleep(0)

    async def main():
        # In Python 3.9, an event belongs to the event loop of its making.
        over.append(asyncio.Event())
        monkeypatch.setattr(watching.asyncio, "sleep", pause)
        watch = watching._Watch(Consul(), None)
        await over[0].wait()
        watch.task.cancel()

    within(main())
    assert steps == [None, "5", "pause", "5", "6", "pause", None, "pause", None, "9"]
