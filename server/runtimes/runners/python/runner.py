"""The program inside the child, in Python.

It takes jobs from descriptor 3, calls the function of each, and reports there.
server/runtimes/functions/messages.ts describes the messages.
"""

import ast
import asyncio
import errno
import inspect
import json
import linecache
import math
import os
import queue
import re
import resource
import signal
import sys
import threading
import time
import traceback
import types

# CHANNEL_FD in server/sandbox/fds.ts.
CHANNEL = 3
SOURCE = "function.py"
SAFE_INTEGER = 2**53 - 1
# MAX_NESTING in openapi/schemas/values.ts.
MAX_NESTING = 1_000
# Python's default is 1,000, and reading or writing JSON takes one of it for each level.
sys.setrecursionlimit(sys.getrecursionlimit() + MAX_NESTING)
# The least number of seconds between two messages, so that they do not slow a tight loop down.
PROGRESS_PAUSE = 0.05
# 200 characters: the server shows no more of a message.
MAX_MESSAGE = 200
# 16 errors, and 20,000 characters of each text: the server keeps no more.
MAX_ERRORS = 16
MAX_TEXT = 20_000
# A long line is shown from 60 characters before a fault to 60 behind it.
SHOWN = 60


class Signal:
    """Tells a function that it should end, because the child is stopped or the member drains."""

    def __init__(self):
        self._event = threading.Event()
        self.reason = None

    @property
    def aborted(self):
        return self._event.is_set()

    def wait(self, timeout=None):
        """Waits until the signal is aborted, at most `timeout` seconds. Returns whether it is."""
        return self._event.wait(timeout)

    def _abort(self, reason):
        self.reason = self.reason or reason
        self._event.set()


class Progress:
    """Reports a function's progress: a thread writes the latest line, with pauses in between."""

    def __init__(self):
        # Reentrant, because a signal handler may interrupt the thread that holds it.
        self._lock = threading.RLock()
        self._has_pending = threading.Event()
        self._pending = None
        self.thread = None

    def put(self, line):
        """Replaces the pending line."""
        self._pending = line
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, daemon=True)
            self.thread.start()
        self._has_pending.set()

    def write(self):
        """Writes the pending line."""
        with self._lock:
            line, self._pending = self._pending, None
            if line is not None:
                write_all(CHANNEL, line + "\n")

    def _run(self):
        while True:
            self._has_pending.wait()
            self._has_pending.clear()
            self.write()
            time.sleep(PROGRESS_PAUSE)


class Context:
    """The facts that a function learns about its child."""

    def __init__(self, facts, put):
        self._put = put
        self.member = facts["member"]
        self.pool = facts["pool"]
        self.child_id = facts["childId"]
        self.deadline = facts["deadline"]
        self.signal = Signal()

    def progress(self, done, total=None, message=None):
        """Reports how much is done, of how much in all, and a message, at any time."""
        progress = {"done": float(done)}
        if total is not None:
            progress["total"] = float(total)
        if message is not None:
            progress["message"] = str(message)[:MAX_MESSAGE]
        put = self._put
        if put is not None:
            put(json.dumps({"kind": "progress", "progress": progress}))

    def _end(self):
        """Makes `progress` do nothing for a function that runs on after its job has ended."""
        self._put = None


class InvalidSource(Exception):
    """The source does not parse or is not a function. The message is for the caller."""


def fault_of(error, source):
    """What is wrong, with the line, the column and the text of the line."""
    lines = source.splitlines() or [""]
    row = min(max(error.lineno or 1, 1), len(lines))
    text = lines[row - 1].rstrip()
    at = min(max((error.offset or 1) - 1, 0), len(text))
    start = max(0, at - SHOWN)
    blanks = re.sub(r"[^\t]", " ", text[start:at])
    place = f"(line {row}, column {at + 1})"
    return f"{error.msg} {place}\n  {text[start : at + SHOWN]}\n  {blanks}^"


