/** What a command line and its configuration file ask of members. */
import { DEFAULTS, type MemberOptions } from "../member/options.ts";
import { EmbeddedRegistry } from "../membership/embedded.ts";
import { readText, withFile } from "./config-file.ts";
import { consulOf, type Given, type Parsed, UsageError } from "./options.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export function log(level: string, message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}\n`);
}

function noArguments({ positionals, rest }: Parsed): void {
  const unexpected = [...positionals, ...(rest ?? [])];
  if (unexpected.length > 0)
    throw new UsageError(`expected options only; got ${unexpected.join(" ")}`);
}

function jwks(given: Given): MemberOptions["jwks"] {
  const { "jwks-url": url, "jwt-issuer": issuer, "jwt-audience": audience } = given;
  if (url === undefined && issuer === undefined && audience === undefined) return undefined;
  // Without the latter two a token that was made for something else would do.
  if (url === undefined || issuer === undefined || audience === undefined)
    throw new UsageError(
      "expected --jwks-url, --jwt-issuer and --jwt-audience together; got some of them",
    );
  return { url, issuer, audience };
}

/** What the members of both commands have in common. */
function common({ given, runtimes = {} }: Parsed, env: Environment): Omit<MemberOptions, "pools"> {
  return {
    runtimes: runtimes as MemberOptions["runtimes"],
    sandbox: given.sandbox,
    drainMs: given["drain-ms"],
    graceMs: given["grace-ms"],
    rememberMs: given["remember-ms"],
    deadlineMs: given["deadline-ms"],
    tasks: given.tasks,
    sourceCacheBytes: given["source-cache-bytes"],
    maxBodyBytes: given["max-body-bytes"],
    maxUploadBytes: given["max-upload-bytes"],
    requestTimeoutMs: given["request-timeout-ms"],
    maxRate: given["max-rate"],
    maxStreams: given["max-streams"],
    tokenFile: given["token-file"],
    jwks: jwks(given),
    tls: {
      certFile: given["tls-cert"],
      keyFile: given["tls-key"],
      clientCaFile: given["tls-client-ca"],
      caFile: given["tls-ca"],
    },
    path: env.PATH,
    log,
  };
}

/** The command line, and the configuration file that it names. */
export async function configured(parsed: Parsed): Promise<Parsed> {
  noArguments(parsed);
  const file = parsed.given.config;
  if (file === undefined) return parsed;
  return withFile(parsed, await readText(file), file);
}

/** The pools of the file and of the flags; a flag changes a pool's `maxChildren` and leaves its other options. */
function poolsOf({ given, pools = {} }: Parsed): MemberOptions["pools"] | undefined {
  const merged: Record<string, unknown> = { ...pools };
  for (const [name, maxChildren] of given.pool ?? []) {
    const options = merged[name];
    merged[name] = typeof options === "object" ? { ...options, maxChildren } : maxChildren;
  }
  return Object.keys(merged).length > 0 ? (merged as MemberOptions["pools"]) : undefined;
}

/** The member of `dpool serve`. @throws {UsageError} */
export function serveOptions(parsed: Parsed, env: Environment): MemberOptions {
  const { given } = parsed;
  const pools = poolsOf(parsed);
  if (!pools) throw new UsageError("expected at least one --pool NAME=MAX");
  return {
    ...common(parsed, env),
    pools,
    name: given.member,
    host: given.host,
    port: given.port,
    advertise: given.advertise,
    insecure: given.insecure,
    consul: consulOf(
      { ...given, consul: given.consul ?? env.CONSUL_HTTP_ADDR ?? "http://127.0.0.1:8500" },
      env,
    ),
  };
}

/** The members of `dpool dev`, on consecutive ports. @throws {UsageError} */
export function devOptions(
  parsed: Parsed,
  env: Environment,
  registry = new EmbeddedRegistry(),
): MemberOptions[] {
  const { given } = parsed;
  const first = given.port ?? DEFAULTS.port;
  return Array.from({ length: given.members ?? 3 }, (_, index) => ({
    ...common(parsed, env),
    pools: poolsOf(parsed) ?? { pipeline: DEFAULTS.maxChildren },
    name: `m${index + 1}`,
    port: first === 0 ? 0 : first + index,
    registry,
  }));
}
