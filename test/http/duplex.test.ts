/**
 * A call whose body is its child's input: it goes in while the output comes back, on one
 * connection, and nothing of it is kept.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { readEvents } from "../../sdk/typescript/http/read-events.ts";
import { newToken } from "../../server/access/tokens.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  collect,
  eventsOf,
  getJson,
  heldBytes,
  idle,
  lastOf,
  type Options,
  post,
  problemOf,
  startMembers,
  textOf,
  until,
  within,
} from "../helpers/member.ts";

const MIB = 1024 * 1024;
/** 256 MiB take their time on a machine that has other work. */
const LARGE_MS = 240_000;
/** Answers each line, and tells when there are no more. */
const ECHO = ["sh", "-c", 'while read -r line; do echo "got $line"; done; echo over'];

const WAYS = ["directly", "through another member"] as const;
type Way = (typeof WAYS)[number];

/** Two members, of which the first only forwards. */
async function startBoth(
  far: Options = {},
  gate: Options = {},
): Promise<[gate: RunningMember, far: RunningMember]> {
  return (await startMembers(
    { pools: { gate: 1 }, ...gate },
    { pools: { pipeline: 1 }, ...far },
  )) as [RunningMember, RunningMember];
}

interface Calling {
  readonly sent: ClientRequest;
  /** The head of the answer. */
  readonly answer: Promise<IncomingMessage>;
}

