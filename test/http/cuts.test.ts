/** A gigabyte over a network that cuts it a hundred times: every byte once, in each form, at the child's own member and through another one. */
import { createHash } from "node:crypto";
import { request } from "undici";
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool, outputBytes } from "../../sdk/typescript/index.ts";
import type { RunningMember } from "../../server/main.ts";
import { collect, idle, startMembers, within } from "../helpers/member.ts";
import { type CuttingProxy, cuttingProxy } from "../helpers/proxy.ts";

const BYTES = 1024 ** 3;
const CUTS = 100;
const LIMIT_MS = 120_000;
/** Prints so many bytes, and their checksum on stderr. */
const COMMAND = ["sh", "-c", `mkfifo copy; sha256sum <copy >&2 & head -c ${BYTES} /dev/urandom | tee copy; wait`];
const RAW = "application/octet-stream";

interface Received {
  readonly bytes: number;
  readonly hash: string;
  /** What the child says it is. */
  readonly expected: string | undefined;
}

async function bySse(url: string): Promise<Received> {
  const pools = new DistributedPool({ url });
  onTestFinished(() => pools.close());
  const hash = createHash("sha256");
  let bytes = 0;
  let stderr = "";
  for await (const event of pools.stream("pipeline", { command: COMMAND, outputEncoding: "base64" })) {
    if (event.type === "gap") throw new Error(`a gap of ${event.droppedBytes} bytes`);
    if (event.type === "stderr") stderr += outputBytes(event).toString();
    if (event.type !== "stdout") continue;
    const chunk = outputBytes(event);
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, hash: hash.digest("hex"), expected: stderr.split(" ")[0] };
}

async function byRaw(url: string): Promise<Received> {
  const hash = createHash("sha256");
  let bytes = 0;
  let answer = await request(`${url}/pools/pipeline/call`, {
    method: "POST",
    headers: { accept: RAW, "content-type": "application/json" },
    body: JSON.stringify({ command: COMMAND }),
  });
  const id = String(answer.headers["pool-child-id"]);
  for (;;) {
    try {
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        hash.update(chunk);
      }
      break;
    } catch {
      answer = await request(`${url}/children/${id}/events`, { headers: { accept: RAW, range: `bytes=${bytes}-` } });
      expect(answer.statusCode).toBe(206);
    }
  }
  expect(JSON.parse(String((answer.trailers as Record<string, string>)["pool-ending"]))).toMatchObject({ type: "result", exitCode: 0 });
  const pools = new DistributedPool({ url });
  onTestFinished(() => pools.close());
  const events = await within("the end of the log", collect(pools.child(id).events()));
  const stderr = events.map((event) => (event.type === "stderr" ? outputBytes(event).toString() : "")).join("");
  return { bytes, hash: hash.digest("hex"), expected: stderr.split(" ")[0] };
}

const FORMS = { "server-sent events": bySse, "raw bytes": byRaw };

test.for(
  Object.entries(FORMS).flatMap(([form, read]) => [
    { form, read, place: "its own member" },
    { form, read, place: "another member" },
  ]),
)("$form through $place", { timeout: LIMIT_MS }, async ({ read, place }) => {
  const [own, other] = (await startMembers({}, { pools: { other: 1 } })) as [RunningMember, RunningMember];
  let requests = 0;
  const proxy: CuttingProxy = await cuttingProxy(place === "its own member" ? own.url : other.url, () =>
    requests++ < CUTS ? 1_000 + Math.floor(Math.random() * 12_000_000) : undefined,
  );
  const { bytes, hash, expected } = await within("the output", read(proxy.url), LIMIT_MS);
  expect(bytes).toBe(BYTES);
  expect(hash).toBe(expected);
  expect(proxy.cuts).toBe(CUTS);
  expect(proxy.requests("POST")).toBe(1);
  await idle(own);
});
