"""Narrows what schemathesis generates, where a rule of the contract is not one of its schemas."""

import schemathesis
from schemathesis import GenerationMode

BYTES = "application/octet-stream"

# Values that are within every pool's own limits.
SMALL = {
    "memoryBytes": 16_777_216,
    "processes": 32,
    "cpus": 0.5,
    "cpuMs": 1_000,
    "workspaceBytes": 65_536,
    "shmBytes": 65_536,
    "openFiles": 32,
    "outputBytes": 0,
    "artifactBytes": 0,
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Leaves multipart bodies out: schemathesis 4.32 fails on the bytes that it makes for them."""
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict) and "requestBody" in operation:
                operation["requestBody"]["content"].pop("multipart/form-data", None)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Follows the rules between the parts of a request."""
    if case.meta is None or case.meta.generation.mode == GenerationMode.NEGATIVE:
        return
    names = {each.name for each in case.operation.query}
    if "spec" in names:
        with_one_spec(case, names)
    if case.headers is not None:
        # The id of an event is one that the server gave.
        case.headers.pop("last-event-id", None)
        # A key that stands in the header and in the spec is the same.
        if isinstance(case.body, dict) and "idempotency-key" in case.headers:
            case.body.pop("idempotencyKey", None)
    if isinstance(case.body, dict):
        follow_rules(case.body, is_placed=case.path.endswith("/children"))


def with_one_spec(case, names):
    """A spec comes once: as the body, or beside a body of bytes."""
    for values, name in ((case.query, "spec"), (case.headers, "pool-spec")):
        if values is not None:
            values.pop(name, None)
    if "command" in names:
        # A command that fails breaks the connection of a pipe.
        case.query = {**(case.query or {}), "command": ["cat"]}
        if "pool" in names:
            case.query["pool"] = "pipeline"
    elif case.media_type == BYTES:
        pool = "" if "pool" in case.path_parameters else ', "pool": "pipeline"'
        case.headers["pool-spec"] = f'{{"command": ["cat"]{pool}}}'


def follow_rules(spec, is_placed):
    """The rules between the keys of a child spec, and its limits in bytes."""
    if "source" in spec.get("function", {}):
        # The source must be a function, its hash that of the source, and its arguments readable.
        spec["function"] = {"source": "(...args) => args", "args": spec["function"].get("args", [])}
    if "limits" in spec:
        # The pool has limits of its own.
        spec["limits"] = {key: value for key, value in spec["limits"].items() if value <= SMALL[key]}
    if len(spec.get("command", [])) > 1_000:
        # Variables count as arguments.
        spec.pop("env", None)
    if is_placed:
        # A placed child has no connection that it could be tied to.
        spec.pop("link", None)
    if "artifacts" in spec:
        spec["artifacts"] = [path for path in spec["artifacts"] if has_short_names(path)]
    if "files" in spec:
        spec["files"] = {path: spec["files"][path] for path in spec["files"] if has_short_names(path)}


def has_short_names(path):
    """Whether a file system takes each name of a path: it counts bytes, and a pattern characters."""
    return all(len(name.encode()) <= 255 for name in path.split("/"))