/** Begins a call whose body is still to be written. */
function call(
  [gate, far]: readonly RunningMember[],
  way: Way,
  spec: object,
  headers: Readonly<Record<string, string>> = {},
): Calling {
  const [url, path, own] =
    way === "directly"
      ? [far?.url, "/call", { pool: "pipeline" }]
      : [gate?.url, "/pools/pipeline/call", {}];
  const sent = request(`${url}${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/octet-stream",
      "pool-spec": JSON.stringify({ ...own, ...spec }),
      ...headers,
    },
  });
  sent.on("error", () => {});
  sent.flushHeaders();
  const answer = within(
    "the head of the answer",
    once(sent, "response").then(([response]) => response as IncomingMessage),
  );
  answer.catch(() => {});
  return { sent, answer };
}

/** Writes zeros for as long as somebody takes them. */
function endlessly(sent: ClientRequest): void {
  const more = () => {
    while (!sent.destroyed && sent.write(Buffer.alloc(65_536))) {}
  };
  sent.on("drain", more);
  more();
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  return Buffer.concat(await within("the body", answer.toArray())).toString();
}

async function next(
  events: AsyncIterator<NumberedEvent>,
  type: NumberedEvent["type"],
): Promise<NumberedEvent> {
  const { value } = await within(type, events.next());
  expect(value?.type).toBe(type);
  return value as NumberedEvent;
}

/** The events of a member's only child, to its end. */
async function eventsOn({ url }: RunningMember): Promise<NumberedEvent[]> {
  const [child] = (await getJson<{ children: ChildInfo[] }>(`${url}/children`)).children;
  return eventsOf(await within("the events", fetch(`${child?.url}/events`)));
}

test.each(WAYS)("what is answered arrives before the input has ended, %s", async (way) => {
  const members = await startBoth();
  const { sent, answer } = call(members, way, { command: ECHO });
  const events = readEvents(await answer);
  await next(events, "placed");
  for (const line of ["one", "two", "three"]) {
    sent.write(`${line}\n`);
    expect(textOf([await next(events, "stdout")])).toBe(`got ${line}\n`);
  }
  sent.end();
  expect(textOf([await next(events, "stdout")])).toBe("over\n");
  await next(events, "result");
  await idle(members[1]);
});

test("256 MiB go in and come back through another member, in little memory", {
  timeout: LARGE_MS,
}, async () => {
  const members = await startBoth();
  const { sent, answer } = call(
    members,
    "through another member",
    { command: ["cat"] },
    { accept: "application/octet-stream" },
  );
  const before = await heldBytes();
  const bytes = 256 * MIB;
  const given = createHash("sha256");
  let most = 0;
  const body = Readable.from(
    (async function* () {
      for (let count = 0; count < bytes; count += MIB) {
        if (count % (32 * MIB) === 0) most = Math.max(most, (await heldBytes()) - before);
        const piece = Buffer.alloc(MIB, `${count} `);
        given.update(piece);
        yield piece;
      }
    })(),
    { objectMode: false },
  );
  body.pipe(sent);
  const read = async () => {
    const came = createHash("sha256");
    for await (const chunk of await answer) came.update(chunk as Buffer);
    return came.digest("hex");
  };
  const came = await within("all of it", read(), LARGE_MS);
  expect(came).toBe(given.digest("hex"));
  expect(most).toBeLessThan(48 * MIB);
  await idle(members[1]);
});

test.each(WAYS)("a refusal does not wait for the body, %s", async (way) => {
  const members = await startBoth();
  await (
    await post(members[1].url, "/children", { pool: "pipeline", command: ["sleep", "60"] })
  ).text();
  const { sent, answer } = call(members, way, { command: ["cat"] });
  sent.write("and more to come");
  expect((await answer).statusCode).toBe(503);
  expect(JSON.parse(await bodyOf(await answer))).toMatchObject({
    code: way === "directly" ? "at_capacity" : "all_members_at_capacity",
  });
  sent.destroy();
});

test.each(WAYS)(
  "a body waits with its call for a slot, %s, and goes with its caller",
  async (way) => {
    const members = await startBoth();
    const blocker = (await (
      await post(members[1].url, "/children", { pool: "pipeline", command: ["sleep", "60"] })
    ).json()) as ChildInfo;
    const queued = () =>
      until(
        "one to wait",
        async () =>
          (await getJson<Count>(`${members[1].url}/children/count`)).pools.pipeline?.queued === 1,
      );
    const leaves = call(members, way, { command: ["cat"], waitMs: 60_000 });
    leaves.sent.write("never read");
    await queued();
    leaves.sent.destroy();
    await until(
      "nobody to wait",
      async () =>
        (await getJson<Count>(`${members[1].url}/children/count`)).pools.pipeline?.queued === 0,
    );

    const { sent, answer } = call(members, way, { command: ["wc", "-c"], waitMs: 60_000 });
    sent.end(Buffer.alloc(MIB));
    const events = readEvents(await answer);
    await next(events, "queued");
    await fetch(`${blocker.url}?graceMs=0`, { method: "DELETE" });
    const rest = await within("the rest", collect(events));
    expect(textOf(rest)).toBe(`${MIB}\n`);
    lastOf(rest, "result");
    await idle(members[1]);
  },
);

test.each(WAYS)(
  "a caller that goes before the end of its body takes the child along, %s",
  async (way) => {
    const members = await startBoth();
    const { sent, answer } = call(members, way, { command: ["cat"] });
    sent.write("half of it");
    const events = readEvents(await answer);
    await next(events, "placed");
    await next(events, "stdout");
    sent.destroy();
    await idle(members[1]);
    expect(lastOf(await eventsOn(members[1]), "failed").problem).toMatchObject({
      code: "cancelled",
      detail: "the sender of the child's input went away before its end",
    });
  },
);

// Nobody reads from its connection then; what the kernel tells of it does.
test.skipIf(process.platform !== "linux")(
  "a caller whose connection is reset while its body is held up takes the child along",
  async () => {
    const members = await startBoth();
    // Longer than it takes to see the connection for the first time.
    const { sent, answer } = call(
      members,
      "directly",
      { command: ["sh", "-c", "sleep 5; echo held; sleep 60"] },
      { accept: "application/octet-stream" },
    );
    endlessly(sent);
    await within("the child to say so", once(await answer, "data"));
    sent.socket?.resetAndDestroy();
    await idle(members[1]);
    expect(lastOf(await eventsOn(members[1]), "failed").problem).toMatchObject({
      code: "cancelled",
    });
  },
);

test.each(WAYS)(
  "a body with broken framing stops the child, %s, though its caller keeps the connection",
  async (way) => {
    const members = await startBoth();
    const [{ url }, path, own] =
      way === "directly"
        ? [members[1], "/call", { pool: "pipeline" }]
        : [members[0], "/pools/pipeline/call", {}];
    const { port, host } = new URL(url);
    const socket = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    const spec = JSON.stringify({ command: ["sleep", "60"], ...own });
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: ${host}\r\naccept: application/json\r\n` +
        `pool-spec: ${spec}\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n`,
    );
    await until(
      "the child to run",
      async () =>
        (await getJson<Count>(`${members[1].url}/children/count`)).pools.pipeline?.active === 1,
    );
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes;
    });
    socket.write("no length\r\n");
    await within("the answer", once(socket, "end"));
    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*"code":"invalid_request"/);
    await idle(members[1]);
    expect(lastOf(await eventsOn(members[1]), "failed").problem).toMatchObject({
      code: "cancelled",
    });
  },
);

