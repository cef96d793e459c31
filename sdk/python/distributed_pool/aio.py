"""The pools of a program that uses asyncio."""

from __future__ import annotations

from typing import (
    Any,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Optional,
    Sequence,
    TypeVar,
    Union,
    overload,
)

from typing_extensions import Unpack

from .calls.bar import Meter, Progress
from .calls.fan_out import Inputs, Slots, fan_out
from .calls.results import Ending, Result
from .calls.retry import Retries, retried
from .calls.spec import Call, CallOptions, Work, call_of, refuse_shared_input
from .calls.stream import stream_call
from .child import AsyncChildHandle
from .connection import connect
from .consul.options import ConsulOptions
from .errors import failure
from .functions import Task
from .http.events import PoolEvent
from .http.tls import Tls
from .models import Pool, PoolChildList, PoolList
from .placement.access import ChildFilter, Placing

T = TypeVar("T")

#: A call of a map waits up to a minute for a slot, and its children stop with the map.
_MAP_DEFAULTS: CallOptions = {"wait_ms": 60_000, "retries": 5, "link": True}


class AsyncDistributedPool:
    """Pools of machines, found through any one member or through Consul.

    Its methods are those of `DistributedPool`, as coroutines. Cancelling one closes its connection;
    the child lives on, unless it is linked.

    Example:
        >>> async with AsyncDistributedPool("http://127.0.0.1:7400") as pool:
        ...     print(await pool.call("pipeline", add, 1211, 1))
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
        self._connection = connect(url, consul, token, tls or Tls(), insecure)
        self._defaults: CallOptions = defaults

    def with_options(self, **defaults: Unpack[CallOptions]) -> "AsyncDistributedPool":
        """The same pools and connections, with other defaults for the options of calls."""
        other = object.__new__(AsyncDistributedPool)
        other._connection = self._connection
        other._defaults = {**self._defaults, **defaults}
        return other

    @overload
    async def call(
        self,
        pool: str,
        work: Callable[..., Awaitable[T]],
        *args: Any,
        **options: Unpack[CallOptions],
    ) -> T: ...
    @overload
    async def call(
        self, pool: str, work: Callable[..., T], *args: Any, **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    async def call(
        self, pool: str, work: Task, *args: Any, **options: Unpack[CallOptions]
    ) -> Any: ...
    @overload
    async def call(
        self, pool: str, work: Sequence[str], **options: Unpack[CallOptions]
    ) -> Result[AsyncChildHandle]: ...
    @overload
    async def call(
        self, pool: str, work: Mapping[str, Any], **options: Unpack[CallOptions]
    ) -> Any: ...
    async def call(self, pool: str, work: Any, *args: Any, **options: Any) -> Any:
        """Runs a function, a task or a command, and copies its output: see `DistributedPool`."""
        call = self._prepared(pool, work, args, options)
        call.spec.setdefault("outputEncoding", "base64")
        ending = Ending.copying(call.own, self.child)
        result = await self._ended(call, ending)
        return result.value if call.has_value else result

    async def run(
        self, pool: str, work: Work, *args: Any, **options: Unpack[CallOptions]
    ) -> Result[AsyncChildHandle]:
        """Makes a call, and returns its output instead of copying it: see `DistributedPool`."""
        call = self._prepared(pool, work, args, options)
        # As base64, the text is decoded here, over the borders of events.
        call.spec["outputEncoding"] = "base64"
        return await self._ended(call, Ending.keeping(call.own, self.child))

    def stream(
        self, pool: str, work: Work, *args: Any, **options: Unpack[CallOptions]
    ) -> AsyncIterator[PoolEvent]:
        """Makes a call, and yields its events: see `DistributedPool`."""
        return stream_call(self._connection, self._prepared(pool, work, args, options))

    async def place_child(
        self, pool: str, work: Work, *args: Any, **options: Unpack[CallOptions]
    ) -> AsyncChildHandle:
        """Places a child that lives on its own: see `DistributedPool`."""
        call = self._prepared(pool, work, args, options)
        if call.source is not None:
            raise failure("invalid_request", "stdin: a placed child is fed by write_stdin")
        retries = Retries(call.spec, call.own.get("retries", 0))

        async def place() -> str:
            placing = Placing(pool, {**call.spec, **retries.for_spec}, call.parts)
            return await self._connection.access.place_child(placing)

        return self.child(await retried(retries, place))

    async def map(
        self,
        pool: str,
        work: Union[Callable[[Any], Any], Task, Mapping[str, Any]],
        inputs: Inputs,
        *,
        concurrency: Optional[int] = None,
        ordered: bool = True,
        progress: Progress = None,
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[Any]:
        """Calls a function for each input, and yields the values: see `DistributedPool`."""
        all_options: CallOptions = {**_MAP_DEFAULTS, **self._defaults, **options}
        refuse_shared_input(all_options)
        slots = self._slots(pool, all_options, concurrency)
        key = all_options.get("idempotency_key")
        mapping = with_input(work)

        async def one(index: int, item: Any) -> Any:
            own: CallOptions = {**all_options}
            if key is not None:
                own["idempotency_key"] = f"{key}/{index}"
            kind, args = mapping(item)
            call = call_of(pool, kind, args, own)
            call.spec.setdefault("outputEncoding", "base64")
            value = (await self._ended(call, Ending.copying(call.own, self.child))).value
            meter.one()
            return value

        meter = Meter(progress, pool, inputs)
        results = fan_out(one, inputs, slots, ordered)
        try:
            async for _, value in results:
                yield value
        finally:
            await results.aclose()  # type: ignore[attr-defined]
            meter.close()

    def child(self, id: str) -> AsyncChildHandle:
        """A handle on a child by its id. It sends no request yet."""
        return AsyncChildHandle(id, self._connection)

    async def pools(self) -> PoolList:
        """The pools that have members."""
        return await self._connection.access.pools()

    async def pool(self, pool: str) -> Pool:
        """A pool's members, load, tasks and runtimes. Raises `pool_not_found`."""
        return await self._connection.access.pool(pool)

    async def children(
        self,
        pool: str,
        labels: Optional[Mapping[str, Union[str, bool]]] = None,
        status: Optional[str] = None,
    ) -> PoolChildList:
        """A pool's children on all its members: see `DistributedPool`."""
        pairs = [
            name if value is True else f"{name}={value}" for name, value in (labels or {}).items()
        ]
        return await self._connection.access.children(pool, ChildFilter(pairs, status))

    async def aclose(self) -> None:
        """Closes the connections and the watch. Calls that are under way end with `member_lost`."""
        await self._connection.aclose()

    async def __aenter__(self) -> "AsyncDistributedPool":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _prepared(self, pool: str, work: Work, args: Any, options: Mapping[str, Any]) -> Call:
        return call_of(pool, work, args, {**self._defaults, **options})

    def _slots(self, pool: str, options: CallOptions, concurrency: Optional[int]) -> Slots:
        """The number of calls at a time. The pool is asked for it as often as a call is made."""

        async def ask() -> Pool:
            retries = Retries({}, options.get("retries", 0))
            return await retried(retries, lambda: self.pool(pool))

        return Slots(ask, concurrency)

    def _events(self, call: Call) -> AsyncIterator[PoolEvent]:
        return stream_call(self._connection, call)

    async def _ended(
        self, call: Call, ending: Ending[AsyncChildHandle]
    ) -> Result[AsyncChildHandle]:
        events = self._events(call)
        try:
            async for event in events:
                ending.take(event)
        finally:
            await events.aclose()  # type: ignore[attr-defined]
        assert ending.result is not None
        return ending.result


def with_input(work: Any) -> Callable[[Any], Any]:
    """Makes the work of each call of a map, and its arguments.

    Raises:
        PoolError: `invalid_request` for work that takes no input, or has arguments of its own.
    """
    if isinstance(work, Mapping):
        for kind in ("function", "task"):
            inner = work.get(kind)
            if isinstance(inner, Mapping) and "args" not in inner:
                spec = {**work}
                return lambda item: ({**spec, kind: {**inner, "args": [item]}}, [])
        raise failure("invalid_request", "expected a function or a task without args to map")
    if not isinstance(work, Task) and not callable(work):
        raise failure("invalid_request", f"expected a function or a task to map; got {work!r}")
    return lambda item: (work, [item])
