/**
 * 90 seconds of calls of every kind under faults, on three Consul servers and five members.
 * DPOOL_SEED chooses another schedule and other calls.
 */
import { expect, test } from "vitest";
import { consulMissing } from "../helpers/consul.ts";
import { LEVEL } from "../helpers/sandbox.ts";
import { check } from "../recorder/model.ts";
import { figuresOf, violationsOf } from "../recorder/report.ts";
import { record } from "../recorder/run.ts";

const SEED = Number(process.env.DPOOL_SEED ?? 1);
const DURATION_MS = 90_000;
/** The start, the calls that are under way at the end, and the rest. */
const TEST_MS = DURATION_MS + 300_000;
/** A run with fewer results has shown nothing. */
const LEAST_RESULTS = 100;

const missing =
  consulMissing ?? (LEVEL === "full" ? undefined : "the sandbox is not whole on this machine");

test.skipIf(missing)(
  `a recorded history keeps the promises (seed ${SEED})`,
  async () => {
    const recorded = await record({ seed: SEED, durationMs: DURATION_MS });
    for (const line of figuresOf(recorded)) console.log(line);
    const violations = check(recorded);
    expect(violationsOf(recorded, violations).join("\n")).toBe("");
    expect(recorded.strange).toEqual([]);
    const results = recorded.calls.filter(({ ending }) => ending?.type === "result");
    expect(results.length).toBeGreaterThan(LEAST_RESULTS);
  },
  TEST_MS,
);
