/** The clients of a run: each makes the calls that the seed determines, until the time is over. */
import { setTimeout as pause } from "node:timers/promises";
import type { Callers } from "./callers/callers.ts";
import { callsOf } from "./calls.ts";
import { type CallPlan, type CallRecord, WAYS } from "./history.ts";
import type { Random } from "./random.ts";

/** A client begins no call whose child would run for longer after the time is over. */
const LAST_MS = 10_000;

/** Makes the calls of a step, of which those with one key overlap. */
async function makeStep(
  callers: Callers,
  { client, until }: { client: string; until: number },
  step: readonly CallPlan[],
): Promise<CallRecord[]> {
  const made: Promise<CallRecord>[] = [];
  for (const plan of step) {
    await (plan.begins === "in turn" ? Promise.all(made) : pause(plan.begins));
    if (Date.now() > until) break;
    made.push(callers.make(plan, client));
  }
  return Promise.all(made);
}

/** Runs one step of the client after the other until the time is over. */
export async function runClient(
  callers: Callers,
  { client, random, until }: { client: string; random: Random; until: number },
  calls: CallRecord[],
): Promise<void> {
  const way = WAYS[Number(client.slice(1)) % WAYS.length] as (typeof WAYS)[number];
  const steps = callsOf(random, client, way);
  while (Date.now() < until) {
    const { value: step } = steps.next();
    if (Date.now() + Math.max(...step.map(({ takesMs }) => takesMs)) > until + LAST_MS) continue;
    calls.push(...(await makeStep(callers, { client, until }, step)));
    // A member that refuses at once must not make its clients spin.
    await pause(10);
  }
}
