/**
 * Runs the cases by hand: `node test/contract/conformance/run.ts [DRIVER] [CASE...]`. A word of a
 * case's id will do.
 */
import { readCases } from "./runner/cases.ts";
import { allDrivers, build, missingFor } from "./runner/drivers.ts";
import { startSetting } from "./runner/setting.ts";
import { lineOf, runSuite } from "./runner/suite.ts";

const [wanted, ...words] = process.argv.slice(2);
const isAsked = (id: string) => words.length === 0 || words.some((word) => id.includes(word));
const cases = readCases().filter(({ id }) => isAsked(id));
const drivers = allDrivers().filter(({ name }) => wanted === undefined || name === wanted);
if (drivers.length === 0 || cases.length === 0) throw new Error("there is no such driver or case");
const setting = await startSetting();
try {
  for (const [number, driver] of drivers.entries()) {
    const missing = missingFor(driver);
    if (missing !== undefined) {
      console.log(`${driver.name}: skipped: ${missing}`);
      continue;
    }
    await build(driver);
    const report = await runSuite(driver, { setting, cases, number });
    console.log(lineOf(report));
    if (report.failed.length > 0) process.exitCode = 1;
  }
} finally {
  await setting.stop();
}
