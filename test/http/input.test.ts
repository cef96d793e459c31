/** Input and signals for a child that runs. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import {
  type Child,
  DistributedPool,
  outputBytes,
  type PoolEvent,
} from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  collect,
  getJson,
  heldBytes,
  idle,
  type Options,
  post,
  problemOf,
  startMembers,
  until,
  within,
} from "../helpers/member.ts";

const MIB = 1024 * 1024;
/** Time for hundreds of megabytes on a busy machine. */
const LARGE_MS = 180_000;

/** A gateway, the member behind it, and the pool of that member through the gateway. */
async function throughGateway(options: Options = {}) {
  const [gate, far] = (await startMembers(
    { pools: { gate: 1 } },
    { pools: { pipeline: 2 }, ...options },
  )) as [RunningMember, RunningMember];
  const pools = new DistributedPool({ url: gate.url });
  onTestFinished(() => pools.close());
  return { gate, far, pools };
}

function text(events: readonly PoolEvent[]): string {
  return Buffer.concat(
    events.map((event) => (event.type === "stdout" ? outputBytes(event) : Buffer.alloc(0))),
  ).toString();
}

/** Reads a child's events until its output is the expected one. */
async function output(child: Child, expected: string): Promise<void> {
  const read = async () => {
    let sofar = "";
    for await (const event of child.events()) {
      if (event.type === "stdout") sofar += event.text ?? "";
      if (sofar === expected) return;
    }
    throw new Error(`expected ${JSON.stringify(expected)}; got ${JSON.stringify(sofar)}`);
  };
  await within(`output ${JSON.stringify(expected)}`, read());
}

test("a placed child whose input is not open gets an empty one", async () => {
  const { gate } = await throughGateway();
  const spec = { command: ["cat"], stdin: { open: false } };
  const placed = await post(gate.url, "/pools/pipeline/children", spec);
  const child = (await placed.json()) as ChildInfo;
  expect(
    await problemOf(await post(gate.url, `/children/${child.id}/stdin`, "late")),
  ).toMatchObject({ code: "stdin_closed" });
  const events = await within(
    "the events",
    fetch(`${gate.url}/children/${child.id}/events`).then((answer) => answer.text()),
  );
  expect(events).toContain('"exitCode":0');
});

test("bodies reach the child one after the other, and the last one ends the input", async () => {
  const { far, pools } = await throughGateway();
  const child = await pools.placeChild("pipeline", { command: ["cat"] });
  expect(await child.write("one ")).toBe(4);
  await output(child, "one ");
  expect(await child.write(Buffer.from("two "))).toBe(4);
  expect(await child.write("")).toBe(0);
  expect(
    await child.write(Readable.from(["three ", "four"], { objectMode: false }), { end: true }),
  ).toBe(10);
  const events = await within("the end", collect(child.events()));
  expect(text(events)).toBe("one two three four");
  expect(events.at(-1)).toMatchObject({ type: "result", exitCode: 0 });
  await expect(child.write("late")).rejects.toMatchObject({ code: "stdin_closed" });
  await idle(far);
});

test("bodies that are sent at the same time wait for each other", async () => {
  const { far, pools } = await throughGateway();
  const child = await pools.placeChild("pipeline", { command: ["tr", "-s", "abcd"] });
  await within(
    "the bodies",
    Promise.all(["a", "b", "c", "d"].map((letter) => child.write(letter.repeat(MIB)))),
  );
  await child.write("", { end: true });
  // Each letter is in one run.
  expect([...text(await within("the end", collect(child.events())))].toSorted()).toEqual([
    "a",
    "b",
    "c",
    "d",
  ]);
  await idle(far);
});

test("a call's input is empty unless the spec opens it", async () => {
  const { far, pools } = await throughGateway();
  const empty = await within("the end", collect(pools.stream("pipeline", { command: ["cat"] })));
  expect(empty.at(-1)).toMatchObject({ type: "result", exitCode: 0 });
  const events = pools.stream("pipeline", { command: ["cat"], stdin: { open: true } });
  const placed = (await within("placed", events.next())).value;
  if (placed?.type !== "placed") throw new Error("expected placed");
  await pools.child(placed.child.id).write("fed", { end: true });
  expect(text(await within("the end", collect(events)))).toBe("fed");
  const fed = await pools.placeChild("pipeline", {
    command: ["sh", "-c", "cat; sleep 60"],
    stdin: "given",
  });
  await output(fed, "given");
  await expect(fed.write("more")).rejects.toMatchObject({ code: "stdin_closed" });
  await fed.stop({ graceMs: 0 });
  await idle(far);
});

