"""Calls a member by the client of openapi-python-client. Prints a line for each check."""

import json
import os

from pool_client import Client
from pool_client.api.children import get_child, stop_child
from pool_client.api.pools import call_in_pool, place_child_in_pool, run_in_pool
from pool_client.models import ChildStatus, CommandSpec, FunctionBySource, FunctionSpec
from pool_client.models import PlacedEvent, ResultEvent, StdoutEvent

client = Client(base_url=os.environ["POOL_URL"])
EVENTS = {"placed": PlacedEvent, "stdout": StdoutEvent, "result": ResultEvent}


def run(pool, body):
    return run_in_pool.sync(pool, client=client, body=body)


def call():
    by_source = FunctionBySource(source="(a, b) => a + b", args=[1211, 1])
    assert run("pipeline", FunctionSpec(function=by_source)).value == 1212
    result = run("pipeline", CommandSpec(command=["echo", "hi"]))
    assert (result.stdout, result.exit_code) == ("hi\n", 0), result


def hold(pool):
    body = CommandSpec(command=["sleep", "60"])
    return place_child_in_pool.sync(pool, client=client, body=body).id


def place():
    child = hold("pipeline")
    assert get_child.sync(child, client=client).status == ChildStatus.RUNNING
    assert stop_child.sync(child, client=client).id == child


def errors():
    assert run("nobody", CommandSpec(command=["true"])).code == "pool_not_found"
    assert run("pipeline", CommandSpec(command=[])).code == "invalid_request"
    holder = hold("single")
    full = run("single", CommandSpec(command=["true"])).code
    stop_child.sync(holder, client=client)
    assert full == "all_members_at_capacity", full


def stream():
    # The generated call reads the whole body, so only its request is used.
    request = call_in_pool._get_kwargs("pipeline", body=CommandSpec(command=["echo", "hi"]))
    with client.get_httpx_client().stream(**request) as answer:
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    events = [EVENTS[data["type"]].from_dict(data) for data in map(json.loads, lines)]
    assert [type(event) for event in events] == list(EVENTS.values()), lines


for check in (call, place, errors, stream):
    try:
        check()
        print(f"{check.__name__}: ok", flush=True)
    except Exception as error:
        print(f"{check.__name__}: {error!r}", flush=True)
