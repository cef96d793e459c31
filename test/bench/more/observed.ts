/**
 * The price of metrics, of the lines of children in the log, and of the audit: calls per second of
 * members of each kind, in turns, as ratios to a member that counts nothing. The members that are
 * scraped answer two scrapes a second.
 *
 *     node test/bench/more/observed.ts [ROUNDS]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "undici";
import { startConsul } from "../../helpers/consul.ts";
import { type MemberProcess, startServe } from "../../helpers/processes.ts";
import { cpuMsOf } from "../measure/processes.ts";
import { NO_LIMITS } from "../setting/cluster.ts";

const ROUNDS = Number(process.argv[2] ?? 15);
const ROUND_MS = 800;
const CALLERS = 16;
const SCRAPE_MS = 500;

const folder = await mkdtemp(join(tmpdir(), "dpool-bench-"));
const config = join(folder, "pools.yaml");
await writeFile(config, "pools: {pipeline: {maxChildren: 16, reuse: true}}\n");
const consul = await startConsul();
const quiet = ["--log-level", "warn"];
const UNCOUNTED = fileURLToPath(new URL("../programs/uncounted.ts", import.meta.url));
const KINDS = [
  { name: "nothing", args: quiet, isScraped: false, nodeArgs: ["--import", UNCOUNTED] },
  { name: "counted", args: quiet, isScraped: false },
  { name: "scraped", args: quiet, isScraped: true },
  { name: "log as JSON", args: ["--log-format", "json"], isScraped: false },
  { name: "audit", args: [...quiet, "--audit-file", join(folder, "audit")], isScraped: false },
  {
    name: "all",
    args: ["--log-format", "json", "--audit-file", join(folder, "audit-all")],
    isScraped: true,
  },
] as const;

interface Subject {
  readonly name: string;
  readonly member: MemberProcess;
  readonly isScraped: boolean;
  readonly rates: number[];
  readonly cpuMs: number[];
}
const subjects: Subject[] = [];
for (const [index, { name, isScraped, ...options }] of KINDS.entries())
  subjects.push({
    name,
    isScraped,
    rates: [],
    cpuMs: [],
    member: await startServe({
      member: `m${index}`,
      consul: consul.httpAddress,
      pool: null,
      ...options,
      args: [...NO_LIMITS, "--config", config, ...options.args],
    }),
  });

const BODY = JSON.stringify({ pool: "pipeline", function: { source: "(x) => x", args: [1] } });

/** Calls for a while, and counts. */
async function round({ member, isScraped, rates, cpuMs }: Subject, isCounted: boolean) {
  const clients = Array.from({ length: CALLERS }, () => new Client(member.url));
  const scraping = isScraped
    ? setInterval(() => void fetch(`${member.url}/metrics`).then((got) => got.text()), SCRAPE_MS)
    : undefined;
  const [begin, cpu] = [performance.now(), cpuMsOf(member.pid)];
  let calls = 0;
  const call = async (client: Client) => {
    while (performance.now() - begin < ROUND_MS) {
      const headers = { "content-type": "application/json" };
      const answer = await client.request({ method: "POST", path: "/call", headers, body: BODY });
      const text = await answer.body.text();
      if (!text.includes('"type":"result"')) throw new Error(text);
      calls += 1;
    }
  };
  await Promise.all(clients.map(call));
  if (isCounted) {
    rates.push((calls / (performance.now() - begin)) * 1_000);
    cpuMs.push((cpuMsOf(member.pid) - cpu) / calls);
  }
  clearInterval(scraping);
  await Promise.all(clients.map((client) => client.close()));
}

for (const subject of subjects) await round(subject, false);
for (let index = 0; index < ROUNDS; index++)
  for (const subject of index % 2 ? subjects.toReversed() : subjects) await round(subject, true);

const median = (values: readonly number[]) =>
  values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;
/** The median of the ratios of each round, in which the machine is alike for both. */
const ratio = (of: readonly number[], to: readonly number[]) =>
  median(of.map((value, index) => value / (to[index] ?? Number.NaN)));
const [nothing] = subjects as [Subject, ...Subject[]];
for (const { name, rates, cpuMs } of subjects)
  console.log(
    `${name.padEnd(12)} ${median(rates).toFixed(0).padStart(6)} calls/s, ` +
      `× ${ratio(rates, nothing.rates).toFixed(3)}; processor × ` +
      `${ratio(cpuMs, nothing.cpuMs).toFixed(3)} (${median(cpuMs).toFixed(3)} ms a call)`,
  );
await Promise.all(subjects.map(({ member }) => member.end()));
await consul.stop();
await rm(folder, { recursive: true });