test("a large input passes in little memory, no faster than the child reads", {
  timeout: LARGE_MS,
}, async () => {
  const { far, pools } = await throughGateway();
  const bytes = 256 * MIB;
  const piece = Buffer.alloc(MIB, "0123456789abcdef");
  const child = await pools.placeChild("pipeline", { command: ["sha256sum"] });
  const digest = createHash("sha256");
  const before = await heldBytes();
  let most = 0;
  const body = Readable.from(
    (async function* () {
      for (let sent = 0; sent < bytes; sent += piece.length) {
        if (sent % (64 * MIB) === 0) most = Math.max(most, (await heldBytes()) - before);
        digest.update(piece);
        yield piece;
      }
    })(),
    { objectMode: false },
  );
  expect(await within("all to be taken", child.write(body, { end: true }), LARGE_MS)).toBe(bytes);
  expect(most).toBeLessThan(32 * MIB);
  expect(text(await within("the end", collect(child.events()))).split(" ")[0]).toBe(
    digest.digest("hex"),
  );
  await idle(far);
});

test("a child that reads nothing stops its sender, and its end tells how much it took", {
  timeout: LARGE_MS,
}, async () => {
  const { far, pools } = await throughGateway();
  const child = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
  const before = await heldBytes();
  let offered = 0;
  const mebibytes = (count: number, onPiece: () => void) =>
    Readable.from(
      (async function* () {
        for (let piece = 0; piece < count; piece++) {
          onPiece();
          yield Buffer.alloc(MIB);
        }
      })(),
      { objectMode: false },
    );
  const body = mebibytes(1_000, () => {
    offered += MIB;
  });
  const writing = child.write(body).catch((error: unknown) => error);
  const waiting = child.write("after").catch((error: unknown) => error);
  // Another child takes in this time what this child must not take.
  const other = await pools.placeChild("pipeline", { command: ["wc", "-c"] });
  expect(
    await within(
      "another one's input",
      other.write(
        mebibytes(128, () => {}),
        { end: true },
      ),
      LARGE_MS,
    ),
  ).toBe(128 * MIB);
  expect(offered).toBeGreaterThan(0);
  expect(offered).toBeLessThan(32 * MIB);
  expect((await heldBytes()) - before).toBeLessThan(32 * MIB);
  await child.stop({ graceMs: 0 });
  expect(await within("the refusal", writing)).toMatchObject({
    code: "stdin_closed",
    message: expect.stringMatching(/took \d+ bytes/),
  });
  expect(await within("the refusal", waiting)).toMatchObject({ code: "stdin_closed" });
  await idle(far);
});

test("input that a child does not take is refused, at its end at the latest", async () => {
  const { far, pools } = await throughGateway();
  const child = await pools.placeChild("pipeline", {
    command: ["sh", "-c", "exec <&-; echo closed; sleep 60"],
  });
  await output(child, "closed\n");
  const writing = child.write(Buffer.alloc(MIB)).catch((error: unknown) => error);
  await child.stop({ graceMs: 0 });
  expect(await within("the refusal", writing)).toMatchObject({ code: "stdin_closed" });
  await idle(far);
});

test.each(["directly", "through another member"])(
  "the child gets the part of a body whose sender goes away, %s, and its input stays open",
  async (how) => {
    const { gate, far, pools } = await throughGateway();
    const child = await pools.placeChild("pipeline", { command: ["cat"] });
    const sent = request(
      `${how === "directly" ? far.url : gate.url}/children/${child.id}/stdin?end=true`,
      { method: "POST" },
    );
    sent.on("error", () => {});
    sent.write("half");
    await output(child, "half");
    sent.destroy();
    await until(
      "the next body to have its turn",
      async () => (await child.write(" and whole", { end: true })) === 10,
    );
    expect(text(await within("the end", collect(child.events())))).toBe("half and whole");
    await idle(far);
  },
);