def function_of(job):
    """The function that a job names.

    Raises InvalidSource, or the exception of a module that fails while it is loaded.
    """
    name = job.get("export")
    where = job.get("file") or "function.source"
    if job.get("file"):
        with open(job["file"], encoding="utf-8") as file:
            source, filename = file.read(), job["file"]
    else:
        source, filename = job["source"], SOURCE
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    try:
        tree = ast.parse(source, filename)
        expression = None
        if name is None and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
            expression = compile(ast.Expression(tree.body[0].value), filename, "eval")
        code = compile(tree, filename, "exec")
    except SyntaxError as error:
        raise InvalidSource(f"{where} does not parse: {fault_of(error, source)}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidSource(f"{where} does not parse: {error}") from error
    module = types.ModuleType("function")
    module.__file__ = filename
    sys.modules["function"] = module
    if expression is not None:
        found = eval(expression, module.__dict__)
        name = "the expression"
    else:
        if name is None:
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
            functions = [node.name for node in tree.body if isinstance(node, kinds)]
            if len(functions) != 1:
                found = ", ".join(functions) or "none"
                raise InvalidSource(
                    f"{where}: without export, expected one function or one lambda; got {found}"
                )
            name = functions[0]
        exec(code, module.__dict__)
        if name not in module.__dict__:
            raise InvalidSource(f"{where}: expected a function {name}; there is none")
        found = module.__dict__[name]
    if not callable(found):
        kind = type(found).__name__
        raise InvalidSource(f"{where}: expected {name} to be a function; got {kind}")
    return found


def with_context(function, args, context):
    """The positional and named arguments of a call, with the context where the function takes it.

    It takes the context in a parameter without a default: the positional one behind the
    arguments, or a keyword-only one named `context`.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return args, {}
    required = [each for each in parameters if each.default is inspect.Parameter.empty]
    if any(each.name == "context" and each.kind is each.KEYWORD_ONLY for each in required):
        return args, {"context": context}
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = sum(each.kind in positional for each in required) > len(args)
    return [*args, context] if takes else args, {}


def instead_of(value):
    """The form in which a function can return a value of a class."""
    if hasattr(value, "isoformat"):
        return "its isoformat()"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "text, such as base64"
    if hasattr(value, "__iter__") or hasattr(value, "__aiter__"):
        return "a list"
    return "a dict, a list, text or a number"


def flaw_of(value):
    """The reason why JSON does not carry a value, apart from its items; None when it does."""
    if value is None or isinstance(value, (bool, str, list, tuple)):
        return None
    if isinstance(value, int):
        if abs(value) <= SAFE_INTEGER:
            return None
        return "an integer beyond 2**53, which readers of JSON change: return text instead"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value}: return None or text instead"
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                return f"a dict with the key {key!r}, which is not a string"
        return None
    return f"an instance of {type(value).__name__}: return {instead_of(value)} instead"


def flaw_in(value):
    """The first part of a value that JSON would change or lose, with its path; None for none.

    Does not recurse. A level is a container, its items, and the key of the current item.
    """
    levels = []
    ancestors = set()

    def look(item):
        """The flaw of one item. An item that contains others becomes the innermost level."""
        flaw = flaw_of(item)
        if flaw is not None or not isinstance(item, (list, tuple, dict)):
            return flaw
        if id(item) in ancestors:
            return "part of a cycle"
        if len(levels) == MAX_NESTING:
            return f"nested more than {MAX_NESTING} levels deep"
        ancestors.add(id(item))
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        levels.append([item, iter(pairs), None])
        return None

    flaw = look(value)
    while flaw is None and levels:
        level = levels[-1]
        pair = next(level[1], None)
        if pair is None:
            levels.pop()
            ancestors.discard(id(level[0]))
        else:
            level[2], item = pair
            flaw = look(item)
    path = "".join(f"[{key!r}]" for _, _, key in levels)
    return flaw and f"value{path} is {flaw}"


def json_of(value):
    """The JSON of a value, where a quick look finds no flaw; None otherwise.

    A cycle, `nan` and an instance of another class have no JSON.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except Exception:  # pylint: disable=broad-except
        return None
    level = [value]
    for _ in range(MAX_NESTING + 1):
        deeper = []
        for item in level:
            kind = type(item)
            if kind is str or kind is float or kind is bool or item is None:
                continue
            if kind is int:
                if not -SAFE_INTEGER <= item <= SAFE_INTEGER:
                    return None
            elif kind is dict:
                for key in item:
                    if type(key) is not str:
                        return None
                deeper.extend(item.values())
            elif kind is list or kind is tuple:
                deeper.extend(item)
            else:
                return None
        if not deeper:
            return text
        level = deeper
    return None


def value_report(value):
    """The report of a returned value, with its JSON. One that JSON would change is an error."""
    text = json_of(value)
    flaw = None if text is not None else flaw_in(value)
    if flaw is None:
        return {"kind": "returned"}, text or json.dumps(value, allow_nan=False)
    message = f"expected a value that JSON can carry; {flaw}"
    return {
        "kind": "threw",
        "error": {"name": "TypeError", "message": message},
        "detail": f"the function returned what cannot travel: {message}",
    }, None


def text_of(value):
    """A value as text, whose conversion may fail."""
    try:
        return str(value)[:MAX_TEXT]
    except Exception:  # pylint: disable=broad-except
        return "a value without a text"


def code_of(error):
    """The code of an exception, such as ECONNREFUSED; None where it has none."""
    code = getattr(error, "errno", None) if isinstance(error, OSError) else None
    if isinstance(code, int):
        return errno.errorcode.get(code, str(code))
    code = getattr(error, "code", None)
    is_code = isinstance(code, (str, int)) and not isinstance(code, bool)
    return text_of(code) if is_code else None


def error_of(error, frames, seen, chain=False):
    """An exception with those behind it. `seen` has the ids of those that are described already."""
    seen.add(id(error))

    def nested(other):
        is_new = id(other) not in seen and len(seen) < MAX_ERRORS
        return [error_of(other, other.__traceback__, seen)] if is_new else []

    stack = traceback.format_exception(type(error), error, frames, chain=chain)
    found = {
        "name": type(error).__name__,
        "message": text_of(error),
        "stack": "".join(stack)[:MAX_TEXT],
    }
    code = code_of(error)
    if code is not None:
        found["code"] = code
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    for each in [] if cause is None else nested(cause):
        found["cause"] = each
    group = getattr(error, "exceptions", None)
    if isinstance(group, tuple) and all(isinstance(each, BaseException) for each in group):
        found["errors"] = [found for each in group for found in nested(each)]
    return found


def error_report(error):
    """The report of a raised exception."""
    # The frames of this file do not help the function's author.
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    found = error_of(error, frames, set(), chain=True)
    detail = f"{found['name']}: {found['message']}"
    return {"kind": "threw", "error": found, "detail": detail}, None


def used_ms():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage) * 1000


