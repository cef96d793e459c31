/** A gateway that drains hands the streams of other members' children over. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { DistributedPool as PortablePool } from "../../sdk/typescript/index.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  collect,
  getJson,
  lastOf,
  type Options,
  post,
  problemOf,
  startMembers,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";

/** This child prints, and goes on when it is told to. */
const TOLD = {
  command: ["sh", "-c", "echo begun; read -r line; echo $line"],
  stdin: { open: true },
  deadlineMs: 60_000,
} as const;

/** A gateway without children, and a member that has them. */
const startPair = async (owner: Options = {}) =>
  (await startMembers(
    { pools: { other: 1 }, drainMs: 25_000 },
    { pools: { pipeline: 3 }, ...owner },
  )) as [RunningMember, RunningMember];

const drain = ({ url }: RunningMember) => post(url, "/drain");

const tell = (owner: RunningMember, id: string) =>
  post(owner.url, `/children/${id}/stdin?end=true`, "finished\n", {
    "content-type": "application/octet-stream",
  });

/** Reads up to the output that the child begins with. */
async function readBegun(events: AsyncIterator<NumberedEvent>): Promise<NumberedEvent[]> {
  const read: NumberedEvent[] = [];
  for (;;) {
    const { value, done } = await within("the child's first output", events.next());
    if (done) throw new Error("the stream ended before the child's output");
    read.push(value);
    if (value.type === "stdout") return read;
  }
}

const childIn = (events: readonly NumberedEvent[]) => {
  for (const event of events) if (event.type === "placed") return event.child;
  throw new Error("expected the event placed");
};

const restOf = (events: AsyncIterable<NumberedEvent>, of = "the stream") =>
  within(`the rest of ${of}`, collect(events)).catch((error) => {
    throw new Error(`${of}: ${error.message}`, { cause: error });
  });

/** All of the child's output came once, and its events without a gap. */
function expectWhole(events: readonly NumberedEvent[]): void {
  expect(textOf(events)).toBe("begun\nfinished\n");
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
  lastOf(events, "result");
}

function opened<T extends { close(): Promise<void> }>(pools: T): T {
  onTestFinished(() => pools.close());
  return pools;
}

test("a call's stream ends with the child, and resumes at any member", async () => {
  const [gateway, owner] = await startPair();
  const stream = streamOf(await post(gateway.url, "/pools/pipeline/call", TOLD));
  const read = await readBegun(stream);
  const child = childIn(read);
  const attached = streamOf(await fetch(`${gateway.url}/children/${child.id}/events`));
  await drain(gateway);
  for (const events of [await restOf(stream, "call"), await restOf(attached, "attached")]) {
    const { problem, ...event } = lastOf(events, "failed");
    expect(event).toEqual({ type: "failed", child });
    expect(problem).toMatchObject({ code: "draining", admitted: true });
  }
  await within("the gateway to leave", gateway.stopped);

  const resumed = await fetch(`${owner.url}/children/${child.id}/events`, {
    headers: { "last-event-id": String(read.at(-1)?.id) },
  });
  await tell(owner, child.id);
  expectWhole([...read, ...(await restOf(streamOf(resumed), "resumed"))]);
});

test("the SDK follows to the child's own member, with a stream and a run", async () => {
  const [gateway, owner] = await startPair();
  const pools = opened(new DistributedPool({ url: gateway.url }));
  const stream = pools.stream("pipeline", TOLD);
  const read = await readBegun(stream);
  const running = pools.run("pipeline", TOLD);
  const ids = async () =>
    (await getJson<{ children: { id: string }[] }>(`${owner.url}/children`)).children;
  await expect.poll(async () => (await ids()).length, { timeout: 10_000 }).toBe(2);
  await drain(gateway);
  await within("the gateway to leave", gateway.stopped);
  for (const { id } of await ids()) await tell(owner, id);
  expectWhole([...read, ...(await restOf(stream))]);
  expect((await within("the run", running)).stdout).toBe("begun\nfinished\n");
});