test.each(WAYS)(
  "a caller that goes after the end of its body leaves the child alone, %s",
  async (way) => {
    const members = await startBoth();
    // More than the pipes hold: the child has not read all of it when its caller goes.
    const { sent, answer } = call(members, way, {
      command: ["sh", "-c", "head -c 1; sleep 0.5; wc -c"],
    });
    const events = readEvents(await answer);
    await next(events, "placed");
    await within(
      "all to be sent",
      new Promise<void>((resolve) => void sent.end(Buffer.alloc(260_000, "x"), resolve)),
    );
    await next(events, "stdout");
    sent.destroy();
    await idle(members[1]);
    const told = await eventsOn(members[1]);
    expect(textOf(told)).toBe("x259999\n");
    lastOf(told, "result");
  },
);

test.each(
  WAYS.flatMap((way) =>
    ["text/event-stream", "application/json", "application/octet-stream"].map(
      (accept) => [way, accept] as const,
    ),
  ),
)("a child that reads no more ends its call all the same, %s, as %s", async (way, accept) => {
  const members = await startBoth();
  const { sent, answer } = call(
    members,
    way,
    { command: ["head", "-c", "10"], outputEncoding: "base64" },
    { accept },
  );
  endlessly(sent);
  const response = await answer;
  const text = await bodyOf(response);
  expect(response.statusCode).toBe(200);
  const zeros = Buffer.alloc(10);
  if (accept === "application/octet-stream") {
    expect(text).toBe(zeros.toString());
    expect(JSON.parse(String(response.trailers["pool-ending"]))).toMatchObject({ exitCode: 0 });
  } else if (accept === "application/json")
    expect(JSON.parse(text)).toMatchObject({ stdout: zeros.toString("base64"), exitCode: 0 });
  else expect(text).toMatch(/"base64":"AAAAAAAAAAAAAA=="[\s\S]*event: result\n/);
  // Half a body is on it.
  await until(
    "the connection to be closed",
    () => sent.destroyed || sent.socket?.destroyed === true,
  );
  await idle(members[1]);
});

test.each(WAYS)("what is wrong with it is said before the body is read, %s", async (way) => {
  const members = await startBoth();
  const refused = async (spec: object, headers: Readonly<Record<string, string>> = {}) => {
    const { sent, answer } = call(members, way, spec, headers);
    sent.write("and more to come");
    const problem = JSON.parse(await bodyOf(await answer)) as { code: string; detail: string };
    sent.destroy();
    expect(problem.code).toBe("invalid_request");
    return problem.detail;
  };
  expect(await refused({ command: ["cat"], stdin: "x" })).toBe(
    "/stdin: expected it in the spec or as the body; got both",
  );
  expect(await refused({ command: ["cat"], stdin: { open: true } })).toBe(
    "/stdin: expected it in the spec or as the body; got both",
  );
  expect(await refused({ command: [] })).toMatch(/^\/command: /);
  expect(await refused({}, { "pool-spec": "{" })).toMatch(/^expected JSON: /);
  expect(await refused({}, { "pool-spec": '{"command":["é"]}' })).toMatch(
    /JSON in ASCII in the header pool-spec, other characters as \\u escapes/,
  );
});

