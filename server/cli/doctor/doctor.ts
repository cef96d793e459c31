/** `dpool doctor`: everything that is wrong with this machine, or with a member, and each cure. */
import { existsSync } from "node:fs";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { MemberOptions } from "../../member/options.ts";
import { configured, memberOptions, USUAL_POOLS } from "../member-options.ts";
import { askingOptionsOf } from "../options/asking.ts";
import { flagOf } from "../options/values.ts";
import { type Environment, isJson, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";
import { type Check, failed } from "./finding.ts";
import { machineChecks } from "./local/machine.ts";
import { memberChecks } from "./member.ts";
import { printFindings } from "./report.ts";
import { sideBySide } from "./side-by-side.ts";

export async function doctor(line: Parsed, env: Environment): Promise<number> {
  const findings = await sideBySide(await checksOf(line, env));
  const colour = process.stdout.isTTY === true && !env.NO_COLOR;
  return printFindings(findings, { json: isJson(line), colour });
}

/** A URL or a pool asks a member; otherwise this machine is looked at. */
async function checksOf(line: Parsed, env: Environment): Promise<readonly Check[]> {
  if (line.positionals.length > 1)
    throw new UsageError(`expected at most one pool; got ${line.positionals.join(" ")}`);
  const ofServe = servingFlags(line);
  const asksMember = line.flagged.has("url") || line.positionals.length === 1;
  if (asksMember && ofServe.length > 0)
    throw new UsageError(
      `expected no option of dpool serve beside --url or POOL; got --${ofServe.join(", --")}`,
    );
  // DPOOL_URL alone names a member too. An option of `serve` asks for this machine.
  if (asksMember || (line.values.url !== undefined && ofServe.length === 0))
    return memberChecks(line);
  let options: MemberOptions | undefined;
  try {
    // The member that `serve` would start. Without a pool, that of `dev`.
    const served = await configured({ ...line, command: "serve" });
    [options] = memberOptions({ ...served, command: "doctor" }, env);
    const isNamed = [
      served.values.consul,
      env.CONSUL_HTTP_ADDR,
      line.values.config,
      line.values.pool,
    ];
    return machineChecks(
      options as MemberOptions,
      isNamed.some((each) => each !== undefined),
    );
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof PoolError)) throw error;
    return withoutOptions(messageOf(error), line.values.config);
  }
}

/** The flags on the line that describe the member of `serve`. */
function servingFlags({ flagged }: Parsed): string[] {
  const ofClient = new Set([...askingOptionsOf("doctor").keys()].map(flagOf));
  return [...flagged].filter((flag) => !ofClient.has(flag));
}

/** The fault of the options, and the checks of a member with the defaults. */
function withoutOptions(message: string, file: string | undefined): Check[] {
  const isMissing = file !== undefined && !existsSync(file);
  const fault = failed("configuration", message, {
    cure: isMissing
      ? "name a file that is there, or write one:"
      : "mend the options; the other checks are those of a member without options",
    command: isMissing ? `dpool init --out '${file}'` : undefined,
  });
  const others = machineChecks({ pools: USUAL_POOLS }, false);
  return others.map((check) =>
    check.name === "configuration" ? { ...check, run: () => [fault] } : check,
  );
}
