/**
 * `npm run soak -- --minutes N [--seed S] [--clients N] [--history FILE]`: records calls under
 * faults. It fails on a violation, and on memory or descriptors that grow.
 * DPOOL_TEST_CONSUL names another Consul than that of the tests.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { messageOf } from "../../openapi/errors.ts";
import { consulBinary } from "../helpers/consul.ts";
import type { MemberHost } from "../recorder/cluster/member-host.ts";
import { FAULTS, type FaultKind } from "../recorder/history.ts";
import { check } from "../recorder/model.ts";
import { figuresOf, violationsOf } from "../recorder/report.ts";
import { record } from "../recorder/run.ts";
import { growthOf, type Sample } from "./growth.ts";

const SAMPLE_MS = 5_000;
const TOLD_MS = 60_000;
const MIB = 1024 * 1024;

const USAGE = `npm run soak -- [options]: records calls under faults, and checks their history.

  --minutes N     For how long. Default: 10.
  --seed S        Gives the same schedule and the same calls again. Default: DPOOL_SEED, or another
                  one each time.
  --clients N     Callers at a time. Default: 40.
  --faults LIST   Kinds of faults, such as "leader,stop". Default: all.
  --history FILE  A file for the whole history, as JSON.
  --help          This text.
`;

function ended(text: string, exitCode: number): never {
  process[exitCode === 0 ? "stdout" : "stderr"].write(text);
  process.exit(exitCode);
}

function parsed() {
  try {
    return parseArgs({
      options: {
        minutes: { type: "string", default: "10" },
        seed: { type: "string", default: process.env.DPOOL_SEED ?? String(Date.now() % 1_000_000) },
        clients: { type: "string", default: "40" },
        faults: { type: "string" },
        history: { type: "string" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (error) {
    return ended(`${messageOf(error)}\n\n${USAGE}`, 2);
  }
}

/** A number of the command line that is above 0. */
function positive(flag: "minutes" | "clients"): number {
  const number = Number(values[flag]);
  if (number > 0 && Number.isFinite(number)) return number;
  return ended(`--${flag}: expected a number above 0; got "${values[flag]}"\n`, 2);
}

/** The kinds of faults that the command line names; undefined for all. */
function wantedFaults(): FaultKind[] | undefined {
  const words = values.faults?.split(",");
  const unknown = words?.find((word) => !(FAULTS as readonly string[]).includes(word));
  if (unknown === undefined) return words as FaultKind[] | undefined;
  return ended(`--faults: expected some of ${FAULTS.join(", ")}; got "${unknown}"\n`, 2);
}

const values = parsed();
if (values.help) ended(USAGE, 0);
const minutes = positive("minutes");
const clients = positive("clients");
const faults = wantedFaults();
if (!/^\d+$/.test(values.seed)) ended(`--seed: expected digits; got "${values.seed}"\n`, 2);
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
  durationMs: minutes * 60_000,
  clients,
  faults,
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
