/** Readers that are slower than the child. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { type NumberedEvent, readEvents } from "../../sdk/typescript/http/read-events.ts";
import { outputBytes } from "../../sdk/typescript/node.ts";
import { HeldBytes } from "../../server/http/bodies/held-bytes.ts";
import type { Runtime } from "../../server/runtimes/runtime.ts";
import { startProblem } from "../../server/sandbox/process.ts";
import type { Exit, Sandbox } from "../../server/sandbox/sandbox.ts";
import { Child } from "../../server/supervisor/child.ts";
import { fetchRulesOf } from "../../server/workspace/fetching/fetch-rules.ts";
import {
  collect,
  getJson,
  heldBytes,
  idle,
  lastOf,
  post,
  startMembers,
  startOne,
  streamOf,
  until,
  within,
} from "../helpers/member.ts";
import { confinement } from "../helpers/sandbox.ts";

const MIB = 1024 * 1024;
const zeros = (bytes: number) => ["head", "-c", String(bytes), "/dev/zero"];

/** A caller on a bare socket, which reads only what the test reads. */
async function openCall(url: string, path: string, spec: object): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => {
    socket.destroy();
  });
  await within("the connection", once(socket, "connect"));
  const body = JSON.stringify(spec);
  socket.pause();
  // Over HTTP/1.0 the answer has no chunks and ends with the connection.
  socket.write(
    `POST ${path} HTTP/1.0\r\nhost: ${hostname}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return socket;
}

/** The bytes after the head of an answer. */
async function* bodyOf(socket: Socket): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (!head) yield chunk;
    else {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) continue;
      expect(head.toString("latin1", 0, end)).toMatch(/^HTTP\/1\.[01] 200/);
      yield head.subarray(end + 4);
      head = undefined;
    }
  }
}

/** Bytes received and declared dropped, and the last event. */
async function measure(events: AsyncIterable<NumberedEvent>) {
  const sum = { received: 0, dropped: 0, gaps: 0, last: undefined as NumberedEvent | undefined };
  for await (const event of events) {
    sum.last = event;
    if (event.type === "stdout") sum.received += outputBytes(event).length;
    else if (event.type === "gap") {
      sum.dropped += event.droppedBytes;
      sum.gaps += 1;
    }
  }
  return sum;
}

async function place(url: string, command: string[]): Promise<ChildInfo> {
  return (await (
    await post(url, "/children", { pool: "pipeline", command, outputEncoding: "base64" })
  ).json()) as ChildInfo;
}

const attach = async (url: string, id: string) =>
  streamOf(await within("the answer", fetch(`${url}/children/${id}/events`)));
const infoOf = (url: string, id: string) => getJson<ChildInfo>(`${url}/children/${id}`);

describe("a caller that does not read", () => {
  test.each(["/call", "/pools/pipeline/call"])(
    "of %s stops its child, costs little memory and misses nothing",
    async (path) => {
      const [m1, m2] = await startMembers({}, { pools: { other: 1 } });
      if (!m1 || !m2) throw new Error("expected two members");
      // The call enters at the member that does not serve the pool.
      const [door, own] = path === "/call" ? [m1, { pool: "pipeline" }] : [m2, {}];
      const bytes = 100 * MIB;
      const before = await heldBytes();
      const socket = await openCall(door.url, path, {
        ...own,
        command: zeros(bytes),
        outputEncoding: "base64",
      });
      await until(
        "the child to be there",
        async () =>
          (await getJson<{ children: ChildInfo[] }>(`${m1.url}/children`)).children.length === 1,
      );
      const [slow] = (await getJson<{ children: [ChildInfo] }>(`${m1.url}/children`)).children;
      // A child without a reader does the same work later: its end shows that enough time passed.
      const free = await place(m1.url, zeros(bytes));
      await until(
        "the child without a reader to end",
        async () => (await infoOf(m1.url, free.id)).status === "ended",
      );
      expect((await infoOf(m1.url, slow.id)).status).toBe("running");
      expect((await heldBytes()) - before).toBeLessThan(32 * MIB);
      const { received, dropped, last } = await within(
        "the whole output",
        measure(readEvents(bodyOf(socket))),
        50_000,
      );
      expect({ received, dropped }).toEqual({ received: bytes, dropped: 0 });
      expect(last).toMatchObject({ type: "result", exitCode: 0 });
      await idle(m1);
    },
  );

  test("and never will, can be stopped: its child ends and the slot is free", async () => {
    const member = await startOne();
    await openCall(member.url, "/call", { pool: "pipeline", command: ["yes"], deadlineMs: 500 });
    await until(
      "the child to be there",
      async () =>
        (await getJson<{ children: ChildInfo[] }>(`${member.url}/children`)).children.length === 1,
    );
    await idle(member);
  });

  test("and leaves, lets its child continue", async () => {
    const member = await startOne();
    const socket = await openCall(member.url, "/call", {
      pool: "pipeline",
      command: zeros(20 * MIB),
      outputEncoding: "base64",
    });
    await until(
      "the child to be there",
      async () =>
        (await getJson<{ children: ChildInfo[] }>(`${member.url}/children`)).children.length === 1,
    );
    const [child] = (await getJson<{ children: [ChildInfo] }>(`${member.url}/children`)).children;
    socket.destroy();
    await idle(member);
    const { received, dropped, last } = await within(
      "the rest",
      measure(await attach(member.url, child.id)),
    );
    expect(received + dropped).toBe(20 * MIB);
    expect(last).toMatchObject({ type: "result", exitCode: 0 });
  });
});

describe("a child without a reader", () => {
  test("ends by itself; a late reader finds a gap and the rest, which add up", async () => {
    const [m1, m2] = await startMembers({}, {});
    if (!m1 || !m2) throw new Error("expected two members");
    const bytes = 50 * MIB;
    const child = await place(m1.url, zeros(bytes));
    await idle(m1);
    for (const { url } of [m1, m2]) {
      const sum = await within("the rest", measure(await attach(url, child.id)));
      expect(sum.gaps).toBe(1);
      expect(sum.received).toBeGreaterThan(0);
      expect(sum.received).toBeLessThan(2 * MIB);
      expect(sum.received + sum.dropped).toBe(bytes);
      expect(lastOf(sum.last ? [sum.last] : [], "result").exitCode).toBe(0);
    }
  });

  test("and a reader that keeps up shares the log with one that does not", async () => {
    const member = await startOne();
    const child = await place(member.url, ["sh", "-c", `sleep 0.3; ${zeros(10 * MIB).join(" ")}`]);
    const sums = await within(
      "the readers",
      Promise.all([1, 2, 3].map(async () => measure(await attach(member.url, child.id)))),
    );
    for (const { received, dropped, last } of sums) {
      expect(received + dropped).toBe(10 * MIB);
      expect(last).toMatchObject({ type: "result" });
    }
  });
});

/** The test provides the child's output, so it can count the bytes that are taken. */
test("a lossless reader that stops keeps the child's pipe unread", async () => {
  const taken = { bytes: 0 };
  const stdout = new Readable({
    highWaterMark: 65_536,
    read() {
      taken.bytes += 65_536;
      // A pipe answers later too. At once, nothing else would get a turn.
      setImmediate(() => this.push(Buffer.alloc(65_536, "x")));
    },
  });
  let exit: (exit: Exit) => void = () => {};
  const exited = new Promise<Exit>((resolve) => {
    exit = resolve;
  });
  const end = () => {
    stdout.destroy();
    exit({ exitCode: 0, signal: null, started: true, exceeded: undefined, usage: undefined });
  };
  const sandbox: Sandbox = {
    level: "none",
    folder: "/nonexistent",
    startProblem: (cause: unknown) => startProblem(cause),
    launch: async () => ({
      stdout,
      stderr: new PassThrough().end(),
      stdin: null,
      channel: null,
      pid: 0,
      progress: null,
      artifacts: null,
      exited,
      usedMs: () => undefined,
      tasks: () => undefined,
      isAlone: () => true,
      holds: () => false,
      signal: async () => end(),
      kill: end,
    }),
    close: async () => {},
  };
  const runtime: Runtime = {
    start: async (_, place) => ({
      process: await sandbox.launch(
        { argv: [], env: {}, readOnly: [], channel: false, stdin: false },
        place.confinement,
      ),
      outcome: exited.then((how) => ({ kind: "exited", exit: how })),
    }),
  };
  const child = new Child({
    reference: {
      id: `m1.${"0".repeat(32)}`,
      pool: "pipeline",
      member: "m1",
      url: "http://127.0.0.1:1/children/x",
    },
    spec: { command: ["x"], outputEncoding: "base64", waitMs: 0, link: false },
    runtime,
    call: undefined,
    client: "127.0.0.1",
    rules: { sandbox, fetchRules: fetchRulesOf({ fetch: [], fetchAddresses: [] }) },
    confinement: confinement(),
    folder: "/nonexistent",
    deadlineMs: undefined,
    heldBytes: new HeldBytes({ what: "requests", maxBytes: () => 1e9, shared: false }),
    graceMs: 1_000,
  });
  const reader = child.log.read({ lossless: true });
  await until("the log to be full", () => !child.log.writable);
  for (let turn = 0; turn < 100; turn++) await nextTurn();
  const full = taken.bytes;
  expect(full).toBeLessThan(2 * MIB);
  for (let turn = 0; turn < 1_000; turn++) await nextTurn();
  expect(taken.bytes).toBe(full);
  const reading = collect(reader);
  await until("the child to be read on", () => taken.bytes > full + 4 * MIB);
  child.stop("cancelled", "for the test");
  const entries = await within("the end of the log", reading);
  expect(entries.map(({ id }) => id)).toEqual(entries.map((_, index) => index + 1));
  expect(entries.filter(({ type }) => type === "gap")).toEqual([]);
});
