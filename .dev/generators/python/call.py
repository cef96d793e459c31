"""Calls a member by the client of openapi-generator's `python`. Prints a line for each check."""

import os

import pool_client as pc

client = pc.ApiClient(pc.Configuration(host=os.environ["POOL_URL"]))
pools, children = pc.PoolsApi(client), pc.ChildrenApi(client)


def command(*argv):
    return pc.ChildSpec(pc.CommandSpec(command=list(argv)))


def call():
    by_source = pc.FunctionBySource(source="(a, b) => a + b", args=[1211, 1])
    work = pc.FunctionSpec(function=pc.FunctionWork(by_source))
    assert pools.run_in_pool("pipeline", pc.ChildSpec(work)).value == 1212
    result = pools.run_in_pool("pipeline", command("echo", "hi"))
    assert (result.stdout, result.exit_code) == ("hi\n", 0), result


def place():
    child = pools.place_child_in_pool("pipeline", command("sleep", "60"))
    assert children.get_child(child.id).status == pc.ChildStatus.RUNNING
    assert children.stop_child(child.id).id == child.id


def code_of(request):
    try:
        return f"no problem but {request()}"
    except pc.ApiException as error:
        return error.data.code


def errors():
    assert code_of(lambda: pools.run_in_pool("nobody", command("true"))) == "pool_not_found"
    # The client checks as much of the contract as it knows, so the member has to refuse this.
    refused = code_of(lambda: pools.run_in_pool("pipeline", command("a\0b")))
    assert refused == "invalid_request", refused
    holder = pools.place_child_in_pool("single", command("sleep", "60"))
    full = code_of(lambda: pools.run_in_pool("single", command("true")))
    children.stop_child(holder.id)
    assert full == "all_members_at_capacity", full


def stream():
    answer = pools.call_in_pool_without_preload_content("pipeline", command("echo", "hi"))
    assert answer.status == 200, answer.read()
    lines = [line.decode() for line in answer if line.startswith(b"data: ")]
    events = [pc.PoolEvent.from_json(line[6:]).actual_instance for line in lines]
    assert [event.type for event in events] == ["placed", "stdout", "result"], lines


for check in (call, place, errors, stream):
    try:
        check()
        print(f"{check.__name__}: ok", flush=True)
    except Exception as error:
        print(f"{check.__name__}: {error!r}", flush=True)