test("a sender that goes away while it waits for its turn changes nothing", async () => {
  const { far, pools } = await throughGateway();
  const child = await pools.placeChild("pipeline", { command: ["cat"] });
  const first = request(`${far.url}/children/${child.id}/stdin`, { method: "POST" });
  first.write("one ");
  await output(child, "one ");
  const waits = request(`${far.url}/children/${child.id}/stdin`, { method: "POST" });
  waits.on("error", () => {});
  waits.write("never");
  await within("the connection", once(waits, "socket"));
  await pools.child(child.id).info();
  waits.destroy();
  first.end("two ");
  await within("the first one's answer", once(first, "response"));
  await until(
    "the next body to have its turn",
    async () => (await child.write("three", { end: true })) === 5,
  );
  expect(text(await within("the end", collect(child.events())))).toMatch(/^one two (never)?three$/);
  await idle(far);
});

test("a sender may be silent for longer than the timeout of requests", async () => {
  const { gate, far, pools } = await throughGateway({ requestTimeoutMs: 300 });
  const child = await pools.placeChild("pipeline", { command: ["cat"] });
  const sent = request(`${far.url}/children/${child.id}/stdin?end=true`, { method: "POST" });
  sent.write("half");
  // An upload that began later is refused meanwhile.
  const upload = request(`${far.url}/children`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream", "pool-spec": "{}" },
  });
  upload.write("half");
  const [refused] = (await within("the refusal", once(upload, "response"))) as [IncomingMessage];
  expect(refused.statusCode).toBe(408);
  upload.destroy();
  expect(
    await problemOf(await post(gate.url, `/children/${child.id}/stdin?end=maybe`, "x")),
  ).toMatchObject({ code: "invalid_request" });
  sent.end("!");
  expect(text(await within("the end", collect(child.events())))).toBe("half!");
  await idle(far);
});

test("too many waiting bodies are refused", async () => {
  const { far, pools } = await throughGateway();
  const child = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
  const full = Buffer.alloc(MIB);
  const outcomes: unknown[] = [];
  const all = Array.from({ length: 20 }, () =>
    child
      .write(full)
      .catch((error: unknown) => void outcomes.push((error as { code: string }).code)),
  );
  await until("the refusals", () => outcomes.length >= 3);
  expect(new Set(outcomes)).toEqual(new Set(["too_many_requests"]));
  await child.stop({ graceMs: 0 });
  await within("the end of the others", Promise.all(all));
  expect(outcomes.filter((code) => code === "stdin_closed")).toHaveLength(17);
  await idle(far);
});

test("a signal reaches the program, through any member", async () => {
  const { far, pools } = await throughGateway();
  const child = await pools.placeChild("pipeline", {
    command: [
      "sh",
      "-c",
      "trap 'echo one' USR1; trap 'echo two; exit 3' USR2; echo up; while :; do sleep 0.02; done",
    ],
    artifacts: ["none"],
  });
  await output(child, "up\n");
  expect(await child.signal("SIGUSR1")).toMatchObject({ id: child.id, status: "running" });
  await output(child, "up\none\n");
  await child.signal("SIGUSR2");
  expect(await within("the end", child.exit)).toMatchObject({ exitCode: 3 });
  expect(await child.signal("SIGKILL")).toMatchObject({ status: "ended", exitCode: 3 });
  expect(
    await problemOf(await post(far.url, `/children/${child.id}/signal`, { signal: "SIGSEGV" })),
  ).toMatchObject({
    code: "invalid_request",
    detail: expect.stringMatching(/expected one of SIGHUP/),
  });
  await idle(far);
});

