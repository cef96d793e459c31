"""The public verbs: call, run, stream, map, place_child, and the listings of pools."""

from __future__ import annotations

from typing import (
    Any,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Optional,
    Sequence,
    TypeVar,
    Union,
    overload,
)

from typing_extensions import Unpack

from .aio import AsyncDistributedPool
from .calls.bar import Progress
from .calls.results import Ending, Result
from .calls.spec import CallOptions, Options, Work
from .consul.options import ConsulOptions
from .functions import Task
from .handle import ChildHandle
from .http.events import PoolEvent
from .http.tls import Tls
from .listings import Listings
from .portal import Portal

T = TypeVar("T")


class DistributedPool(Listings):
    """Pools of machines, found through any one member or through Consul.

    It may be used by many threads at once. Work is done in an event loop of its own thread.

    Args:
        url: the URL of one member, which places and forwards, such as `http://127.0.0.1:7400`.
        consul: instead of a URL, how to reach Consul: an address or `ConsulOptions`. Members are
            then asked directly.
        token: says who calls. It goes over http to loopback only, unless `insecure`. Default: none.
        tls: certificates, such as `Tls(ca="ca.pem")`. Default: the well-known authorities.
        insecure: lets the token go over the network in clear.
        defaults: options of every call.

    Raises:
        PoolError: `invalid_request` for options that make no sense.

    Example:
        >>> with DistributedPool("http://127.0.0.1:7400") as pool:
        ...     print(pool.call("pipeline", add, 1211, 1))
    """

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        consul: Union[str, ConsulOptions, None] = None,
        token: Optional[str] = None,
        tls: Optional[Tls] = None,
        insecure: bool = False,
        **defaults: Unpack[CallOptions],
    ) -> None:
        pool = AsyncDistributedPool(
            url, consul=consul, token=token, tls=tls, insecure=insecure, **defaults
        )
        super().__init__(pool, Portal())

    def with_options(self, **defaults: Unpack[CallOptions]) -> "DistributedPool":
        """The same pools and connections, with other defaults for the options of calls.

        Example:
            >>> pool.with_options(deadline_ms=1_000, stdout=None).call("pipeline", work, 42)
        """
        other = object.__new__(DistributedPool)
        Listings.__init__(other, self._pool.with_options(**defaults), self._portal)
        return other

    @overload
    def call(
        self,
        pool: str,
        work: Callable[..., Awaitable[T]],
        *args: Any,
        **options: Unpack[Options],
    ) -> T: ...
    @overload
    def call(
        self, pool: str, work: Callable[..., T], *args: Any, **options: Unpack[Options]
    ) -> T: ...
    @overload
    def call(self, pool: str, work: Task, *args: Any, **options: Unpack[Options]) -> Any: ...
    @overload
    def call(
        self, pool: str, work: Sequence[str], **options: Unpack[Options]
    ) -> Result[ChildHandle]: ...
    @overload
    def call(self, pool: str, work: Mapping[str, Any], **options: Unpack[Options]) -> Any: ...
    def call(self, pool: str, work: Any, *args: Any, **options: Any) -> Any:
        """Runs a function, a task or a command on the least loaded member of the pool.

        The output is copied to this process while it arrives. A function travels as source, and
        sees nothing of its module. Behind its arguments it receives a context, if it declares a
        parameter for it without a default. A non-zero exit code is a result, not an error.

        Args:
            work: a function; a `Task`; a command such as `["uname", "-a"]`; or a child spec in the
                words of the contract, such as `{"command": ["true"]}`.
            args: the arguments of a function or a task, which JSON carries.
            options: those of `CallOptions`, and `timeout` in seconds.

        Returns:
            The value of a function or a task; the `Result` of a command.

        Raises:
            PoolError: by `code`: `function_threw` (`FunctionThrewError`); `all_members_at_capacity`
                and, after `wait_ms`, `queue_timeout`; `no_members_available`; `deadline_exceeded`;
                `cancelled`; `out_of_memory`; `worker_crashed`; `member_lost`; `unauthorized`;
                `forbidden`; `invalid_request`; `events_expired` when output was lost.
            TimeoutError: after `timeout`.

        Example:
            >>> pool.call("pipeline", ["sha256sum"], stdin=open("in.mp4", "rb"))
        """
        timeout = options.pop("timeout", None)
        call = self._pool._prepared(pool, work, args, options)
        call.spec.setdefault("outputEncoding", "base64")
        result = self._ended(call, Ending.copying(call.own, self.child), timeout)
        return result.value if call.has_value else result

    def run(
        self, pool: str, work: Work, *args: Any, **options: Unpack[Options]
    ) -> Result[ChildHandle]:
        """Makes a call like `call` does, and returns its output instead of copying it.

        Returns:
            `child`, `exit_code` or `value`, `stdout` and `stderr` as text, `truncated`, `usage`,
            `artifacts`. `max_output_bytes` bounds stdout and stderr, each (default 1 MiB).

        Raises:
            PoolError: as `call` does. `error.problem` also has the output so far.

        Example:
            >>> print(pool.run("pipeline", ["uname", "-a"]).stdout)
        """
        timeout = options.pop("timeout", None)
        call = self._pool._prepared(pool, work, args, options)
        # As base64, the text is decoded here, over the borders of events.
        call.spec["outputEncoding"] = "base64"
        return self._ended(call, Ending.keeping(call.own, self.child), timeout)

    def stream(
        self, pool: str, work: Work, *args: Any, **options: Unpack[Options]
    ) -> Generator[PoolEvent, None, None]:
        """Makes a call, and yields its events.

        `queued` comes while the call waits, `placed` before all output, and `result` or `failed` at
        the end. Closing the generator closes the connection. The child lives on, unless it is
        linked.

        Raises:
            PoolError: as `call` does when the call is not placed; `member_lost`.

        Example:
            >>> for event in pool.stream("pipeline", ["date"]):
            ...     if event.type == "stdout":
            ...         sys.stdout.buffer.write(output_bytes(event))
        """
        timeout = options.pop("timeout", None)
        call = self._pool._prepared(pool, work, args, options)
        return self._portal.iterate(self._pool._events(call), timeout)

    def place_child(
        self, pool: str, work: Work, *args: Any, **options: Unpack[CallOptions]
    ) -> ChildHandle:
        """Places a child that lives on its own: it outlives its caller, and has no deadline.

        Raises:
            PoolError: as `call` does when the call is not placed.

        Example:
            >>> child = pool.place_child("pipeline", ["sleep", "60"])
            >>> child.stop()
        """
        placing = self._pool.place_child(pool, work, *args, **options)
        return self.child(self._portal.run(placing).id)

    def map(
        self,
        pool: str,
        work: Union[Callable[[Any], Any], Task, Mapping[str, Any]],
        inputs: Union[Iterable[Any], AsyncIterable[Any]],
        *,
        concurrency: Optional[int] = None,
        ordered: bool = True,
        progress: Progress = None,
        **options: Unpack[CallOptions],
    ) -> Generator[Any, None, None]:
        """Calls a function for each input, and yields the values.

        As many calls run at a time as the pool has slots. Inputs are read as calls may start. The
        first failure ends the map, and so does closing the generator: no further input is read, and
        the other calls are stopped. A call waits for a slot for up to 60 seconds (`wait_ms`), and
        is made again up to 5 times (`retries`) when it certainly started nothing.

        Args:
            work: a function of one argument, a `Task`, or a spec of one without `args`.
            concurrency: calls at a time. Default: the slots of the pool, counted every 5 seconds,
                up to 500.
            ordered: values in the order of the inputs, or as their calls end.
            progress: True for a bar of tqdm, False for none, or a function that receives a
                `MapProgress`. Default: a bar in a notebook and on a terminal, if tqdm is installed.

        Raises:
            PoolError: the first failure, with the position of its input as `index`.

        Example:
            >>> list(pool.map("pipeline", square, range(200)))
        """
        results = self._pool.map(
            pool,
            work,
            inputs,
            concurrency=concurrency,
            ordered=ordered,
            progress=progress,
            **options,
        )
        return self._portal.iterate(results)

    def _ended(
        self, call: Any, ending: Ending[ChildHandle], timeout: Optional[float]
    ) -> Result[ChildHandle]:
        events: AsyncIterator[PoolEvent] = self._pool._events(call)
        # Output is written here, in the thread of the caller.
        reading = self._portal.iterate(events, timeout)
        try:
            for event in reading:
                ending.take(event)
        finally:
            reading.close()
        assert ending.result is not None
        return ending.result
