/** Simulates pools in virtual time, one scenario after the other. */
import { ascending, mean, quantile } from "../measure/statistics.ts";
import { VirtualClock } from "../simulation/clock.ts";
import { POLICIES } from "../simulation/policies.ts";
import { type Scenario, World } from "../simulation/world.ts";

export interface Simulated {
  /** Calls that were refused although a slot was free all the while, in percent. */
  readonly unjust: number;
  /** All refused calls, in percent. */
  readonly refused: number;
  readonly requests: number;
  /** Milliseconds to be admitted. */
  readonly mean: number;
  readonly p99: number;
}

const CLIENTS = 50;
const SEED = 1;
/** A quarter of the calls comes first and does not count: clients begin without knowledge. */
const WARM_UP_SHARE = 0.25;

/** The generator mulberry32: the same numbers in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function simulate(scenario: Scenario, clock: VirtualClock): Promise<Simulated> {
  const random = seeded(SEED);
  const world = new World(scenario, clock, random);
  const make = POLICIES[scenario.policy];
  if (!make) throw new Error(`expected a policy; got ${scenario.policy}`);
  const ports = { world, random, now: clock.now };
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => make(ports)));
  const times: number[] = [];
  let [begun, ended, refused, unjust] = [0, 0, 0, 0];
  const warmUp = Math.floor(scenario.calls * WARM_UP_SHARE);
  const call = async (isCounted: boolean) => {
    const from = clock.now();
    const client = clients[Math.floor(random() * CLIENTS)];
    const isAdmitted = await client?.();
    ended += 1;
    if (!isCounted) return;
    if (isAdmitted) times.push(clock.now() - from);
    else {
      refused += 1;
      if (world.fullAt < from) unjust += 1;
    }
  };
  const next = () => {
    if (begun === warmUp) world.requests = 0;
    void call(begun >= warmUp);
    if (++begun < scenario.calls)
      clock.after(world.exponential(world.pauseMs(scenario.load)), next);
  };
  clock.after(0, next);
  await clock.run(() => ended === scenario.calls);
  const calls = scenario.calls - warmUp;
  return {
    unjust: (unjust / calls) * 100,
    refused: (refused / calls) * 100,
    requests: world.requests / calls,
    mean: mean(times),
    p99: quantile(ascending(times), 0.99),
  };
}

process.on("message", async (scenario: Scenario) => {
  const clock = new VirtualClock();
  clock.install();
  process.send?.(await simulate(scenario, clock));
});
process.once("disconnect", () => process.exit());
