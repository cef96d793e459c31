"""The driver of the conformance suite: operations as JSON lines on stdin, outcomes on stdout."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
from typing import Any, Awaitable, Callable, Dict, List, Optional

from distributed_pool import AsyncDistributedPool, FunctionThrewError, PoolError, Tls

CAPABILITIES = (
    "function command stream run place map stdin files signal cancel consul token tls key "
    "request-id hash retries members sdk"
).split()

Args = Dict[str, Any]


def event_json(event: Any) -> Any:
    """The event with the keys of the contract."""
    return event.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Driver:
    def __init__(self) -> None:
        self._pool: Optional[AsyncDistributedPool] = None
        self._fault: Optional[PoolError] = None
        #: Hears of each event, while an operation is to be cancelled.
        self._seen: Callable[[], None] = lambda: None

    @property
    def pool(self) -> AsyncDistributedPool:
        if self._fault is not None:
            raise self._fault
        assert self._pool is not None, "expected an open pool"
        return self._pool

    async def perform(self, op: str, args: Args) -> Any:
        operation: Optional[Callable[..., Awaitable[Any]]] = getattr(self, f"do_{op}", None)
        if operation is None:
            return {"error": {"code": "unsupported", "detail": f"no operation {op}"}}
        try:
            return {"value": await operation(**args)}
        except PoolError as error:
            return {"error": self._error(error)}
        except asyncio.CancelledError:
            return {"error": {"code": "cancelled", "detail": "CancelledError"}}
        except Exception as error:
            return {"error": {"code": "crash", "detail": f"{type(error).__name__}: {error}"}}

    @staticmethod
    def _error(error: PoolError) -> Any:
        problem = error.problem.model_dump(mode="json", by_alias=True, exclude_none=True)
        kept = {key: problem[key] for key in ("stdout", "stderr", "exitCode") if key in problem}
        found: Any = {"code": error.code, "detail": error.detail, "status": error.status, **kept}
        if error.admitted is not None:
            found["admitted"] = error.admitted
        if isinstance(error, FunctionThrewError):
            found["error"] = {"name": error.error.name, "message": error.error.message}
        if error.retry_after is not None:
            found["retryAfterMs"] = error.retry_after * 1000
        if error.index is not None:
            found["index"] = error.index
        if "child" in problem:
            found["child"] = problem["child"]["id"]
        return found

    async def do_capabilities(self) -> Any:
        return CAPABILITIES

    async def do_open(self, ca: Optional[str] = None, **options: Any) -> None:
        await self.do_close()
        try:
            self._pool = AsyncDistributedPool(**options, tls=Tls(ca=ca))
        except PoolError as error:
            self._fault = error

    async def do_close(self) -> None:
        pool, self._pool, self._fault = self._pool, None, None
        if pool is not None:
            await pool.aclose()

    async def do_call(self, pool: str, spec: Args, retries: int = 0) -> Any:
        out, err = io.StringIO(), io.StringIO()
        work = {**spec}
        result = await self.pool.with_options(stdout=out, stderr=err).call(
            pool, work, retries=retries
        )
        kind = {"value": result} if "command" not in spec else {"exitCode": result.exit_code}
        child = {} if "command" not in spec else {"child": result.child.id}
        return {**child, **kind, "stdout": out.getvalue(), "stderr": err.getvalue()}

    async def do_run(self, pool: str, spec: Args, retries: int = 0) -> Any:
        result = await self.pool.run(pool, spec, retries=retries)
        output = {"stdout": result.stdout, "stderr": result.stderr, "truncated": result.truncated}
        return {**self._ending(spec, result), **output}

    @staticmethod
    def _ending(spec: Args, result: Any) -> Args:
        is_command = "command" in spec
        kind = {"exitCode": result.exit_code} if is_command else {"value": result.value}
        artifacts = [event_json(each) for each in result.artifacts]
        return {"child": result.child.id, **kind, "artifacts": artifacts}

    async def _events(self, events: Any, limit: Optional[int]) -> List[Any]:
        found: List[Any] = []
        try:
            async for event in events:
                found.append(event_json(event))
                self._seen()
                if len(found) == limit:
                    break
        finally:
            await events.aclose()
        return found

    async def do_stream(
        self, pool: str, spec: Args, limit: Optional[int] = None, retries: int = 0
    ) -> Any:
        return await self._events(self.pool.stream(pool, spec, retries=retries), limit)

    async def do_place(self, pool: str, spec: Args, retries: int = 0) -> Any:
        return {"child": (await self.pool.place_child(pool, spec, retries=retries)).id}

    async def do_events(
        self, child: str, after: Optional[int] = None, limit: Optional[int] = None
    ) -> Any:
        return await self._events(self.pool.child(child).events(after), limit)

    async def do_info(self, child: str) -> Any:
        return event_json(await self.pool.child(child).info())

    async def do_result(self, child: str, waitMs: int = 0) -> Any:
        result = await self.pool.child(child).result(waitMs)
        if result is None:
            return None
        kind = "command" if result.exit_code is not None else "function"
        return self._ending({kind: True}, result)

    async def do_stop(self, child: str, graceMs: Optional[int] = None) -> Any:
        return event_json(await self.pool.child(child).stop(graceMs))

    async def do_signal(self, child: str, signal: str) -> Any:
        return event_json(await self.pool.child(child).signal(signal))

    async def do_stdin(self, child: str, text: str, end: bool = False) -> Any:
        return await self.pool.child(child).write_stdin(text, end)

    async def do_file(self, child: str, path: str) -> Any:
        data = await self.pool.child(child).file(path)
        return {"base64": base64.b64encode(data).decode("ascii")}

    async def do_map(self, pool: str, spec: Args, inputs: List[Any], **options: Any) -> Any:
        quiet = self.pool.with_options(stdout=None, stderr=None)
        return [value async for value in quiet.map(pool, spec, inputs, **options)]

    async def do_members(self, pool: str) -> Any:
        return [member.member for member in (await self.pool.pool(pool)).members]

    async def do_cancel(
        self,
        op: str,
        args: Args,
        afterEvents: Optional[int] = None,
        afterMs: Optional[int] = None,
    ) -> Any:
        running = asyncio.ensure_future(getattr(self, f"do_{op}")(**args))
        left = afterEvents

        def seen() -> None:
            nonlocal left
            left = None if left is None else left - 1
            if left == 0:
                running.cancel()

        self._seen = seen
        if afterMs is not None:
            asyncio.get_running_loop().call_later(afterMs / 1000, running.cancel)
        try:
            return await running
        finally:
            self._seen = lambda: None


async def main() -> None:
    driver = Driver()
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            break
        request = json.loads(line)
        outcome = await driver.perform(request["op"], request.get("args") or {})
        sys.stdout.write(json.dumps({"id": request["id"], **outcome}) + "\n")
        sys.stdout.flush()
    await driver.do_close()


asyncio.run(main())
