/** `dpool check-config`: whether a member would take a configuration file, and what it serves. */
import { stringify } from "yaml";
import { messageOf } from "../../../openapi/errors.ts";
import { checkedPools, memberFaults } from "../../member/check-options.ts";
import type { Fault } from "../../member/options/faults.ts";
import { fileFaults } from "../../member/options/file-faults.ts";
import { keyOfPath, type MemberOptions } from "../../member/options.ts";
import type { CheckedPool } from "../../member/pool-options.ts";
import { confinementOf } from "../../member/pool-rules.ts";
import { configurationOf, valueInForce } from "../command-options.ts";
import { ConfigFile, readText } from "../config-file.ts";
import { memberOptions } from "../member-options.ts";
import { flagOf } from "../options/values.ts";
import { write, writeJson } from "../output/write.ts";
import { type Environment, isJson, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";

/** 2, as for a mistake at the command line. */
const PROBLEMS = 2;

export async function checkConfig(line: Parsed, env: Environment): Promise<number> {
  const [file, ...more] = line.positionals;
  if (file === undefined || more.length > 0)
    throw new UsageError(
      `expected one configuration file; got ${line.positionals.length || "none"}`,
    );
  const command = line.values.dev ? "dev" : "serve";
  const config = new ConfigFile({ ...line, command }, await readText(file), file);
  const problems = [...config.problems];
  let options: MemberOptions | undefined;
  try {
    [options] = memberOptions(config.parsed, env);
  } catch (error) {
    // A file with mistakes may say in them what seems to be missing.
    if (problems.length === 0) problems.push(`${file}: ${messageOf(error)}`);
  }
  if (options) {
    const faults = problems.length === 0 ? memberFaults(options) : [];
    for (const fault of [...faults, ...fileFaults(options, warn)])
      problems.push(located(fault, config, line));
  }
  if (problems.length === 0 && options) {
    const effective = summary(config.parsed, options);
    if (isJson(line)) await writeJson(effective);
    else await write(process.stdout, stringify(effective));
    return 0;
  }
  if (isJson(line)) await writeJson({ problems });
  else await write(process.stdout, `${problems.join("\n")}\n`);
  return PROBLEMS;
}

function warn(message: string): void {
  process.stderr.write(`warning: ${message}\n`);
}

/** A fault with its flag, or else with its line in the file. */
function located({ path, message }: Fault, config: ConfigFile, line: Parsed): string {
  const [name = "", ...rest] = path.map(String);
  const key = keyOfPath(name);
  if (Object.hasOwn(line.values, key)) return `--${flagOf(key)}: ${message}`;
  const keys = [key, ...rest];
  return `${config.lineOf(keys)}: ${keys.join(".")}: ${message}`;
}

/** The options that would be in force, as a configuration file that says all of them. */
function summary({ command, values }: Parsed, { pools, runtimes }: MemberOptions): object {
  const options = [...configurationOf(command)].map(([key, option]) => [
    key,
    valueInForce(values, key, option),
  ]);
  const written = [...checkedPools(pools)].map(([pool, checked]) => [pool, poolSummary(checked)]);
  return { ...Object.fromEntries(options), pools: Object.fromEntries(written), runtimes };
}

function poolSummary(pool: CheckedPool): object {
  const { limits } = confinementOf(pool);
  const finite = Object.entries(limits).filter(([, limit]) => Number.isFinite(limit));
  return {
    ...pool,
    limits: { ...Object.fromEntries(finite), deadlineMs: pool.limits.deadlineMs },
    fetch: pool.fetch.map(({ text }) => text),
    notify: pool.notify.map(({ text }) => text),
    readOnly: pool.readOnly.map(({ from, to }) => (from === to ? from : `${from}:${to}`)),
  };
}