test("the spec is in the query or in the header, one of the two", async () => {
  const members = await startBoth();
  const path = `${members[0].url}/pools/pipeline/call`;
  const query = `?spec=${encodeURIComponent(JSON.stringify({ command: ["cat", "é"] }))}`;
  const send = (url: string, headers: Record<string, string> = {}) =>
    within(
      "the answer",
      fetch(url, {
        method: "POST",
        body: "body",
        headers: { "content-type": "application/octet-stream", ...headers },
      }),
    );
  const header = { "pool-spec": '{"command":["sh","-c","printf %s \\u00e9; cat"]}' };
  expect(await (await send(path, { ...header, accept: "application/octet-stream" })).text()).toBe(
    "ébody",
  );
  const command = ["sh", "-c", "printf %s é; cat"];
  const inQuery = `?spec=${encodeURIComponent(JSON.stringify({ command }))}`;
  expect(
    await (await send(`${path}${inQuery}`, { accept: "application/octet-stream" })).text(),
  ).toBe("ébody");
  for (const [url, headers, got] of [
    [path, {}, "none"],
    [`${path}${query}`, header, "more than one"],
  ] as const)
    expect(await problemOf(await send(url, headers))).toMatchObject({
      code: "invalid_request",
      detail:
        "expected the child spec beside a body that is the child's input, in ?spec= or in the " +
        `header pool-spec; got ${got}`,
    });
  for (const url of [path, `${path.replace(/call$/, "children")}`]) {
    expect(
      await problemOf(await send(url, { ...header, "content-type": "application/json" })),
    ).toMatchObject({
      code: "invalid_request",
      detail:
        "expected the child spec in the body, or beside a body that is the child's input; " +
        "got it beside one that is application/json",
    });
    const form = new FormData();
    form.set("spec", "{}");
    expect(
      (
        await problemOf(
          await within("the answer", fetch(`${url}${query}`, { method: "POST", body: form })),
        )
      ).detail,
    ).toMatch(/got it beside one that is multipart\/form-data/);
  }
  await idle(members[1]);
});

test("an input that takes one body takes no second one, and ends with it", async () => {
  const [gate, far] = await startBoth();
  const spec = { command: ["cat"], stdin: { open: true, once: true } };
  const child = (await (
    await post(gate.url, "/pools/pipeline/children", spec)
  ).json()) as ChildInfo;
  const first = request(`${child.url}/stdin`, { method: "POST" });
  first.write("first");
  const events = readEvents(
    (await fetch(`${child.url}/events`)).body as unknown as AsyncIterable<Uint8Array>,
  );
  await next(events, "placed");
  await next(events, "stdout");
  expect(
    await problemOf(await post(gate.url, `/children/${child.id}/stdin`, "second")),
  ).toMatchObject({ code: "stdin_closed" });
  first.end();
  const [answer] = (await within("the answer", once(first, "response"))) as [IncomingMessage];
  expect(JSON.parse(await bodyOf(answer))).toEqual({ bytes: 5 });
  await next(events, "result");
  const stdin = { once: true };
  expect(
    await problemOf(await post(gate.url, "/pools/pipeline/call", { command: ["cat"], stdin })),
  ).toMatchObject({ code: "invalid_request" });
  await idle(far);
});

test("a silent sender is waited for", async () => {
  const members = await startBoth({ requestTimeoutMs: 300 }, { requestTimeoutMs: 300 });
  const { sent, answer } = call(members, "through another member", { command: ["cat"] });
  const events = readEvents(await answer);
  await next(events, "placed");
  // What is kept is given up in the same time.
  const upload = request(`${members[0].url}/pools/pipeline/children`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream", "pool-spec": "{}" },
  });
  upload.write("half");
  const [refused] = (await within("the refusal", once(upload, "response"))) as [IncomingMessage];
  expect(refused.statusCode).toBe(408);
  upload.destroy();
  sent.end("at last");
  expect(textOf(await within("the rest", collect(events)))).toBe("at last");
  await idle(members[1]);
});