test("a stopped program continues on SIGCONT, and a deadline or DELETE ends it", async () => {
  const { far, pools } = await throughGateway({ graceMs: 100 });
  const child = await pools.placeChild("pipeline", { command: ["cat"] });
  await child.write("a");
  await output(child, "a");
  await child.signal("SIGSTOP");
  await child.write("b");
  await child.signal("SIGCONT");
  await output(child, "ab");
  await child.signal("SIGSTOP");
  await child.stop();
  await expect(within("the end", child.exit)).rejects.toMatchObject({ code: "cancelled" });
  const late = await pools.placeChild("pipeline", { command: ["sleep", "60"], deadlineMs: 500 });
  await late.signal("SIGSTOP");
  await expect(within("the end", late.exit)).rejects.toMatchObject({ code: "deadline_exceeded" });
  await idle(far);
});

test("a second DELETE may shorten the grace, and never prolongs it", async () => {
  const { far, pools } = await throughGateway({ graceMs: 600_000 });
  const child = await pools.placeChild("pipeline", {
    command: ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"],
  });
  await output(child, "up\n");
  expect(await child.stop()).toMatchObject({ status: "stopping", endedAt: null });
  await child.stop({ graceMs: 900_000 });
  expect(await child.stop({ graceMs: 0 })).toMatchObject({ status: "stopping" });
  await expect(within("the end", child.exit)).rejects.toMatchObject({ code: "cancelled" });
  expect(
    await problemOf(
      await within(
        "the answer",
        fetch(`${far.url}/children/${child.id}?graceMs=soon`, { method: "DELETE" }),
      ),
    ),
  ).toMatchObject({
    code: "invalid_request",
  });
  await idle(far);
});

test("children are listed by labels and status, with their endings", async () => {
  const { gate, far, pools } = await throughGateway({ pools: { pipeline: 4 } });
  const sleep = await pools.placeChild("pipeline", {
    command: ["sleep", "60"],
    labels: { job: "nightly", part: "1" },
  });
  const three = await pools.placeChild("pipeline", {
    command: ["sh", "-c", "exit 3"],
    labels: { job: "nightly", part: "2" },
  });
  const gone = await pools.placeChild("pipeline", {
    command: ["sleep", "60"],
    labels: { job: "daily" },
  });
  await three.exit;
  await gone.stop({ graceMs: 0 });
  await gone.exit.catch(() => {});
  const ids = async (filter: Parameters<typeof pools.children>[1]) =>
    (await pools.children("pipeline", filter)).children.map(({ id }) => id);
  expect(await ids({ labels: { job: "nightly" } })).toEqual([sleep.id, three.id]);
  expect(await ids({ labels: { job: "nightly", part: "2" } })).toEqual([three.id]);
  expect(await ids({ labels: { job: true } })).toEqual([sleep.id, three.id, gone.id]);
  expect(await ids({ labels: { part: true }, status: "running" })).toEqual([sleep.id]);
  expect(await ids({ labels: { job: "weekly" } })).toEqual([]);
  expect(await three.info()).toMatchObject({
    status: "ended",
    exitCode: 3,
    code: null,
    endedAt: expect.stringMatching(/Z$/),
  });
  expect(await gone.info()).toMatchObject({ status: "ended", exitCode: 137, code: "cancelled" });
  expect(await sleep.info()).toMatchObject({
    status: "running",
    exitCode: null,
    code: null,
    endedAt: null,
  });
  const one = await getJson<{ children: ChildInfo[] }>(
    `${far.url}/children?label=job=nightly&label=part&status=ended`,
  );
  expect(one.children.map(({ id }) => id)).toEqual([three.id]);
  for (const query of ["status=dead", "labels=a"])
    expect(
      await problemOf(
        await within("the answer", fetch(`${gate.url}/pools/pipeline/children?${query}`)),
      ),
    ).toMatchObject({ code: "invalid_request" });
  await sleep.stop({ graceMs: 0 });
  await idle(far);
});

test("a member remembers an ended child for the configured time", async () => {
  const { far, pools } = await throughGateway({ rememberMs: 0 });
  const child = await pools.placeChild("pipeline", { command: ["true"] });
  await until(
    "the child to be forgotten",
    async () => (await fetch(`${far.url}/children/${child.id}`)).status === 410,
  );
  await expect(child.write("x")).rejects.toMatchObject({ code: "child_forgotten" });
  await expect(child.signal("SIGTERM")).rejects.toMatchObject({ code: "child_forgotten" });
});
