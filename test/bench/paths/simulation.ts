/**
 * The real placement code over 10 to 10,000 simulated members, beside three simple ways. It runs in
 * virtual time, so the load of the machine does not matter.
 */
import type { Cell, Context, Outcome } from "../benchmark.ts";
import { Worker } from "../load/worker.ts";
import type { Simulated } from "../programs/simulate.ts";
import { POLICIES } from "../simulation/policies.ts";
import type { Fault, Scenario } from "../simulation/world.ts";

const SIZES = [10, 100, 1_000, 10_000];
const LOADS = [0.5, 0.9, 0.99];
const FAULTS: readonly Fault[] = ["stale", "slow", "lying"];
/** The pool in which a tenth of the members misbehaves. Clients need time to find out which. */
const FAULTY = { members: 100, load: 0.9, calls: 12_000 };
/** A larger pool cannot be scanned for each call. */
const MAX_SCANNED = 1_000;

export async function run({ quick, log }: Context): Promise<Outcome> {
  const usual = { fault: "none" as Fault, calls: quick ? 100 : 3_000 };
  const sizes = quick ? [10] : SIZES;
  const cases = [
    ...sizes.flatMap((members) => LOADS.map((load) => ({ ...usual, members, load }))),
    ...(quick ? [] : FAULTS.map((fault) => ({ ...FAULTY, fault }))),
  ];
  const rows: Cell[][] = [];
  const figures: Record<string, number> = {};
  const simulator = new Worker<Scenario, Simulated>("simulate");
  try {
    for (const { members, load, fault, calls } of cases) {
      log(`simulation: ${members} members, load ${load}, faults: ${fault}`);
      for (const policy of Object.keys(POLICIES)) {
        if (policy === "scan all" && members > MAX_SCANNED) continue;
        const seen = await simulator.run({ members, load, fault, calls, policy });
        const { unjust, refused, requests, mean, p99 } = seen;
        const percent = [unjust, refused].map((each) => `${each.toFixed(2)} %`);
        rows.push([String(members), String(load), fault, policy, ...percent, requests, mean, p99]);
        for (const [name, value] of Object.entries(seen))
          figures[`simulation/${policy}/${members}/${load}/${fault}/${name}`] = value;
      }
    }
  } finally {
    await simulator.end();
  }
  const columns = ["members", "load", "a tenth is", "way", "refused with a free slot", "refused"];
  return {
    tables: [
      {
        title: "Calls of 50 clients; 5 slots a member, 200 ms of work, 1 ms to and fro",
        columns: [...columns, "requests a call", "mean ms", "p99 ms"],
        rows,
      },
    ],
    figures,
  };
}
