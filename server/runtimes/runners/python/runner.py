"""Runs inside the child: takes jobs from descriptor 3, calls the function of each, reports to descriptor 3."""

import ast
import asyncio
import inspect
import json
import linecache
import math
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
import types

CHANNEL = 3
SOURCE = "function.py"
SAFE_INTEGER = 2**53 - 1
# Between two messages of progress, so that a tight loop is not slowed down by what it says of itself; and the most of its words that is shown.
PROGRESS_PAUSE = 0.05
MAX_MESSAGE = 200


class Signal:
    """Tells a function that it should come to its end: the child is stopped, or the member drains."""

    def __init__(self):
        self._event = threading.Event()
        self.reason = None

    @property
    def aborted(self):
        return self._event.is_set()

    def wait(self, timeout=None):
        """Waits until it is aborted, at most `timeout` seconds. Answers whether it is."""
        return self._event.wait(timeout)

    def _abort(self, reason):
        self.reason = self.reason or reason
        self._event.set()


class Progress:
    """What a function says of its progress: a thread writes the latest, with pauses between."""

    def __init__(self):
        # A signal may interrupt whoever holds it.
        self._lock = threading.RLock()
        self._news = threading.Event()
        self._held = None
        self.thread = None

    def hold(self, line):
        self._held = line
        if self.thread is None:
            self.thread = threading.Thread(target=self._tell, daemon=True)
            self.thread.start()
        self._news.set()

    def write(self):
        with self._lock:
            line, self._held = self._held, None
            if line is not None:
                write_whole(CHANNEL, line + "\n")

    def _tell(self):
        while True:
            self._news.wait()
            self._news.clear()
            self.write()
            time.sleep(PROGRESS_PAUSE)


class Context:
    """What a function is told of its child."""

    def __init__(self, given, hold):
        self._hold = hold
        self.member = given["member"]
        self.pool = given["pool"]
        self.child_id = given["childId"]
        self.deadline = given["deadline"]
        self.signal = Signal()

    def progress(self, done, total=None, message=None):
        """Tells how much is done, of how much in all, and what it is about."""
        said = {"done": float(done)}
        if total is not None:
            said["total"] = float(total)
        if message is not None:
            said["message"] = str(message)[:MAX_MESSAGE]
        hold = self._hold
        if hold is not None:
            hold(json.dumps({"progress": said}))

    def _end(self):
        """A function that goes on after its end has nothing more to say."""
        self._hold = None


class InvalidSource(Exception):
    """What does not parse or is no function; its message is for the caller."""


def function_of(job):
    """The function that a job names. Raises InvalidSource, or what the module raises while it is loaded."""
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
        raise InvalidSource(f"the source does not parse: {error.msg} (line {error.lineno})") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidSource(f"the source does not parse: {error}") from error
    module = types.ModuleType("function")
    module.__file__ = filename
    sys.modules["function"] = module
    if expression is not None:
        found = eval(expression, module.__dict__)
        name = "the expression"
    else:
        if name is None:
            functions = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
            if len(functions) != 1:
                found = ", ".join(functions) or "none"
                raise InvalidSource(f"{where}: without export, expected one function or one lambda; got {found}")
            name = functions[0]
        exec(code, module.__dict__)
        if name not in module.__dict__:
            raise InvalidSource(f"{where}: expected a function {name}; there is none")
        found = module.__dict__[name]
    if not callable(found):
        raise InvalidSource(f"{where}: expected {name} to be a function; got {type(found).__name__}")
    return found


