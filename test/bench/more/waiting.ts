/**
 * Many callers wait for few slots; each member is a process of its own. The benchmark prints the
 * time beside the least that the work can take, how long members had a free slot while a caller
 * waited, and how fair the order was. All of it is counted from the events that callers saw.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DistributedPool } from "../../../sdk/typescript/node.ts";
import { startConsul } from "../../helpers/consul.ts";
import { startServe } from "../../helpers/processes.ts";

const CALLERS = 200;
const MEMBERS = 3;
const SLOTS = 5;
const WORK_MS = 50;

// Processes are reused: the time of a start would hide the time of the wait.
const folder = await mkdtemp(join(tmpdir(), "dpool-bench-"));
const config = join(folder, "pools.yaml");
await writeFile(config, `pools: {pipeline: {maxChildren: ${SLOTS}, reuse: true}}\n`);
const consul = await startConsul();
const names = Array.from({ length: MEMBERS }, (_, index) => `m${index + 1}`);
const members = await Promise.all(
  names.map((member) =>
    startServe({
      member,
      consul: consul.httpAddress,
      pool: `pipeline=${SLOTS}`,
      args: ["--config", config],
    }),
  ),
);
const pools = new DistributedPool({ consul: consul.httpAddress });
const work = (ms: number) => `() => new Promise((resolve) => setTimeout(resolve, ${ms}))`;
await Promise.all(
  Array.from({ length: MEMBERS * SLOTS }, () =>
    pools.call("pipeline", { function: { source: work(1_000) }, waitMs: 10_000 }),
  ),
);

interface Seen {
  readonly asked: number;
  /** When the caller first heard that it waits; undefined if it never did. */
  queued?: number;
  placed: number;
  ended: number;
  member: string;
}

const seen = await Promise.all(
  Array.from({ length: CALLERS }, async (): Promise<Seen> => {
    const call: Seen = { asked: performance.now(), placed: 0, ended: 0, member: "" };
    for await (const event of pools.stream("pipeline", {
      function: { source: work(WORK_MS) },
      waitMs: 60_000,
    })) {
      if (event.type === "queued") call.queued ??= performance.now();
      else if (event.type === "placed") {
        call.placed = performance.now();
        call.member = event.child.member;
      } else if (event.type === "result") call.ended = performance.now();
      else if (event.type === "failed")
        throw new Error(`${event.problem.code}: ${event.problem.detail}`);
    }
    return call;
  }),
);
const begin = Math.min(...seen.map(({ asked }) => asked));
const end = Math.max(...seen.map(({ ended }) => ended));
const least = (CALLERS / (MEMBERS * SLOTS)) * WORK_MS;
console.log(
  `${CALLERS} callers on ${MEMBERS} × ${SLOTS} slots, ${WORK_MS} ms of work: ` +
    `all finished in ${(end - begin).toFixed(0)} ms, ` +
    `${((end - begin) / least).toFixed(2)} × the least`,
);

interface Change {
  readonly at: number;
  /** The member that runs more or fewer children; undefined for callers that wait. */
  readonly member?: string;
  readonly by: 1 | -1;
}

const changes = seen
  .flatMap(({ queued, placed, ended, member }): Change[] => [
    { at: placed, member, by: 1 },
    { at: ended, member, by: -1 },
    ...(queued === undefined
      ? []
      : [{ at: queued, by: 1 } as const, { at: placed, by: -1 } as const]),
  ])
  .sort((a, b) => a.at - b.at);

/**
 * The times, between `from` and `to`, in which a member ran at most `most` children although a
 * caller waited.
 */
function lulls(name: string, most: number, from: number, to: number): number[] {
  const found: number[] = [];
  let running = 0;
  let waiting = 0;
  let since: number | undefined;
  for (const { at, member, by } of changes) {
    if (member === name) running += by;
    else if (member === undefined) waiting += by;
    const isLull = running <= most && waiting > 0;
    if (isLull) since ??= at;
    else if (since !== undefined) {
      if (since >= from && since < to) found.push(at - since);
      since = undefined;
    }
  }
  return found;
}

/**
 * The moment when every caller had its slot or had heard that it waits. Until then the machine is
 * busy with all of them arriving at once.
 */
const arrived = Math.max(...seen.map(({ queued, placed }) => queued ?? placed));
for (const [when, from, to] of [
  [`in the ${(arrived - begin).toFixed(0)} ms of their arrival`, begin, arrived],
  ["after it", arrived, end],
] as const) {
  for (const [what, most] of [
    ["ran nothing", 0],
    ["had a free slot", SLOTS - 1],
  ] as const) {
    const found = names.flatMap((name) => lulls(name, most, from, to)).sort((x, y) => x - y);
    const at = (part: number) =>
      (found[Math.min(found.length - 1, Math.floor(found.length * part))] ?? 0).toFixed(1);
    console.log(
      `${when}, a member ${what} while somebody waited: ${found.length} times; ` +
        `median ${at(0.5)} ms, 95 % within ${at(0.95)} ms, at most ${at(1)} ms`,
    );
  }
}
await pools.close();
await Promise.all(members.map((member) => member.end()));
await consul.stop();
await rm(folder, { recursive: true });
