/**
 * Waiting for a slot: many callers on few slots, through gateways. Tells the time beside the least that the work can take, how long
 * members had a free slot while somebody waited, counted from the events that the callers saw, and how fair the order was.
 */
import { DistributedPool } from "../../sdk/typescript/index.ts";
import { EmbeddedRegistry, startMember } from "../../server/main.ts";

const CALLERS = 200;
const MEMBERS = 3;
const SLOTS = 5;
const WORK_MS = 50;

const registry = new EmbeddedRegistry();
const members = [];
for (let index = 0; index < MEMBERS; index++) {
  // Processes that are used again: the time of a start would hide that of the waiting.
  members.push(await startMember({ pools: { pipeline: { maxChildren: SLOTS, reuse: true } }, name: `m${index + 1}`, port: 0, registry }));
}
await Promise.all(members.map(({ joined }) => joined));

interface Seen {
  readonly asked: number;
  placed: number;
  ended: number;
  member: string;
}

const pools = members.map(({ url }) => new DistributedPool({ url }));
await Promise.all(
  Array.from({ length: MEMBERS * SLOTS }, () => (pools[0] as DistributedPool).call("pipeline", () => new Promise((resolve) => setTimeout(resolve, 500)))),
);
const seen = await Promise.all(
  Array.from({ length: CALLERS }, async (_, index): Promise<Seen> => {
    const call: Seen = { asked: performance.now(), placed: 0, ended: 0, member: "" };
    const spec = { function: { source: `() => new Promise((resolve) => setTimeout(resolve, ${WORK_MS}))` }, waitMs: 60_000 };
    for await (const event of (pools[index % MEMBERS] as DistributedPool).stream("pipeline", spec)) {
      if (event.type === "placed") {
        call.placed = performance.now();
        call.member = event.child.member;
      } else if (event.type === "result") call.ended = performance.now();
      else if (event.type === "failed") throw new Error(`${event.problem.code}: ${event.problem.detail}`);
    }
    return call;
  }),
);
const begin = Math.min(...seen.map(({ asked }) => asked));
const end = Math.max(...seen.map(({ ended }) => ended));
/** The last moment at which anybody waited. */
const lastPlaced = Math.max(...seen.map(({ placed }) => placed));
const least = (CALLERS / (MEMBERS * SLOTS)) * WORK_MS;
console.log(
  `${CALLERS} callers on ${MEMBERS} × ${SLOTS} slots, ${WORK_MS} ms of work: all finished in ${(end - begin).toFixed(0)} ms, ${((end - begin) / least).toFixed(2)} × the least`,
);

const idle: number[] = [];
for (const { name } of members) {
  const changes = seen
    .filter(({ member }) => member === name)
    .flatMap(({ placed, ended }) => [
      { at: placed, by: 1 },
      { at: ended, by: -1 },
    ])
    .sort((a, b) => a.at - b.at);
  let running = 0;
  let idleSince: number | undefined;
  let filled = false;
  for (const { at, by } of changes) {
    running += by;
    filled ||= running === SLOTS;
    // A member is idle while it runs nothing at all although somebody waits.
    if (filled && running === 0 && at < lastPlaced) idleSince = at;
    else if (idleSince !== undefined) {
      idle.push(at - idleSince);
      idleSince = undefined;
    }
  }
  if (idleSince !== undefined) idle.push(lastPlaced - idleSince);
}
console.log(`members idle while somebody waited: ${idle.length} times, at most ${Math.max(0, ...idle).toFixed(1)} ms`);
const gaps = seen
  .filter(({ placed }) => placed < lastPlaced)
  .map(({ ended, member }) => Math.min(...seen.filter((other) => other.member === member && other.placed > ended - 1).map(({ placed }) => placed - ended)))
  .filter((gap) => Number.isFinite(gap) && gap > 0)
  .sort((a, b) => a - b);
console.log(
  `from an end to the next start on the same member: median ${gaps[Math.floor(gaps.length / 2)]?.toFixed(1)} ms, 95 % within ${gaps[Math.floor(gaps.length * 0.95)]?.toFixed(1)} ms`,
);
await Promise.all(pools.map((each) => each.close()));
await Promise.all(members.map((member) => member.stop()));