def takes_context(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(each.kind is inspect.Parameter.VAR_KEYWORD or (each.name == "context" and each.kind in kinds) for each in parameters)


def loss_in(value, path, within):
    """What JSON would change or cannot carry; None when the value survives it."""
    if value is None or isinstance(value, (bool, str)):
        return None
    if isinstance(value, int):
        return None if abs(value) <= SAFE_INTEGER else f"{path} is an integer beyond 2**53, which readers of JSON change"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{path} is {value}"
    if not isinstance(value, (list, tuple, dict)):
        return f"{path} is a {type(value).__name__}"
    if id(value) in within:
        return f"{path} is part of a cycle"
    inside = within | {id(value)}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(value, dict) and not isinstance(key, str):
            return f"{path} has the key {key!r}, which is no string"
        loss = loss_in(item, f"{path}[{key!r}]", inside)
        if loss:
            return loss
    return None


def returned(value):
    try:
        loss = loss_in(value, "the value", frozenset())
        if loss is None:
            return {"kind": "returned", "value": json.loads(json.dumps(value, allow_nan=False))}
    except RecursionError:
        loss = "it is nested too deep"
    message = f"expected a value that JSON can carry; {loss}"
    return {"kind": "threw", "error": {"name": "TypeError", "message": message}, "detail": f"the function returned what cannot travel: {message}"}


def threw(error):
    name, message = type(error).__name__, str(error)
    # The frames of this file say nothing to the function's author.
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    stack = "".join(traceback.format_exception(type(error), error, frames))
    return {"kind": "threw", "error": {"name": name, "message": message, "stack": stack}, "detail": f"{name}: {message}"}


def used_ms():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage) * 1000


def write_whole(fd, text):
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
    """Ends the process, whatever threads the function left."""
    flush()
    os._exit(code)


class Runner:
    def __init__(self):
        self.jobs = queue.SimpleQueue()
        self.signal = None
        self.listens = False
        self.progress = Progress()

    def listen(self):
        """Reads what the server sends. Runs in a thread of its own."""
        with open(CHANNEL, "rb", buffering=65536, closefd=False) as channel:
            for line in channel:
                message = json.loads(line)
                if message["type"] == "job":
                    self.jobs.put(message)
                elif self.signal is not None:
                    self.signal._abort("the member is draining")
        self.jobs.put(None)

    def stop(self, *_):
        """Whoever takes a context has until the end of the grace; nobody else is waited for."""
        if not self.listens:
            self.progress.write()
            leave(143)
        # Not here: the function may be interrupted while it holds the event's lock.
        threading.Thread(target=self.signal._abort, args=("the child was told to stop",), daemon=True).start()

    def call(self, job):
        context = Context(job["context"], self.progress.hold)
        try:
            # A task finds what lies beside it, and nothing that came with the call.
            sys.path[0] = os.path.dirname(job["file"]) if job.get("file") else os.getcwd()
            function = function_of(job)
            if job.get("loadOnly"):
                return returned(None)
            self.signal = context.signal
            self.listens = takes_context(function)
            value = function(*job["args"], **({"context": context} if self.listens else {}))
            if inspect.isawaitable(value):

                async def awaited():
                    return await value

                value = asyncio.run(awaited())
            return returned(value)
        except InvalidSource as error:
            return {"kind": "invalid", "detail": str(error)}
        except SystemExit as error:
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
            self.progress.write()
            leave(error.code if isinstance(error.code, int) else 0 if error.code is None else 1)
        except BaseException as error:  # pylint: disable=broad-except
            return threw(error)
        finally:
            self.listens = False
            self.signal = None
            context._end()
            self.progress.write()

    def run(self):
        # In the place of this file's folder.
        sys.path[0] = os.getcwd()
        signal.signal(signal.SIGTERM, self.stop)
        sys.stdout.reconfigure(line_buffering=True)
        threading.Thread(target=self.listen, daemon=True).start()
        threads = threading.active_count()
        write_whole(CHANNEL, '{"kind":"ready"}\n')
        while True:
            job = self.jobs.get()
            if job is None:
                leave(0)
            marker = job.get("marker")
            if marker:
                write_whole(CHANNEL, f'{{"kind":"begun","marker":"{marker}"}}\n')
            os.environ.update(job["env"])
            before = used_ms() if marker else 0
            report = self.call(job)
            report["cpuMs"] = used_ms() - before
            report["maxRssBytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            flush()
            if marker:
                report["marker"] = marker
                told = 0 if self.progress.thread is None else 1
                report["clean"] = threading.active_count() <= threads + told
                write_whole(1, marker)
                write_whole(2, marker)
            write_whole(CHANNEL, json.dumps(report) + "\n")
            if not marker:
                leave(0)


Runner().run()
