/**
 * Many members as one process, which only look like members: they tell a load and answer calls at
 * once. Each listens on a port of its own, and counts its requests.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface StubTask {
  /** How many members to add. */
  readonly add: number;
  /** The pools of the member of this index are those with more members. */
  readonly sizes: readonly number[];
}

/** How many requests came since the last answer. */
export interface StubAnswer {
  readonly urls: readonly string[];
  readonly requests: number;
  readonly calls: number;
}

const MAX = 64;
/** The load as a member tells it with each admission. */
const LOAD = `active=0, max=${MAX}, queued=0`;
let requests = 0;
let calls = 0;

export const poolOf = (size: number) => `of-${size}`;
export const nameOf = (index: number) => `stub-${index + 1}`;

async function listen(index: number, pools: readonly string[]): Promise<string> {
  const load = { active: 0, max: MAX, queued: 0 };
  const member = nameOf(index);
  const count = JSON.stringify({
    member,
    pools: Object.fromEntries(pools.map((pool) => [pool, load])),
  });
  const id = `${member}.${"0".repeat(32)}`;
  const placed = { type: "placed", child: { id, pool: pools[0], member, url: `http://${member}` } };
  const usage = { wallMs: 1, cpuMs: 1, maxRssBytes: 1 };
  const result = { type: "result", value: 7, usage, artifacts: [] };
  const events = [placed, result]
    .map((event, at) => `event: ${event.type}\nid: ${at + 1}\ndata: ${JSON.stringify(event)}\n\n`)
    .join("");
  const server = createServer((request, answer) => {
    requests += 1;
    answer.setHeader("pool-member", member);
    if (request.method === "GET") {
      answer.writeHead(200, { "content-type": "application/json" }).end(count);
      return;
    }
    calls += 1;
    request.resume().on("end", () => {
      const type = "text/event-stream; charset=utf-8";
      const told = { "pool-child-id": id, "pool-load": LOAD };
      answer.writeHead(200, { "content-type": type, ...told }).end(events);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

process.on("message", async ({ add, sizes }: StubTask) => {
  const urls = await Promise.all(
    Array.from({ length: add }, (_, index) =>
      listen(index, sizes.filter((size) => index < size).map(poolOf)),
    ),
  );
  process.send?.({ urls, requests, calls });
  [requests, calls] = [0, 0];
});
process.once("disconnect", () => process.exit());
