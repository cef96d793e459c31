/** Turns a command line and its configuration file into the options of members. */
import { DEFAULTS, fromKeys, type MemberOptions } from "../member/options.ts";
import { EmbeddedRegistry } from "../membership/embedded.ts";
import { readText, withFile } from "./config-file.ts";
import { CLI_OPTIONS } from "./options.ts";
import { consulOf, type Environment, type Parsed } from "./parse.ts";
import { UsageError } from "./usage-error.ts";

export function log(level: string, message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}\n`);
}

/** Adds the configuration file that the command line names to it. @throws {UsageError} */
export async function configured(parsed: Parsed): Promise<Parsed> {
  const unexpected = [...parsed.positionals, ...(parsed.rest ?? [])];
  if (unexpected.length > 0)
    throw new UsageError(`expected options only; got ${unexpected.join(" ")}`);
  const file = parsed.values.config;
  if (file === undefined) return parsed;
  return withFile(parsed, await readText(file), file);
}

/** The options that `serve` and `dev` have in common. */
function common({ values, runtimes = {} }: Parsed, env: Environment): Omit<MemberOptions, "pools"> {
  const options = fromKeys(values);
  // A token that was made for somebody else passes unless issuer and audience are both checked.
  if (options.jwks !== undefined && Object.keys(options.jwks).length < 3)
    throw new UsageError(
      "expected --jwks-url, --jwt-issuer and --jwt-audience together; got some of them",
    );
  return { ...options, runtimes: runtimes as MemberOptions["runtimes"], path: env.PATH, log };
}

/** The pools of the file and of the flags; a flag changes only a pool's `maxChildren`. */
function poolsOf({ values, pools = {} }: Parsed): MemberOptions["pools"] | undefined {
  const merged: Record<string, unknown> = { ...pools };
  for (const [name, maxChildren] of values.pool ?? []) {
    const options = merged[name];
    merged[name] = typeof options === "object" ? { ...options, maxChildren } : maxChildren;
  }
  return Object.keys(merged).length > 0 ? (merged as MemberOptions["pools"]) : undefined;
}

/** The member of `dpool serve`. @throws {UsageError} */
export function serveOptions(parsed: Parsed, env: Environment): MemberOptions {
  const pools = poolsOf(parsed);
  if (!pools) throw new UsageError("expected at least one --pool NAME=MAX");
  const consul = parsed.values.consul ?? env.CONSUL_HTTP_ADDR ?? "http://127.0.0.1:8500";
  return {
    ...common(parsed, env),
    pools,
    consul: consulOf({ consul }, env),
  };
}

/** The members of `dpool dev`, on consecutive ports. @throws {UsageError} */
export function devOptions(
  parsed: Parsed,
  env: Environment,
  registry = new EmbeddedRegistry(),
): MemberOptions[] {
  const { port = DEFAULTS.port, members = CLI_OPTIONS.members.default } = parsed.values;
  return Array.from({ length: members }, (_, index) => ({
    ...common(parsed, env),
    pools: poolsOf(parsed) ?? { pipeline: DEFAULTS.maxChildren },
    name: `m${index + 1}`,
    port: port === 0 ? 0 : port + index,
    registry,
  }));
}