test("the SDK asks at its own URL where it cannot follow: a load balancer", async () => {
  const [gateway, owner, other] = (await startMembers(
    { pools: { other: 1 }, drainMs: 25_000 },
    {},
    { pools: { other: 1 } },
  )) as [RunningMember, RunningMember, RunningMember];
  let target = gateway;
  const sockets = new Set<Socket>();
  const balancer = createServer((client) => {
    const upstream = connect(Number(new URL(target.url).port), "127.0.0.1");
    for (const socket of [client, upstream]) sockets.add(socket.on("error", () => {}));
    client.pipe(upstream).pipe(client);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    balancer.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(balancer, "listening");
  const url = `http://127.0.0.1:${(balancer.address() as AddressInfo).port}`;
  const reach = (to: string, init: RequestInit) =>
    to.startsWith(url) ? fetch(to, init) : Promise.reject(new TypeError("out of reach"));
  const stream = opened(new PortablePool({ url, fetch: reach })).stream("pipeline", TOLD);
  const read = await readBegun(stream);
  await drain(gateway);
  target = other;
  const rest = restOf(stream);
  await within("the gateway to leave", gateway.stopped);
  await tell(owner, childIn(read).id);
  expectWhole([...read, ...(await rest)]);
});

test("one answer is the problem, with the child; raw bytes break off, and resume", async () => {
  const [gateway, owner] = await startPair();
  const running = post(gateway.url, "/pools/pipeline/run", TOLD);
  // The body of a pipe is its input, so this child waits for a signal.
  const waits = [
    "sh",
    "-c",
    "trap 'echo finished; exit' USR1; echo begun; while :; do sleep 0.1; done",
  ];
  const spec = encodeURIComponent(JSON.stringify({ command: waits }));
  const piped = await post(gateway.url, `/pools/pipeline/pipe?spec=${spec}`);
  const id = String(piped.headers.get("pool-child-id"));
  const body = (piped.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await within("the first bytes", body.read());
  expect(Buffer.from(value as Uint8Array).toString()).toBe("begun\n");
  await drain(gateway);
  await expect(within("the break", body.read())).rejects.toThrow();
  const answer = await running;
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBeNull();
  const problem = (await problemOf(answer)) as { child?: { id: string } };
  expect(problem).toMatchObject({
    code: "draining",
    admitted: true,
    child: { pool: "pipeline", member: owner.name },
  });
  expect(await getJson(`${owner.url}/children/${problem.child?.id}`)).toMatchObject({
    status: "running",
  });
  const rest = await fetch(`${owner.url}/children/${id}/events`, {
    headers: { accept: "application/octet-stream", range: "bytes=6-" },
  });
  await post(owner.url, `/children/${id}/signal`, { signal: "SIGUSR1" });
  expect(await within("the rest", rest.text())).toBe("finished\n");
});

test("linked calls, and those with input under way, stay until the drain is over", async () => {
  const [gateway, owner] = await startPair();
  const linked = streamOf(await post(gateway.url, "/pools/pipeline/call", { ...TOLD, link: true }));
  const read = await readBegun(linked);
  const input = new TransformStream<Uint8Array, Uint8Array>();
  const writer = input.writable.getWriter();
  const piping = post(gateway.url, "/pools/pipeline/pipe?command=cat", input.readable, {
    "content-type": "application/octet-stream",
  });
  await writer.write(Buffer.from("one\n"));
  const echo = ((await piping).body as ReadableStream<Uint8Array>).getReader();
  const next = async () => Buffer.from((await within("the echo", echo.read())).value ?? "");
  expect((await next()).toString()).toBe("one\n");
  const free = streamOf(await post(gateway.url, "/pools/pipeline/call", TOLD));
  await drain(gateway);
  lastOf(await restOf(free), "failed");
  await writer.write(Buffer.from("two\n"));
  expect((await next()).toString()).toBe("two\n");
  await writer.abort();
  await tell(owner, childIn(read).id);
  expectWhole([...read, ...(await restOf(linked))]);
  await within("the gateway to leave", gateway.stopped);
});

test("a call that still waits was not admitted", async () => {
  const [gateway, owner] = await startPair({ pools: { pipeline: 1 } });
  await post(owner.url, "/children", { pool: "pipeline", command: ["sleep", "60"] });
  const waits = { command: ["true"], waitMs: 60_000 };
  const stream = streamOf(await post(gateway.url, "/pools/pipeline/call", waits));
  expect((await within("a position", stream.next())).value).toMatchObject({ type: "queued" });
  const running = post(gateway.url, "/pools/pipeline/run", waits);
  await drain(gateway);
  expect(lastOf(await restOf(stream), "failed").problem).toMatchObject({
    code: "draining",
    admitted: false,
  });
  const answer = await running;
  expect(answer.headers.get("retry-after")).toBe("1");
  expect(await problemOf(answer)).toMatchObject({ code: "draining", admitted: false });
  await within("the gateway to leave", gateway.stopped);
});

test("a reader who comes during the drain is not told that the child never ran", async () => {
  const [gateway, owner] = await startPair();
  const linked = streamOf(await post(gateway.url, "/pools/pipeline/call", { ...TOLD, link: true }));
  const read = await readBegun(linked);
  const { id } = childIn(read);
  const free = streamOf(await post(gateway.url, "/pools/pipeline/call", TOLD));
  await drain(gateway);
  lastOf(await restOf(free), "failed");
  const events = `${gateway.url}/children/${id}/events`;
  for (const accept of ["text/event-stream", "application/octet-stream"])
    expect(await problemOf(await fetch(events, { headers: { accept } }))).toMatchObject({
      code: "draining",
      admitted: "unknown",
    });
  await tell(owner, id);
  expectWhole([...read, ...(await restOf(linked))]);
  await within("the gateway to leave", gateway.stopped);
});

test("requests that keep coming do not hold the gateway up", async () => {
  const [gateway] = await startPair();
  let stopped = false;
  const ask = async () => {
    while (!stopped) {
      const path = Math.random() < 0.5 ? "/pools/pipeline" : "/livez";
      await fetch(`${gateway.url}${path}`).then(
        (answer) => answer.text(),
        () => {},
      );
      await post(gateway.url, "/pools/pipeline/run", { command: ["true"] }).then(
        (answer) => answer.text(),
        () => {},
      );
    }
  };
  const asking = Promise.all([ask(), ask(), ask()]);
  await drain(gateway);
  await within("the gateway to leave", gateway.stopped);
  stopped = true;
  await asking;
});