test("the input is sent on for the caller whose it is, and is counted once each way", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dpool-duplex-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { token, line } = newToken("caller", ["call"], ["pipeline"]);
  writeFileSync(join(folder, "tokens"), `${line}\n`, { mode: 0o600 });
  const options = { tokenFile: join(folder, "tokens"), maxStreams: 1 };
  const members = await startBoth({ pools: { pipeline: 5 }, ...options }, options);
  const authorization = `Bearer ${token}`;
  const { sent, answer } = call(
    members,
    "through another member",
    { command: ["cat"] },
    { authorization },
  );
  const events = readEvents(await answer);
  await next(events, "placed");
  sent.write("in");
  expect(textOf([await next(events, "stdout")])).toBe("in");
  const second = call(members, "through another member", { command: ["cat"] }, { authorization });
  expect((await second.answer).statusCode).toBe(429);
  second.sent.destroy();
  expect((await call(members, "directly", { command: ["cat"] }).answer).statusCode).toBe(401);
  sent.end();
  lastOf(await within("the rest", collect(events)), "result");
});

test.each(["the member", "the gateway"])("%s that drains lets such a call finish", async (who) => {
  const members = await startBoth({ drainMs: 20_000 }, { drainMs: 20_000 });
  const { sent, answer } = call(members, "through another member", { command: ECHO });
  const events = readEvents(await answer);
  await next(events, "placed");
  sent.write("one\n");
  await next(events, "stdout");
  const drains = who === "the member" ? members[1] : members[0];
  await within("the answer of POST /drain", fetch(`${drains.url}/drain`, { method: "POST" }));
  sent.end("two\n");
  const rest = await within("the rest", collect(events));
  expect(textOf(rest)).toBe("got two\nover\n");
  lastOf(rest, "result");
  await within("the member to leave", drains.stopped);
});

/** What curl prints, and its exit code. */
async function curl(
  input: Readable | undefined,
  ...args: string[]
): Promise<{ code: number; out: string }> {
  const child = spawn("curl", ["-sS", "-N", ...args], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdin.on("error", () => {});
  if (input) input.pipe(child.stdin);
  else child.stdin.end();
  const exited = once(child, "exit");
  const out = await bodyOf(child.stdout as unknown as IncomingMessage);
  const [code] = (await within("curl's end", exited)) as [number];
  return { code, out };
}

test("curl sends any content-type, and an endless body to a child that ends", async () => {
  const [gate, far] = await startBoth();
  const folder = mkdtempSync(join(tmpdir(), "dpool-duplex-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const film = Buffer.alloc(20 * MIB, "film ");
  writeFileSync(join(folder, "in.mp4"), film);
  const call = [
    "-H",
    "accept: application/octet-stream",
    `${gate.url}/pools/pipeline/call`,
    "-X",
    "POST",
  ];
  const sum = await curl(
    undefined,
    ...call,
    "-H",
    'pool-spec: {"command":["sha256sum"]}',
    "--data-binary",
    `@${folder}/in.mp4`,
  );
  const expected = { code: 0, out: `${createHash("sha256").update(film).digest("hex")}  -\n` };
  expect(sum).toEqual(expected);
  const inQuery = [
    "--url-query",
    'spec={"command":["sha256sum"]}',
    "-H",
    "content-type: video/mp4",
    "--data-binary",
    `@${folder}/in.mp4`,
  ];
  expect(await curl(undefined, ...call, ...inQuery)).toEqual(expected);
  const yes = new Readable({
    read() {
      this.push("y\n".repeat(10_000));
    },
  });
  expect(
    await curl(yes, ...call, "-H", 'pool-spec: {"command":["head","-n","3"]}', "-T", "-"),
  ).toEqual({ code: 0, out: "y\ny\ny\n" });
  yes.destroy();
  await idle(far);
});
