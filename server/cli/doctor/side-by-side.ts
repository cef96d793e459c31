/** Runs checks side by side, each with a deadline of its own. */
import { messageOf } from "../../../openapi/errors.ts";
import { within } from "../../../sdk/typescript/time/within.ts";
import { type Check, type Finding, failed } from "./finding.ts";

const TIMEOUT_MS = 10_000;

/** The findings of all checks, in the order of the checks. Never rejects. */
export async function sideBySide(checks: readonly Check[]): Promise<Finding[]> {
  return (await Promise.all(checks.map(runOne))).flat();
}

async function runOne({ name, timeoutMs = TIMEOUT_MS, run }: Check): Promise<readonly Finding[]> {
  const again = { cure: "look at the load of this machine, then run dpool doctor again" };
  try {
    const late = [failed(name, `no answer in ${timeoutMs} ms`, again)];
    return (await within(timeoutMs, Promise.resolve(run()))) ?? late;
  } catch (error) {
    return [failed(name, `the check itself failed: ${messageOf(error)}`, again)];
  }
}
