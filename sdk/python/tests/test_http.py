"""Requests to servers that are slow, lie or leave."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
from types import SimpleNamespace

import httpx
import pytest
from scripted import CHILD, PLACED, as_json, problem, server, sse

from distributed_pool import DistributedPool, PoolError
from distributed_pool.http import resume, transport
from distributed_pool.http.client import Client, Request
from distributed_pool.placement.pages import all_pages

COMMAND = {"command": ["true"]}
RESULT = {"type": "result", "exitCode": 0}


def test_each_piece_of_a_body_starts_the_time_of_an_answer_again(monkeypatch):
    now = [0.0]
    sizes = []
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            async for piece in request.stream:
                sizes.append(len(piece))
                now[0] += 0.04
                # The limit passes meanwhile by the clock of the event loop.
                await asyncio.sleep(0.1)
            return httpx.Response(200)

    async def send():
        async with httpx.AsyncClient(transport=Slow()) as client:
            request = client.build_request("POST", "http://x", content=bytes(200_000))
            return await transport.answer_of(client, request, 0.05)

    assert asyncio.run(send()).status_code == 200
    assert sizes == [65_536] * 3 + [200_000 - 3 * 65_536]


def test_a_silent_server_is_lost_after_the_limit():
    left = threading.Event()

    def answer(method, path, read):
        left.wait(20)
        return as_json({})

    async def ask(url):
        client = Client()
        try:
            await client.json(url, Request(seconds=0.1))
        finally:
            await client.aclose()

    with server(answer) as url:
        with pytest.raises(PoolError, match=r"nothing came for 0\.1 s") as caught:
            asyncio.run(ask(url))
        left.set()
    assert (caught.value.code, caught.value.admitted) == ("member_lost", "unknown")


def test_a_member_of_consul_shows_its_name_without_certificates_of_the_client():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = []
    context.sni_callback = lambda _, name, __: names.append(name)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)

    def serve():
        connection, _ = listening.accept()
        with pytest.raises(OSError):
            context.wrap_socket(connection, server_side=True)
        connection.close()

    serving = threading.Thread(target=serve)
    serving.start()
    meta = {"member": "m1", "maxChildren-pipeline": "5", "scheme": "https"}
    port = listening.getsockname()[1]
    entry = {
        "Node": {"Address": "127.0.0.1"},
        "Service": {"Address": "127.0.0.1", "Port": port, "Meta": meta},
        "Checks": [],
    }

    def consul(method, path, read):
        return as_json([entry])

    with server(consul) as address, listening, DistributedPool(consul=address) as pool:
        assert [each.load for each in pool.pool("pipeline").members] == [None]
        serving.join(20)
    assert names == ["m1.distributed-pool"]


def test_certificates_are_read_for_https_only():
    program = """
import ssl
def refuse(*_, **__):
    raise AssertionError("certificates were read")
ssl.create_default_context = ssl.SSLContext.load_default_certs = refuse
from distributed_pool import DistributedPool, PoolError
for options in ({"url": "http://127.0.0.1:1"}, {"consul": "127.0.0.1:1"}):
    with DistributedPool(**options) as pool:
        try:
            pool.pools()
        except PoolError as error:
            print(error.code)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.split() == ["no_members_available"] * 2, ran.stderr


@pytest.mark.parametrize("place", ["event", "answer"])
def test_a_child_that_was_handed_over_is_never_sent_again(monkeypatch, place):
    monkeypatch.setattr(resume, "_FIRST_PAUSE", 0.001)
    calls = []
    handed = {"type": "failed", "problem": problem("draining"), "child": PLACED["child"]}
    ended = {"type": "failed", "problem": problem("draining")}

    def answer(method, path, read):
        if method == "POST":
            calls.append(path)
            return sse(handed)
        if place == "event":
            return sse(ended)
        return as_json(problem("draining"), 503)

    with server(answer) as url, DistributedPool(url, retries=3) as pool:
        with pytest.raises(PoolError) as caught:
            pool.call("pipeline", ["true"])
    assert (caught.value.code, caught.value.admitted) == ("draining", True)
    assert len(calls) == 1


def test_a_long_integer_is_no_cut():
    digits = "1" * 5_000
    value = f'{{"type": "result", "value": [12, {digits}, -{digits}]}}'

    def answer(method, path, read):
        if method == "POST":
            return sse(PLACED, ("result", value))
        return 200, "application/json", value.encode()

    spec = {"function": {"source": "f", "runtime": "node", "args": []}}
    with server(answer) as url, DistributedPool(url) as pool:
        assert pool.call("pipeline", spec) == [12, float("inf"), -float("inf")]
        assert pool.child(CHILD).result().value == [12, float("inf"), -float("inf")]


def test_json_that_nests_too_deeply_is_an_error_of_its_own():
    deep = "[" * 200_000 + "]" * 200_000
    value = f'{{"type": "result", "value": {deep}}}'
    calls = []

    def answer(method, path, read):
        calls.append(method)
        if method == "POST":
            return sse(PLACED, ("result", value))
        return 200, "application/json", value.encode()

    spec = {"function": {"source": "f", "runtime": "node", "args": []}}
    with server(answer) as url, DistributedPool(url, retries=3) as pool:
        with pytest.raises(PoolError) as caught:
            pool.call("pipeline", spec)
        assert (caught.value.code, caught.value.admitted) == ("payload_too_large", True)
        assert calls == ["POST"]
        with pytest.raises(PoolError) as caught:
            pool.child(CHILD).result()
        assert caught.value.code == "payload_too_large"


def test_an_unknown_event_that_cannot_be_read_is_skipped():
    news = [("news", "no JSON"), ("news", "[1]"), ("news", "[" * 200_000)]
    with server(lambda *_: sse(PLACED, *news, RESULT)) as url, DistributedPool(url) as pool:
        events = list(pool.stream("pipeline", COMMAND))
    assert [event.type for event in events] == ["placed", "result"]


def test_ids_that_are_no_numbers_are_ignored():
    odd = [{"type": "progress", "done": 1, "id": each} for each in ("1" * 5_000, "²", "x")]
    with server(lambda *_: sse(PLACED, *odd, RESULT)) as url, DistributedPool(url) as pool:
        events = list(pool.stream("pipeline", COMMAND))
    assert [event.id for event in events] == [1, None, None, None, 5]


def test_a_listing_stops_after_a_thousand_pages():
    cursors = []

    async def read(cursor):
        cursors.append(cursor)
        return {"children": [], "nextCursor": "foo"}

    async def listed():
        return [page async for page in all_pages(read)]

    with pytest.raises(PoolError, match="1000 pages") as caught:
        asyncio.run(listed())
    assert caught.value.code == "payload_too_large"
    assert (len(cursors), cursors[:2]) == (1_000, [None, "foo"])


def test_a_listing_asks_for_large_pages_up_to_the_last():
    def answer(method, path, read):
        assert "limit=1000" in path
        following = {} if "cursor=a" in path else {"nextCursor": "a"}
        return 200, "application/json", json.dumps({"pools": [], **following}).encode()

    with server(answer) as url, DistributedPool(url) as pool:
        assert pool.pools().pools == []