def write_all(fd, text):
    data = text.encode()
    while data:
        data = data[os.write(fd, data) :]


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, RuntimeError):
            pass


def leave(code):
    """Ends the process, also when the function left threads running."""
    flush()
    os._exit(code)


class Runner:
    def __init__(self):
        self.jobs = queue.SimpleQueue()
        self.signal = None
        self.heeds_signal = False
        self.progress = Progress()

    def read_messages(self):
        """Reads the server's messages. Runs in a thread of its own."""
        with open(CHANNEL, "rb", buffering=65536, closefd=False) as channel:
            for line in channel:
                message = json.loads(line)
                if message["kind"] == "job":
                    self.jobs.put(message)
                elif self.signal is not None:
                    self.signal._abort("the member is draining")
        self.jobs.put(None)

    def stop(self, *_):
        """Stops the function. One that takes a context has until the end of the grace."""
        if not self.heeds_signal:
            self.progress.write()
            leave(143)
        # In another thread, because the interrupted function may hold the event's lock.
        reason = "the child was told to stop"
        threading.Thread(target=self.signal._abort, args=(reason,), daemon=True).start()

    def call(self, job):
        """Calls the function of a job. Returns the report, and the JSON of the value."""
        context = Context(job["context"], self.progress.put)
        try:
            # A task imports modules from its own folder, and none that came with the call.
            file = job.get("file")
            sys.path[0] = os.path.dirname(file) if file else os.getcwd()
            function = function_of(job)
            if job.get("loadOnly"):
                return value_report(None)
            self.signal = context.signal
            args, named = with_context(function, job["args"], context)
            self.heeds_signal = args is not job["args"] or named != {}
            value = function(*args, **named)
            if inspect.isawaitable(value):

                async def awaited():
                    return await value

                value = asyncio.run(awaited())
            return value_report(value)
        except InvalidSource as error:
            return {"kind": "invalid", "detail": str(error)}, None
        except SystemExit as error:
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
            self.progress.write()
            leave(error.code if isinstance(error.code, int) else 0 if error.code is None else 1)
        except BaseException as error:  # pylint: disable=broad-except
            return error_report(error)
        finally:
            self.heeds_signal = False
            self.signal = None
            context._end()
            self.progress.write()

    def run(self):
        # Replaces the folder of this file.
        sys.path[0] = os.getcwd()
        signal.signal(signal.SIGTERM, self.stop)
        sys.stdout.reconfigure(line_buffering=True)
        threading.Thread(target=self.read_messages, daemon=True).start()
        threads = threading.active_count()
        write_all(CHANNEL, '{"kind":"ready"}\n')
        # The variables of the last job.
        given = {}
        while True:
            job = self.jobs.get()
            if job is None:
                leave(0)
            marker = job.get("marker")
            if marker:
                write_all(CHANNEL, f'{{"kind":"accepted","marker":"{marker}"}}\n')
            for name in given:
                os.environ.pop(name, None)
            given = job["env"]
            os.environ.update(given)
            before = used_ms() if marker else 0
            report, value = self.call(job)
            report["cpuMs"] = used_ms() - before
            report["maxRssBytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            flush()
            if marker:
                report["marker"] = marker
                own = 0 if self.progress.thread is None else 1
                report["clean"] = threading.active_count() <= threads + own
                write_all(1, marker)
                write_all(2, marker)
            line = json.dumps(report)
            if value is not None:
                # The JSON of the value is passed on as it is.
                line = f'{line[:-1]}, "value": {value}}}'
            write_all(CHANNEL, line + "\n")
            if not marker:
                leave(0)


Runner().run()
