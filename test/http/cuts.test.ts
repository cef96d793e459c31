/**
 * 256 MiB over a network that cuts them a hundred times: every byte once, in each form, at the
 * child's own member and through another one.
 */
import { createHash } from "node:crypto";
import { request } from "undici";
import { expect, onTestFinished, test } from "vitest";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { DistributedPool, outputBytes } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import { collect, idle, startMembers, startOne, within } from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

const BYTES = 256 * 1024 * 1024;
const CUTS = 100;
const LIMIT_MS = 120_000;
/** Prints so many bytes, and their checksum on stderr. */
const COMMAND = [
  "sh",
  "-c",
  `mkfifo copy; sha256sum <copy >&2 & head -c ${BYTES} /dev/urandom | tee copy; wait`,
];
const RAW = "application/octet-stream";

const somewhere = () => 1_000 + Math.floor(Math.random() * 4_000_000);

interface Received {
  readonly bytes: number;
  readonly hash: string;
  /** What the child says it is. */
  readonly expected: string | undefined;
}

function open(url: string): DistributedPool {
  const pools = new DistributedPool({ url });
  onTestFinished(() => pools.close());
  return pools;
}

/** Reads what `next` opens behind the last event that came, to the end of the child. */
async function readEvents(
  next: (after: number | undefined) => AsyncIterable<NumberedEvent>,
  leaveAfter: () => number,
): Promise<Received> {
  const hash = createHash("sha256");
  let bytes = 0;
  let stderr = "";
  for (let after: number | undefined; ; ) {
    let left = leaveAfter();
    for await (const event of next(after)) {
      if (event.type === "gap") throw new Error(`a gap of ${event.droppedBytes} bytes`);
      if (event.type === "result")
        return { bytes, hash: hash.digest("hex"), expected: stderr.split(" ")[0] };
      after = event.id;
      if (event.type === "stderr") stderr += outputBytes(event).toString();
      if (event.type !== "stdout") continue;
      const chunk = outputBytes(event);
      bytes += chunk.length;
      hash.update(chunk);
      left -= chunk.length;
      if (left <= 0) break;
    }
  }
}

async function readRaw(url: string, leaveAfter: () => number): Promise<Received> {
  const hash = createHash("sha256");
  let bytes = 0;
  let answer = await request(`${url}/pools/pipeline/call`, {
    method: "POST",
    headers: { accept: RAW, "content-type": "application/json" },
    body: JSON.stringify({ command: COMMAND }),
  });
  const id = String(answer.headers["pool-child-id"]);
  /** Reads to the end, which is true, or leaves. */
  const read = async (body: AsyncIterable<Buffer>, left: number) => {
    for await (const chunk of body) {
      bytes += chunk.length;
      hash.update(chunk);
      left -= chunk.length;
      if (left <= 0) return false;
    }
    return true;
  };
  while (!(await read(answer.body, leaveAfter()))) {
    answer = await request(`${url}/children/${id}/events`, {
      headers: { accept: RAW, range: `bytes=${bytes}-` },
    });
    expect(answer.statusCode).toBe(206);
  }
  expect(
    JSON.parse(String((answer.trailers as Record<string, string>)["pool-ending"])),
  ).toMatchObject({ type: "result", exitCode: 0 });
  const events = await within("the end of the log", collect(open(url).child(id).events()));
  const stderr = events
    .map((event) => (event.type === "stderr" ? outputBytes(event).toString() : ""))
    .join("");
  return { bytes, hash: hash.digest("hex"), expected: stderr.split(" ")[0] };
}

async function wholly(reading: Promise<Received>): Promise<void> {
  const { bytes, hash, expected } = await within("the output", reading, LIMIT_MS);
  expect(bytes).toBe(BYTES);
  expect(hash).toBe(expected);
}

/** How often to leave, and after how many bytes. */
function leaves(): () => number {
  let cuts = 0;
  return () => (cuts++ < CUTS ? somewhere() : Number.POSITIVE_INFINITY);
}

const SPEC = { command: COMMAND, outputEncoding: "base64" as const };

test("events, by a caller that the network cuts: the SDK goes on by itself", {
  timeout: LIMIT_MS,
}, async () => {
  const member = await startOne();
  let requests = 0;
  const proxy = await cuttingProxy(member.url, () => (requests++ < CUTS ? somewhere() : undefined));
  await wholly(
    readEvents(
      () => open(proxy.url).stream("pipeline", SPEC),
      () => Number.POSITIVE_INFINITY,
    ),
  );
  expect(proxy.cuts).toBe(CUTS);
  expect(proxy.requests("POST")).toBe(1);
  await idle(member);
});

test("events, through another member, by a caller that cuts its connections", {
  timeout: LIMIT_MS,
}, async () => {
  const [own, other] = (await startMembers({}, { pools: { other: 1 } })) as [
    RunningMember,
    RunningMember,
  ];
  const pools = open(other.url);
  let id = "";
  async function* next(after: number | undefined) {
    for await (const event of after === undefined
      ? pools.stream("pipeline", SPEC)
      : pools.child(id).events({ after })) {
      if (event.type === "placed") id = event.child.id;
      yield event;
    }
  }
  await wholly(readEvents(next, leaves()));
  await idle(own);
});

test.each(["its own member", "another member"])(
  "raw bytes, through %s, by a caller that cuts its connections",
  { timeout: LIMIT_MS },
  async (place) => {
    const [own, other] = (await startMembers({}, { pools: { other: 1 } })) as [
      RunningMember,
      RunningMember,
    ];
    await wholly(readRaw(place === "its own member" ? own.url : other.url, leaves()));
    await idle(own);
  },
);
