/**
 * `npm run soak -- --minutes N [--seed S] [--clients N]`: records calls under faults for as long as
 * you like, in runs of five minutes. Fails on a violation, and on memory or descriptors that grow.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { check } from "../recorder/model.ts";
import { figuresOf, violationsOf } from "../recorder/report.ts";
import { record } from "../recorder/run.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: process.env.DPOOL_SEED ?? String(Date.now() % 1_000_000) },
    clients: { type: "string", default: "12" },
    /** A file for the whole history, as JSON. */
    history: { type: "string" },
  },
});
const tell = (line: string) => console.log(`${new Date().toISOString()} ${line}`);
const recorded = await record({
  seed: Number(values.seed),
  durationMs: Number(values.minutes) * 60_000,
  clients: Number(values.clients),
  tell,
});
const violations = check(recorded);
for (const line of [...figuresOf(recorded), ...violationsOf(recorded, violations)]) tell(line);
if (values.history) writeFileSync(values.history, JSON.stringify(recorded));
process.exitCode = violations.length === 0 ? 0 : 1;
