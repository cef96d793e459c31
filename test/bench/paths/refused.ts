/** Calls that were refused although the pool had a free slot: 18 callers on 20 slots. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startConsul } from "../../helpers/consul.ts";
import { startServe } from "../../helpers/processes.ts";
import { eventually } from "../../helpers/wait.ts";
import type { Context, Outcome } from "../benchmark.ts";
import type { Measured, Task } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import { NO_LIMITS, stopMember } from "../setting/cluster.ts";
import { IDENTITY, SSE } from "./calls.ts";

const MEMBERS = 5;
const SLOTS = 4;
const CALLERS = 18;

export async function run({ quick }: Context): Promise<Outcome> {
  const calls = quick ? 100 : 10_000;
  const folder = mkdtempSync(join(tmpdir(), "dpool-bench-"));
  const config = join(folder, "pools.yaml");
  writeFileSync(config, JSON.stringify({ pools: { reused: { maxChildren: SLOTS, reuse: true } } }));
  const consul = await startConsul();
  const members = await Promise.all(
    Array.from({ length: MEMBERS }, (_, index) =>
      startServe({
        member: `m${index + 1}`,
        consul: consul.httpAddress,
        pool: null,
        args: [...NO_LIMITS, "--config", config],
      }),
    ),
  );
  const loader = new Worker<Task, Measured>("load");
  try {
    for (const { url, name } of members)
      await eventually(
        `${name} to see all members`,
        async () => {
          const pool = (await (await fetch(`${url}/pools/reused`)).json()) as {
            members: unknown[];
          };
          if (pool.members.length < MEMBERS) throw new Error(`${pool.members.length} members`);
        },
        15_000,
      );
    const urls = members.map(({ url }) => url);
    const task = { urls, path: "/pools/reused/call", body: { function: IDENTITY }, ...SSE };
    const { good, failures, perSecond, p50, p99 } = await loader.run({
      ...task,
      callers: CALLERS,
      calls,
    });
    const refused = calls - good;
    const codes = Object.entries(failures).map(([code, count]) => `${count} ${code}`);
    return {
      tables: [
        {
          title: `${CALLERS} callers on ${MEMBERS} × ${SLOTS} slots, by all members as gateways`,
          columns: ["calls", "refused", "calls/s", "p50 ms", "p99 ms"],
          rows: [[String(calls), `${refused} ${codes.join(", ")}`.trim(), perSecond, p50, p99]],
        },
      ],
      figures: { "refused/refused": refused },
    };
  } finally {
    await loader.end();
    await Promise.all(members.map(stopMember));
    await consul.stop();
    rmSync(folder, { recursive: true });
  }
}
