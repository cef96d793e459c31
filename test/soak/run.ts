/**
 * `npm run soak -- --minutes N [--seed S] [--clients N] [--history FILE]`: records calls under
 * faults for as long as you like. It fails on a violation, and on memory or descriptors that grow.
 * DPOOL_TEST_CONSUL names another Consul than that of the tests.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { consulBinary } from "../helpers/consul.ts";
import type { MemberHost } from "../recorder/cluster/member-host.ts";
import { check } from "../recorder/model.ts";
import { figuresOf, violationsOf } from "../recorder/report.ts";
import { record } from "../recorder/run.ts";
import { growthOf, type Sample } from "./growth.ts";

const SAMPLE_MS = 5_000;
const TOLD_MS = 60_000;
const MIB = 1024 * 1024;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: process.env.DPOOL_SEED ?? String(Date.now() % 1_000_000) },
    /** Callers at a time. */
    clients: { type: "string", default: "40" },
    /** A file for the whole history, as JSON. */
    history: { type: "string" },
  },
});
const tell = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
const samples: Sample[] = [];
let toldAt = 0;

function sample(members: readonly MemberHost[]): void {
  const at = Date.now();
  for (const { name, pid, rssBytes, heapBytes, descriptors, isRunning } of members)
    if (isRunning && heapBytes > 0)
      samples.push({ member: name, pid, at, rssBytes, heapBytes, descriptors });
  if (at < toldAt + TOLD_MS) return;
  toldAt = at;
  const now = samples.filter((each) => each.at === at);
  const mib = (bytes: number) => Math.round(bytes / MIB);
  const words = now.map(
    (each) =>
      `${each.member} ${mib(each.rssBytes)}/${mib(each.heapBytes)} MiB ${each.descriptors} fd`,
  );
  tell(`memory/heap and descriptors: ${words.join(" · ")}`);
}

tell(`seed ${values.seed}, ${consulBinary()}`);
const recorded = await record({
  seed: Number(values.seed),
  durationMs: Number(values.minutes) * 60_000,
  clients: Number(values.clients),
  sample,
  sampleMs: SAMPLE_MS,
  tell,
});
if (values.history) writeFileSync(values.history, JSON.stringify({ ...recorded, samples }));
const violations = check(recorded);
const growth = growthOf(samples);
for (const line of [...figuresOf(recorded), ...violationsOf(recorded, violations), ...growth])
  tell(line);
process.exitCode = violations.length + growth.length === 0 ? 0 : 1;
