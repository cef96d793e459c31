/** Runs all cases by one driver, and tells which ones did not run. */
import type { Case } from "./cases.ts";
import { Driver } from "./driver.ts";
import { type Described, ROOT } from "./drivers.ts";
import { runCase } from "./run-case.ts";
import type { Setting } from "./setting.ts";

export interface Report {
  readonly name: string;
  readonly passed: readonly string[];
  /** Each failed case, with what was not as expected. */
  readonly failed: readonly string[];
  /** The capability that the driver lacks, by the case that needs it. */
  readonly skipped: ReadonlyMap<string, string>;
}

export interface SuiteOptions {
  readonly setting: Setting;
  readonly cases: readonly Case[];
  /** The number of the driver among those that run side by side. */
  readonly number: number;
}

/** The patient cases run beside the others, in a process of their own. */
export async function runSuite(driver: Described, options: SuiteOptions): Promise<Report> {
  const patient = options.cases.filter((each) => each.patient);
  const others = options.cases.filter((each) => !each.patient);
  const reports = await Promise.all(
    [others, patient]
      .filter((cases) => cases.length > 0)
      .map((cases) => runInTurn(driver, { ...options, cases })),
  );
  return {
    name: driver.name,
    passed: reports.flatMap(({ passed }) => passed),
    failed: reports.flatMap(({ failed }) => failed),
    skipped: new Map(reports.flatMap(({ skipped }) => [...skipped])),
  };
}

/** The cases in turn, in one process of the driver; a process that fails is replaced. */
async function runInTurn(
  { name, command, env }: Described,
  { setting, cases, number }: SuiteOptions,
): Promise<Report> {
  const start = () => new Driver({ command, env, cwd: ROOT });
  let driver = start();
  const passed: string[] = [];
  const failed: string[] = [];
  const skipped = new Map<string, string>();
  try {
    const { value } = await driver.ask("capabilities");
    const can = new Set(value as string[]);
    for (const each of cases) {
      const lacks = needsOf(each, setting).find((need) => !can.has(need));
      if (lacks !== undefined) {
        skipped.set(each.id, lacks);
        continue;
      }
      try {
        const place = { driver, setting, single: setting.single(number) };
        const fault = await runCase(each, place);
        if (fault === undefined) passed.push(each.id);
        else failed.push(`${each.id}: ${fault}`);
      } catch (error) {
        failed.push(`${each.id}: ${(error as Error).message}`);
        driver.kill();
        driver = start();
      }
    }
  } finally {
    await driver.end();
  }
  return { name, passed, failed, skipped };
}

/** The capabilities that a case needs; also the tools of this machine. */
function needsOf({ needs = [], tls }: Case, setting: Setting): readonly string[] {
  return tls && !setting.tls ? [...needs, "openssl"] : needs;
}

/** A report as lines for people. */
export function lineOf({ name, passed, failed, skipped }: Report): string {
  const count = passed.length + failed.length;
  const lacking = [...Map.groupBy(skipped, ([, need]) => need)].map(
    ([need, cases]) => `  no ${need}: ${cases.map(([id]) => id).join(" ")}`,
  );
  const faults = failed.map((each) => `  ✗ ${each}`);
  return [`${name}: ${passed.length} of ${count} cases pass`, ...lacking, ...faults].join("\n");
}
