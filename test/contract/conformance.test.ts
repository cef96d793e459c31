/** The conformance suite: one test for each driver that runs here. */
import { afterAll, beforeAll, test } from "vitest";
import { consulMissing } from "../helpers/consul.ts";
import { readCases } from "./conformance/runner/cases.ts";
import { allDrivers, build, missingFor } from "./conformance/runner/drivers.ts";
import { type Setting, startSetting } from "./conformance/runner/setting.ts";
import { lineOf, runSuite } from "./conformance/runner/suite.ts";

/** 5 minutes, most of which a build may take. */
const SUITE_MS = 300_000;

const cases = readCases();
let setting: Setting;
beforeAll(async () => {
  if (consulMissing === undefined) setting = await startSetting();
}, SUITE_MS);
afterAll(() => setting?.stop());

test.concurrent.for(allDrivers().map((driver, number) => ({ ...driver, number })))(
  "$name passes the cases",
  { timeout: SUITE_MS },
  async ({ number, ...driver }, { skip, expect }) => {
    const missing = consulMissing ?? missingFor(driver);
    skip(missing !== undefined, missing);
    await build(driver);
    const report = await runSuite(driver, { setting, cases, number });
    console.log(lineOf(report));
    expect(report.failed).toEqual([]);
    expect(report.passed.length).toBeGreaterThan(0);
  },
);
