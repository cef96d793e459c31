/** `dpool serve` and `dpool dev`: members in this process until a signal. */

import { readFile } from "node:fs/promises";
import { PoolError } from "../../sdk/typescript/errors.ts";
import { consulOf, type Given, type Parsed, UsageError, withFile } from "../config.ts";
import { DEFAULTS, EmbeddedRegistry, type MemberOptions, type RunningMember, startMember } from "../main.ts";

type Environment = Readonly<Record<string, string | undefined>>;

function log(level: string, message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}\n`);
}

function noArguments({ positionals, rest }: Parsed): void {
  const unexpected = [...positionals, ...(rest ?? [])];
  if (unexpected.length > 0) throw new UsageError(`expected options only; got ${unexpected.join(" ")}`);
}

function jwks(given: Given): MemberOptions["jwks"] {
  const { "jwks-url": url, "jwt-issuer": issuer, "jwt-audience": audience } = given;
  if (url === undefined && issuer === undefined && audience === undefined) return undefined;
  // Without the latter two a token that was made for something else would do.
  if (url === undefined || issuer === undefined || audience === undefined)
    throw new UsageError("expected --jwks-url, --jwt-issuer and --jwt-audience together; got some of them");
  return { url, issuer, audience };
}

/** What the members of both commands have in common. */
function common(given: Given, env: Environment): Omit<MemberOptions, "pools"> {
  return {
    sandbox: given.sandbox,
    drainMs: given["drain-ms"],
    graceMs: given["grace-ms"],
    rememberMs: given["remember-ms"],
    deadlineMs: given["deadline-ms"],
    maxBodyBytes: given["max-body-bytes"],
    maxUploadBytes: given["max-upload-bytes"],
    requestTimeoutMs: given["request-timeout-ms"],
    maxRate: given["max-rate"],
    maxStreams: given["max-streams"],
    tokenFile: given["token-file"],
    jwks: jwks(given),
    tls: { certFile: given["tls-cert"], keyFile: given["tls-key"], clientCaFile: given["tls-client-ca"], caFile: given["tls-ca"] },
    path: env.PATH,
    log,
  };
}

/** The command line, and the configuration file that it names. */
async function configured(parsed: Parsed): Promise<Parsed> {
  noArguments(parsed);
  const file = parsed.given.config;
  if (file === undefined) return parsed;
  const content = await readFile(file, "utf8").catch((error: Error) => {
    throw new UsageError(`--config: ${error.message}`);
  });
  return withFile(parsed, content, file);
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

/** A member; options that make no sense are the command line's mistake. */
async function start(options: MemberOptions): Promise<RunningMember> {
  try {
    return await startMember(options);
  } catch (error) {
    if (error instanceof PoolError && error.code === "invalid_request") throw new UsageError(error.message);
    throw error;
  }
}

function announce({ url, name, pools }: RunningMember): void {
  process.stdout.write(
    `ready ${url} member ${name} pools ${Object.entries(pools)
      .map(([pool, max]) => `${pool}=${max}`)
      .join(",")}\n`,
  );
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(): { readonly signal: Promise<NodeJS.Signals> } {
  return {
    signal: new Promise((resolve) => {
      for (const name of ["SIGTERM", "SIGINT"] as const) {
        process.on(name, () => {
          process.once(name, () => process.exit(1));
          resolve(name);
        });
      }
    }),
  };
}

async function run(members: readonly RunningMember[]): Promise<number> {
  const { signal } = untilSignal();
  // By a signal, or each by a request of its own.
  const told = Promise.race([
    signal.then((name) => log("info", `${name}: draining; once more ends at once`)),
    Promise.all(members.map((member) => member.stopped)),
  ]);
  for (const member of members) {
    const joined = await Promise.race([member.joined.then(() => true), told.then(() => false)]);
    if (joined) announce(member);
  }
  await told;
  await Promise.all(members.map((member) => member.stop()));
  return 0;
}

export async function serve(line: Parsed, env: Environment): Promise<number> {
  const parsed = await configured(line);
  const { given } = parsed;
  const pools = poolsOf(parsed);
  if (!pools) throw new UsageError("expected at least one --pool NAME=MAX");
  const member = await start({
    ...common(given, env),
    pools,
    name: given.member,
    host: given.host,
    port: given.port,
    advertise: given.advertise,
    insecure: given.insecure,
    consul: consulOf({ ...given, consul: given.consul ?? env.CONSUL_HTTP_ADDR ?? "http://127.0.0.1:8500" }, env),
  });
  return run([member]);
}

export async function dev(line: Parsed, env: Environment): Promise<number> {
  const parsed = await configured(line);
  const { given } = parsed;
  const registry = new EmbeddedRegistry();
  const first = given.port ?? DEFAULTS.port;
  const members: RunningMember[] = [];
  try {
    for (let index = 0; index < (given.members ?? 3); index++) {
      members.push(
        await start({
          ...common(given, env),
          pools: poolsOf(parsed) ?? { pipeline: DEFAULTS.maxChildren },
          name: `m${index + 1}`,
          port: first === 0 ? 0 : first + index,
          registry,
        }),
      );
    }
  } catch (error) {
    await Promise.all(members.map((member) => member.stop()));
    throw error;
  }
  return run(members);
}
