/** A call of the SDK whose input is a stream: sent to the child while its output comes back. */
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { DistributedPool, type NumberedEvent, outputBytes } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  collect,
  getJson,
  heldBytes,
  idle,
  lastOf,
  type Options,
  startMembers,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

const MIB = 1024 * 1024;
/** Hundreds of megabytes take long on a busy machine. */
const LARGE_MS = 180_000;
/** A program that answers each line, and says when there are no more. */
const ECHO = ["sh", "-c", 'while read -r line; do echo "got $line"; done; echo over'];

/** Starts two members; the first one forwards to the second one's pool. */
async function throughGateway(
  options: Options = {},
): Promise<{ far: RunningMember; pools: DistributedPool }> {
  const [gate, far] = (await startMembers(
    { pools: { gate: 1 } },
    { pools: { pipeline: 2 }, ...options },
  )) as [RunningMember, RunningMember];
  return { far, pools: open(gate.url) };
}

function open(url: string): DistributedPool {
  const pools = new DistributedPool({ url }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  return pools;
}

async function next(
  events: AsyncIterator<NumberedEvent>,
  type: NumberedEvent["type"],
): Promise<NumberedEvent> {
  const { value } = await within(type, events.next());
  expect(value?.type).toBe(type);
  return value as NumberedEvent;
}

/** An endless input. */
function endless(): Readable {
  return new Readable({
    read() {
      this.push("y\n".repeat(1_000));
    },
  });
}

const children = async ({ url }: RunningMember) =>
  (await getJson<{ children: ChildInfo[] }>(`${url}/children`)).children;

test("answers arrive before the input has ended", async () => {
  const { far, pools } = await throughGateway();
  const stdin = new PassThrough();
  const events = pools.stream("pipeline", { command: ECHO, stdin });
  await next(events, "placed");
  for (const line of ["one", "two"]) {
    stdin.write(`${line}\n`);
    expect(textOf([await next(events, "stdout")])).toBe(`got ${line}\n`);
  }
  stdin.end("three\n");
  const rest = await within("the rest", collect(events));
  expect(textOf(rest)).toBe("got three\nover\n");
  lastOf(rest, "result");
  await idle(far);
});

test("a large input goes in and comes back, in little memory, at its reader's speed", {
  timeout: LARGE_MS,
}, async () => {
  const { far, pools } = await throughGateway();
  const before = await heldBytes();
  const bytes = 256 * MIB;
  const [given, came] = [createHash("sha256"), createHash("sha256")];
  let most = 0;
  const stdin = Readable.from(
    (async function* () {
      for (let count = 0; count < bytes; count += MIB) {
        if (count % (64 * MIB) === 0) most = Math.max(most, (await heldBytes()) - before);
        const piece = Buffer.alloc(MIB, `${count} `);
        given.update(piece);
        yield piece;
      }
    })(),
    { objectMode: false },
  );
  for await (const event of pools.stream("pipeline", {
    command: ["cat"],
    stdin,
    outputEncoding: "base64",
  }))
    if (event.type === "stdout") came.update(outputBytes(event));
  expect(came.digest("hex")).toBe(given.digest("hex"));
  expect(most).toBeLessThan(48 * MIB);
  await idle(far);
});

test("a file stream and a web stream are sent too", async () => {
  const { far, pools } = await throughGateway({ maxUploadBytes: 1_000 });
  const folder = mkdtempSync(join(tmpdir(), "dpool-feeding-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "in");
  writeFileSync(path, "x".repeat(100_000));
  writeFileSync(join(folder, "empty"), "");
  const count = async (stdin: Parameters<typeof pools.stream>[1]["stdin"]) =>
    textOf(
      await within("the call", collect(pools.stream("pipeline", { command: ["wc", "-c"], stdin }))),
    );
  expect(await count({ path })).toBe("100000\n");
  expect(await count({ path: join(folder, "empty") })).toBe("0\n");
  expect(await count(new Blob(["y".repeat(50_000)]).stream())).toBe("50000\n");
  expect(await count(createReadStream(path, { encoding: "utf8" }))).toBe("100000\n");
  await expect(count({ path: join(folder, "none") })).rejects.toMatchObject({
    code: "invalid_request",
    message: expect.stringContaining("ENOENT"),
  });
  await expect(
    pools.placeChild("pipeline", { command: ["cat"], stdin: { path } }),
  ).rejects.toMatchObject({ code: "payload_too_large" });
  await idle(far);
});

test("a child that stops reading ends its call, and the stream is released", async () => {
  const { far, pools } = await throughGateway();
  const stdin = endless();
  let out = "";
  const stdout = new Writable({
    write(chunk, _, done) {
      out += chunk;
      done();
    },
  });
  expect(
    await within(
      "the call",
      pools.call("pipeline", { command: ["head", "-n", "2"], stdin }, { stdout }),
    ),
  ).toMatchObject({ exitCode: 0 });
  expect(out).toBe("y\ny\n");
  expect(stdin.destroyed).toBe(true);
  await idle(far);
});

test.each<[string, () => Readable, RegExp]>([
  ["fails", () => Readable.from(failing(), { objectMode: false }), /^stdin: the disk is gone/],
  ["brings objects", () => Readable.from([{ a: 1 }]), /^stdin: expected a stream of bytes or text/],
])("a stream that %s ends the call, and the child", async (_, stdin, message) => {
  const { far, pools } = await throughGateway();
  const given = stdin();
  const call = pools.call("pipeline", { command: ["cat"], stdin: given });
  await expect(within("the call", call)).rejects.toMatchObject({
    code: "cancelled",
    message: expect.stringMatching(message),
  });
  expect(given.destroyed).toBe(true);
  await idle(far);
  const [child] = await children(far);
  await expect(within("the end", pools.child(`${child?.id}`).exit)).rejects.toMatchObject({
    code: "cancelled",
  });
});

async function* failing(): AsyncGenerator<string> {
  yield "half of it";
  throw new Error("the disk is gone");
}

test("a stream that fails before there is a child ends the call", async () => {
  const { pools } = await throughGateway();
  const call = pools.call("pipeline", { command: ["cat"], stdin: createReadStream("/nowhere") });
  await expect(within("the call", call)).rejects.toMatchObject({
    code: "cancelled",
    message: expect.stringMatching(/^stdin: ENOENT/),
  });
});

test("leaving a call before the end of its input stops the child", async () => {
  const { far, pools } = await throughGateway();
  const stdin = endless();
  for await (const { type } of pools.stream("pipeline", { command: ["cat"], stdin }))
    if (type === "stdout") break;
  expect(stdin.destroyed).toBe(true);
  await idle(far);
  const [child] = await children(far);
  await expect(within("the end", pools.child(`${child?.id}`).exit)).rejects.toMatchObject({
    code: "cancelled",
  });
});

test("leaving a call after the end of its input leaves the child alone", async () => {
  const { far, pools } = await throughGateway();
  const stdin = Readable.from(["all of it\n"], { objectMode: false });
  const command = ["sh", "-c", "cat; trap 'exit 3' USR1; echo over; while :; do sleep 0.02; done"];
  for await (const event of pools.stream("pipeline", { command, stdin }))
    if (event.type === "stdout" && event.text?.endsWith("over\n")) break;
  const [running] = await children(far);
  expect(running?.status).toBe("running");
  const child = pools.child(`${running?.id}`);
  await child.signal("SIGUSR1");
  expect(await within("the end", child.exit)).toMatchObject({ exitCode: 3 });
});

test("an answer that is cut resumes, and the input goes on meanwhile", async () => {
  const { far } = await throughGateway();
  const proxy = await cuttingProxy(far.url, () => 1_500);
  const LINES = 200;
  const stdin = new PassThrough();
  const events = open(proxy.url).stream("pipeline", { command: ECHO, stdin });
  const read: NumberedEvent[] = [];
  let sent = 0;
  // Each line waits for the answer to the one before, so most cuts come while the input is open.
  const more = () => stdin.write(`line ${sent++}\n`);
  const reading = async () => {
    for await (const event of events) {
      read.push(event);
      if (event.type === "placed") more();
      else if (event.type === "stdout" && sent < LINES) more();
      else if (event.type === "stdout" && sent === LINES && !stdin.writableEnded) stdin.end();
    }
  };
  await within("the call", reading(), 60_000);
  expect(textOf(read)).toBe(
    `${Array.from({ length: LINES }, (_, line) => `got line ${line}\n`).join("")}over\n`,
  );
  expect(proxy.cuts).toBeGreaterThan(3);
});

test("an error that keeps the input from the child fails the call", async () => {
  const { far, pools } = await throughGateway({ maxStreams: 1 });
  const other = await pools.placeChild("pipeline", { command: ["cat"] });
  const otherInput = new PassThrough();
  const feeding = other.write(otherInput);
  otherInput.write("first");
  for await (const event of other.events()) if (event.type === "stdout") break;
  const call = pools.call("pipeline", { command: ["cat"], stdin: endless() });
  await expect(within("the call", call)).rejects.toMatchObject({ code: "too_many_requests" });
  const [, child] = await children(far);
  await expect(within("the end", pools.child(`${child?.id}`).exit)).rejects.toMatchObject({
    code: "cancelled",
  });
  otherInput.end();
  await within("the other one's input", feeding);
  await other.stop({ graceMs: 0 });
  await idle(far);
});

test("a stream that cannot be read, and one for a placed child, are refused", async () => {
  const { pools } = await throughGateway();
  const used = Readable.from(["x"]);
  await used.toArray();
  const locked = new Blob(["x"]).stream();
  locked.getReader();
  const flowing = endless();
  onTestFinished(() => void flowing.destroy());
  flowing.on("data", () => flowing.destroy());
  for (const stdin of [flowing, used, locked])
    await expect(pools.call("pipeline", { command: ["cat"], stdin })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/nobody else reads/),
    });
  await expect(
    pools.placeChild("pipeline", { command: ["cat"], stdin: endless() }),
  ).rejects.toMatchObject({
    code: "invalid_request",
    message: expect.stringMatching(/child\.write\(\)/),
  });
});

test("a stream waits with its call for a slot, unread", async () => {
  const { far, pools } = await throughGateway({ pools: { pipeline: 1 } });
  const blocker = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
  let asked = 0;
  const stdin = new Readable({
    read() {
      this.push(asked++ < 10 ? Buffer.alloc(MIB) : null);
    },
  });
  const events = pools.stream("pipeline", { command: ["wc", "-c"], stdin, waitMs: 60_000 });
  await next(events, "queued");
  expect(asked).toBeLessThanOrEqual(1);
  await blocker.stop({ graceMs: 0 });
  expect(textOf(await within("the rest", collect(events)))).toBe(`${10 * MIB}\n`);
  await until("the stream to be let go", () => stdin.destroyed);
  await idle(far);
});
