/** `npm run bench`: runs benchmarks one after the other, and writes their report. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { aimsOf } from "./aims.ts";
import type { Benchmark, Outcome } from "./benchmark.ts";
import { CATALOGUE } from "./catalogue.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { chartOf } from "./report/chart.ts";
import { markdownOf } from "./report/markdown.ts";
import { writePage } from "./report/page.ts";
import { expensiveIn } from "./report/profile.ts";
import { type Report, type Section, thisMachine } from "./report/report.ts";

/** Git ignores it. A smoke run leaves the report of a real one. */
const folderOf = ({ quick }: Options) =>
  fileURLToPath(new URL(`../../.tools/bench/report${quick ? "-quick" : ""}`, import.meta.url));
const log = (line: string) => console.error(line);

/** @throws for a name that no benchmark has. */
function chosen({ only, quick }: Options): readonly Benchmark[] {
  if (only.length === 0) return CATALOGUE.filter((each) => (quick ? each.inQuick : each.byDefault));
  return only.map((name) => {
    const found = CATALOGUE.find((each) => each.name === name);
    if (found) return found;
    const names = CATALOGUE.map((each) => each.name).join(", ");
    throw new Error(`expected one of ${names}; got ${name}`);
  });
}

async function sectionOf(benchmark: Benchmark, options: Options): Promise<Section> {
  const { quick, profile: way } = options;
  const { name, about } = benchmark;
  const folder = join(folderOf(options), `profiles-${name}`);
  const profiling = way === undefined ? undefined : { folder, way };
  if (profiling) rmSync(folder, { recursive: true, force: true });
  log(`${name}: ${about}`);
  const begin = performance.now();
  let outcome: Outcome;
  try {
    outcome = await benchmark.run({ quick, profiling, log: (line) => log(`  ${line}`) });
    const expensive = profiling ? expensiveIn(folder, outcome.measured) : [];
    outcome = { ...outcome, tables: [...outcome.tables, ...expensive] };
  } catch (error) {
    // One benchmark that cannot run leaves the others their report.
    process.exitCode = 1;
    outcome = { tables: [], notes: [`failed: ${(error as Error).stack}`] };
    log(`  failed: ${(error as Error).message}`);
  }
  return { name, about, ...outcome, seconds: (performance.now() - begin) / 1_000 };
}

async function main(options: Options): Promise<void> {
  const benchmarks = chosen(options);
  const folder = folderOf(options);
  mkdirSync(folder, { recursive: true });
  const machine = thisMachine();
  const sections: Section[] = [];
  for (const benchmark of benchmarks) sections.push(await sectionOf(benchmark, options));
  const report: Report = { machine, quick: options.quick, sections };
  const markdown = markdownOf(report, aimsOf(report));
  const json = `${JSON.stringify(report, undefined, 2)}\n`;
  const chart = chartOf(report);
  writeFileSync(join(folder, "report.md"), markdown);
  writeFileSync(join(folder, "report.json"), json);
  writeFileSync(join(folder, "chart.svg"), chart);
  if (options.writePage) writePage(report, chart);
  process.stdout.write(options.json ? json : markdown);
  log(`report: ${join(folder, "report.md")}, report.json, chart.svg`);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else if (options.list)
    for (const { name, about, byDefault } of CATALOGUE)
      console.log(`${name.padEnd(12)} ${about}${byDefault ? "" : " (only by --only)"}`);
  else await main(options);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
