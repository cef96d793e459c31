/** Turns a command line and its configuration file into the options of members. */
import { DEFAULTS, fromKeys, type MemberOptions } from "../member/options.ts";
import { CLI_OPTIONS } from "./options/table.ts";
import { argumentsOf, consulOf, type Environment, type Parsed } from "./parse.ts";
import { UsageError } from "./usage-error.ts";

/** The pools of `dev` and `doctor` where none is named. */
export const USUAL_POOLS = { pipeline: DEFAULTS.maxChildren };

/** Adds the configuration file that the command line names to it. @throws {UsageError} */
export async function configured(line: Parsed): Promise<Parsed> {
  argumentsOf(line);
  const file = line.values.config;
  if (file === undefined) return line;
  // A member without a file does without the memory of the YAML parser.
  const { readText, withFile } = await import("./config-file.ts");
  return withFile(line, await readText(file), file);
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

/** The variables of OpenTelemetry. */
function otelIn(env: Environment): NonNullable<MemberOptions["otel"]> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith("OTEL_")));
}

/**
 * The options of the member of `dpool serve`, or of those of `dpool dev`, on consecutive ports.
 * `dpool doctor` looks at the member of `serve`.
 *
 * @param shared the options that are no words: the log, and what connects the members of `dev`.
 * @throws {UsageError}
 */
export function memberOptions(
  parsed: Parsed,
  env: Environment,
  shared: Pick<MemberOptions, "registry" | "log" | "childLog" | "audit"> = {},
): MemberOptions[] {
  const { command, values, runtimes = {} } = parsed;
  const own = fromKeys(values);
  // A token that was made for somebody else passes unless issuer and audience are both checked.
  if (own.jwks !== undefined && Object.keys(own.jwks).length < 3)
    throw new UsageError(
      "expected --jwks-url, --jwt-issuer and --jwt-audience together; got some of them",
    );
  const pools = poolsOf(parsed);
  const { registry, ...logs } = shared;
  const outside = { runtimes: runtimes as MemberOptions["runtimes"], path: env.PATH };
  const options = { ...own, ...logs, ...outside, otel: otelIn(env) };
  if (command === "dev") {
    const { port = DEFAULTS.port, members = CLI_OPTIONS.members.default } = values;
    return Array.from({ length: members }, (_, index) => ({
      ...options,
      pools: pools ?? USUAL_POOLS,
      name: `m${index + 1}`,
      port: port === 0 ? 0 : port + index,
      registry,
    }));
  }
  if (!pools && command !== "doctor") throw new UsageError("expected at least one --pool NAME=MAX");
  const consul = values.consul ?? env.CONSUL_HTTP_ADDR ?? "http://127.0.0.1:8500";
  return [{ ...options, pools: pools ?? USUAL_POOLS, consul: consulOf({ consul }, env) }];
}
