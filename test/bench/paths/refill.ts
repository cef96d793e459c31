/** How fast a member replaces one-use processes, beside bare sandboxed starts of `node`. */
import type { Context, Outcome } from "../benchmark.ts";
import type { Measured, Task } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import { inTurns } from "../measure/turns.ts";
import type { BareAnswer, BareTask } from "../setting/bare.ts";
import { startCluster } from "../setting/cluster.ts";
import { WARM } from "../setting/pools.ts";
import { IDENTITY, SSE } from "./calls.ts";

/** One start at a time, and two: the better of them is the rate of bare starts. */
const AT_A_TIME = [1, 2];

export async function run(context: Context): Promise<Outcome> {
  const [rounds, taken] = context.quick ? [1, 1] : [7, WARM];
  const cluster = await startCluster(context, "refill", ["warm"]);
  const loader = new Worker<Task, Measured>("load");
  const bare = new Worker<BareTask, BareAnswer>("bare");
  const notes: string[] = [];
  const task = {
    urls: [cluster.member.url],
    path: "/call",
    body: { pool: "warm", function: IDENTITY },
  };
  const subjects = [
    {
      name: `a member, ${taken} processes taken at once`,
      async measure() {
        await cluster.settled();
        const begin = performance.now();
        await loader.run({ ...task, ...SSE, callers: taken, calls: taken });
        const called = performance.now() - begin;
        return { perSecond: taken / ((called + (await cluster.settled())) / 1_000) };
      },
    },
    ...AT_A_TIME.map((callers) => ({
      name: `bare, ${callers} at a time`,
      async measure() {
        const { ms } = await bare.run({ name: "bare sandboxed node", callers, calls: taken });
        return { perSecond: taken / (ms / 1_000) };
      },
    })),
  ];
  try {
    const measured = await inTurns(subjects, rounds, (name, error) =>
      notes.push(`${name}: ${(error as Error).message}`),
    );
    const [member, bareStarts] = [...measured.values()].map(({ perSecond }) => perSecond.median);
    return {
      tables: [
        {
          title: "Starts of one-use processes",
          columns: ["start", "a second"],
          rows: [...measured].map(([name, { perSecond }]) => [name, perSecond]),
        },
      ],
      figures: {
        "refill/member": member ?? Number.NaN,
        "refill/bare": bareStarts ?? Number.NaN,
      },
      notes,
    };
  } finally {
    await Promise.all([loader.end(), bare.end()]);
    await cluster.end();
  }
}
