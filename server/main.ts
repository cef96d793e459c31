/** Puts a member together: the only place that constructs services. Embed a member in an application with {@link startMember}. */
import { once } from "node:events";
import { hostname } from "node:os";
import type { z } from "zod";
import { MemberNameSchema, PoolNameSchema } from "../openapi/schemas.ts";
import { Client } from "../sdk/typescript/client.ts";
import { DirectAccess } from "../sdk/typescript/direct.ts";
import { messageOf, PoolError } from "../sdk/typescript/errors.ts";
import type { ConsulOptions, Member } from "../sdk/typescript/members.ts";
import { createApp } from "./app.ts";
import { Auth, type AuthOptions } from "./auth.ts";
import { createDoor, isLoopback } from "./door.ts";
import { createListener } from "./listener.ts";
import { ConsulMembership } from "./membership/consul.ts";
import { EmbeddedRegistry } from "./membership/embedded.ts";
import { Pending } from "./pending.ts";
import { Rates, Streams } from "./rates.ts";
import { commandRuntime } from "./runtimes/command.ts";
import { nodeRuntime } from "./runtimes/node.ts";
import { Bubblewrap } from "./sandbox/bubblewrap.ts";
import { type Confinement, confinementOf, type PoolOptions, PoolOptionsSchema } from "./sandbox/confinement.ts";
import { fetchRulesOf } from "./sandbox/fetch-rules.ts";
import { NoSandbox } from "./sandbox/none.ts";
import { probeSandbox } from "./sandbox/probe.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import { Supervisor } from "./supervisor/supervisor.ts";
import { openTls, type TlsFiles, type TlsOptions } from "./tls.ts";
import { UploadReceiver } from "./uploads.ts";
import { VERSION } from "./version.ts";

export { type ConsulOptions, consulOptionsFrom } from "../sdk/typescript/members.ts";
export { EmbeddedRegistry } from "./membership/embedded.ts";
export type { PoolOptions } from "./sandbox/confinement.ts";

type CheckedPool = z.output<typeof PoolOptionsSchema>;

export interface MemberOptions extends AuthOptions {
  /** Pools to serve, by name: `maxChildren`, or {@link PoolOptions} with limits and grants. */
  readonly pools: Readonly<Record<string, number | PoolOptions>>;
  /** The member's name, unique among the members. Default: the host's name and the port. */
  readonly name?: string | undefined;
  /** Address to listen on. Default `127.0.0.1`; another one than loopback wants a token file, JWTs, or `insecure`. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 for a free one. Default 7400. */
  readonly port?: number | undefined;
  /** `HOST:PORT` under which others reach this member. Default: where it listens. */
  readonly advertise?: string | undefined;
  /** Join through this Consul agent. */
  readonly consul?: ConsulOptions | undefined;
  /** Join this registry of the same process. Default, without `consul`: one of its own. */
  readonly registry?: EmbeddedRegistry | undefined;
  /**
   * `auto` (default) refuses to start where the sandbox does not hold in full; `no-cgroup` does without limits on memory and
   * cpu of a whole child; `off` runs children as plain processes, on loopback only.
   */
  readonly sandbox?: "auto" | "no-cgroup" | "off" | undefined;
  /** Listen beyond loopback although nobody has to show who they are. Default false. */
  readonly insecure?: boolean | undefined;
  /** Milliseconds that children may go on for while the member drains. Default 30,000. */
  readonly drainMs?: number | undefined;
  /** Milliseconds between TERM and KILL. Default 5,000. */
  readonly graceMs?: number | undefined;
  /** Milliseconds for which a child that has ended is remembered, at most the last 100 of each pool. Default 60,000. */
  readonly rememberMs?: number | undefined;
  /** Deadline of a call that names none, in milliseconds. Default 300,000. */
  readonly deadlineMs?: number | undefined;
  /** Largest request body, or child spec in a multipart one. Default 16 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Largest multipart body; four times as much is kept at a time, on disk. Default 1 GiB. */
  readonly maxUploadBytes?: number | undefined;
  /** Milliseconds that a request may take to arrive, its body included. Default 60,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Requests a second from each token, or from each address where there are no tokens; twice as many at once. Default 1,000. */
  readonly maxRate?: number | undefined;
  /** Streams open at a time for each token, or address. Default 1,000. */
  readonly maxStreams?: number | undefined;
  /** Serve https, and ask the other members so. */
  readonly tls?: TlsOptions | undefined;
  /** `PATH` of children without a sandbox. Default `/usr/local/bin:/usr/bin:/bin`. */
  readonly path?: string | undefined;
  /** Receives the log, a line at a time. Default: nothing. */
  readonly log?: ((level: "info" | "warn" | "error", message: string) => void) | undefined;
}

export interface RunningMember extends Member {
  /** Resolves when the member is in its pools. */
  readonly joined: Promise<void>;
  /** Resolves when the member has left and its port is closed, whoever asked for it. */
  readonly stopped: Promise<void>;
  /**
   * Drains: admits nothing more and tells the others so, sends those that wait elsewhere, lets its children finish for up to `drainMs`,
   * stops the rest, delivers the last events, leaves. Resolves as {@link stopped}. Idempotent.
   */
  stop(): Promise<void>;
}

/** The defaults, in one place for the embedding and the command line. */
export const DEFAULTS = {
  host: "127.0.0.1",
  port: 7400,
  maxChildren: 5,
  drainMs: 30_000,
  graceMs: 5_000,
  rememberMs: 60_000,
  deadlineMs: 300_000,
  maxBodyBytes: 16 * 1024 * 1024,
  maxUploadBytes: 1024 * 1024 * 1024,
  requestTimeoutMs: 60_000,
  maxRate: 1_000,
  maxStreams: 1_000,
} as const;

/** How long the last events may take to reach their readers at the end. */
const DELIVER_TIMEOUT_MS = 5_000;
const IDLE_POLL_MS = 20;
/** A member that drains closes its port once no request has come for so long: callers have seen that it is leaving. */
const QUIET_MS = 1_000;

/**
 * Starts a member: it listens at once and joins its pools ({@link RunningMember.joined}).
 *
 * @throws {PoolError} `invalid_request` for options that make no sense, `sandbox_unavailable` with what to do about it.
 * @example
 * const member = await startMember({ pools: { pipeline: 5 }, consul: { address: "127.0.0.1:8500" } });
 */
export async function startMember(options: MemberOptions): Promise<RunningMember> {
  const { host = DEFAULTS.host, port = DEFAULTS.port, graceMs = DEFAULTS.graceMs, maxBodyBytes = DEFAULTS.maxBodyBytes, log = () => {} } = options;
  check(options, host);
  const pools = poolsOf(options.pools);
  const confinements = new Map([...pools].map(([pool, given]) => [pool, confinementOf(given)]));
  const { auth, tls, ...files } = openFiles(options, log);
  const sandbox = await openSandbox(options, [...confinements.values()]).catch((error: unknown) => {
    files.close();
    throw error;
  });

  let app: ReturnType<typeof createApp> | undefined;
  const server = createListener({
    fetch: (request, env) => (app as NonNullable<typeof app>).fetch(request, env),
    tls,
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs,
    logError: (message) => log("error", message),
  });
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    files.close();
    await sandbox.close();
    throw PoolError.of("invalid_request", `cannot listen on ${host}:${port}: ${messageOf(error)}`, { cause: error });
  }
  const bound = server.address() as { address: string; port: number };
  const member: Member = {
    name:
      options.name ??
      `${hostname()
        .replaceAll(/[^A-Za-z0-9_-]/g, "-")
        .slice(0, 50)}-${bound.port}`,
    url: `${tls ? "https" : "http"}://${options.advertise ?? `${host.includes(":") ? `[${host}]` : host}:${bound.port}`}`,
    pools: Object.fromEntries([...pools].map(([pool, { maxChildren }]) => [pool, maxChildren])),
    sandbox: sandbox.level,
    version: VERSION,
  };
  const membership = options.consul
    ? new ConsulMembership(options.consul, (level, message) => log(level, message))
    : (options.registry ?? new EmbeddedRegistry()).membership();
  const client = new Client(tls?.client);
  tls?.onChange((changed) => client.identify(changed.client));
  const access = new DirectAccess(client, membership);
  const supervisors = new Map(
    [...pools].map(([pool, { maxChildren, maxQueue, limits, ...rules }]) => [
      pool,
      new Supervisor({
        pool,
        member: member.name,
        url: member.url,
        maxChildren,
        maxQueue,
        sandbox,
        confinement: confinements.get(pool) as Confinement,
        fetchRules: fetchRulesOf(rules),
        maxDeadlineMs: limits.deadlineMs,
        defaultDeadlineMs: options.deadlineMs ?? DEFAULTS.deadlineMs,
        folder: sandbox.folder,
        runtimes: { command: commandRuntime, function: nodeRuntime },
        graceMs,
        rememberMs: options.rememberMs ?? DEFAULTS.rememberMs,
      }),
    ]),
  );
  const calls = new Pending();
  let stopping: Promise<void> | undefined;
  app = createApp({
    name: member.name,
    sandbox: sandbox.level,
    supervisors,
    client,
    access,
    maxBodyBytes,
    receiver: new UploadReceiver({ folder: sandbox.folder, maxUploadBytes: options.maxUploadBytes ?? DEFAULTS.maxUploadBytes, maxBodyBytes }),
    auth,
    door: createDoor({ authenticated: auth !== undefined, loopback: isLoopback(host), advertise: options.advertise, secure: tls !== undefined }),
    rates: new Rates(options.maxRate ?? DEFAULTS.maxRate),
    streams: new Streams(options.maxStreams ?? DEFAULTS.maxStreams),
    calls,
    drain: () => void stop(),
    isDraining: () => stopping !== undefined,
    trouble: () => (stopping ? "the member drains" : membership.trouble),
    logError: (message) => log("error", message),
  });
  if (sandbox.level === "no-cgroup") log("warn", "without control groups: nothing limits the memory and cpu of a whole child, only of each of its processes");
  if (sandbox.level === "none") log("warn", "the sandbox is off: children are plain processes with this server's rights");
  if (!isLoopback(host) && !auth) log("warn", `listening on ${host} without authentication (--insecure): whoever reaches this port runs programs here`);

  const drain = async () => {
    const drainMs = options.drainMs ?? DEFAULTS.drainMs;
    const running = [...supervisors.values()].reduce((sum, supervisor) => sum + supervisor.count().active, 0);
    log("info", `draining: ${running} children run${running > 0 ? `, for ${drainMs} ms at most` : ""}`);
    for (const supervisor of supervisors.values()) supervisor.drain();
    await membership.drain();
    const finished = Promise.all([...[...supervisors.values()].map((supervisor) => supervisor.settled()), calls.none()]);
    // What a caller sends on a connection that is closed in that moment would be lost.
    await within(
      drainMs,
      finished.then(() => calls.quiet(QUIET_MS)),
    );
    // A reader that takes nothing would hold up its child's last events for longer than anybody waits here.
    const cut = setTimeout(() => server.closeAllConnections(), graceMs + DELIVER_TIMEOUT_MS);
    await Promise.all([...supervisors.values()].map((supervisor) => supervisor.stopAll("cancelled", `member ${member.name} is stopping`)));
    await membership.leave();
    // Those under way finish, or are cut; each is idle, and closed, as soon as it has delivered.
    const closed = new Promise((resolve) => server.close(resolve));
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_POLL_MS);
    await closed;
    clearInterval(idle);
    clearTimeout(cut);
    for (const supervisor of supervisors.values()) supervisor.close();
    access.close();
    files.close();
    await client.close();
    await sandbox.close();
  };
  let left: () => void = () => {};
  const stopped = new Promise<void>((resolve) => {
    left = resolve;
  });
  const stop = () => {
    stopping ??= drain().then(left);
    return stopping;
  };
  return { ...member, joined: membership.join(member), stopped, stop };
}

/** Waits for the work, at most so long. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

function check({ pools, name, advertise, insecure, sandbox, tokenFile, jwks }: MemberOptions, host: string): void {
  const refuse = (detail: string) => PoolError.of("invalid_request", detail);
  const entries = Object.entries(pools);
  if (entries.length === 0) throw refuse("expected at least one pool, such as pipeline=5; got none");
  // Consul's meta holds 64 pairs, four of which are taken.
  if (entries.length > 60) throw refuse(`expected at most 60 pools; got ${entries.length}`);
  if (name !== undefined && !MemberNameSchema.safeParse(name).success)
    throw refuse(`expected a member name of letters, digits, _ and -; got ${JSON.stringify(name)}`);
  if (advertise !== undefined && !/^(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/.test(advertise))
    throw refuse(`expected the advertised address as HOST:PORT; got ${JSON.stringify(advertise)}`);
  if (isLoopback(host)) return;
  if (sandbox === "off") throw refuse(`expected a loopback address, because the sandbox is off; got host ${host}`);
  if (!insecure && tokenFile === undefined && jwks === undefined)
    throw refuse(
      `host ${host} is not loopback: whoever reaches the port could run programs here; give --token-file or --jwks-url, or allow it with --insecure`,
    );
  if (["0.0.0.0", "::"].includes(host) && advertise === undefined)
    throw refuse(`host ${host} is every address: say with --advertise HOST:PORT at which one others reach this member`);
}

/** The tokens and the certificates, which are read again when they change. */
function openFiles(options: MemberOptions, log: NonNullable<MemberOptions["log"]>): { auth: Auth | undefined; tls: TlsFiles | undefined; close(): void } {
  const tls = openTls(options.tls, (message) => log("error", message));
  let auth: Auth | undefined;
  const close = () => {
    auth?.close();
    tls?.close();
  };
  try {
    if (options.tokenFile !== undefined || options.jwks !== undefined) auth = new Auth(options, log);
  } catch (error) {
    close();
    throw error;
  }
  return { auth, tls, close };
}

/** The pools' options, checked, defaults filled in. */
function poolsOf(given: MemberOptions["pools"]): ReadonlyMap<string, CheckedPool> {
  return new Map(
    Object.entries(given).map(([pool, options]) => {
      const name = PoolNameSchema.safeParse(pool);
      if (!name.success) throw PoolError.of("invalid_request", `${name.error.issues[0]?.message}; got ${JSON.stringify(pool)}`);
      const checked = PoolOptionsSchema.safeParse(typeof options === "number" ? { maxChildren: options } : options);
      if (checked.success) return [pool, checked.data];
      const faults = checked.error.issues.map(({ path, message }) => `${["pools", pool, ...path].join(".")}: ${message}`);
      throw PoolError.of("invalid_request", faults.join("; "));
    }),
  );
}

/** What to do where no groups can be made; the ways of https://systemd.io/CGROUP_DELEGATION/. */
const NO_CGROUP = `Limits on a whole child need a cgroup that this server may divide:
  as a service: Delegate=yes in its unit
  by hand, as an ordinary user: systemd-run --user --scope -p Delegate=yes dpool ...
  in a container: docker run --security-opt writable-cgroups=true (Docker 28 or newer), or podman run --security-opt unmask=/sys/fs/cgroup
To do without them, with limits on each process only: --sandbox no-cgroup`;

/** What has been proven in this process; the machine does not change under it. */
const proven = new Map<string, Promise<void>>();

async function openSandbox({ sandbox = "auto", path = "/usr/local/bin:/usr/bin:/bin" }: MemberOptions, confinements: readonly Confinement[]): Promise<Sandbox> {
  if (sandbox === "off") return new NoSandbox(path);
  let opened: Sandbox;
  try {
    opened = new Bubblewrap(sandbox === "auto" ? "full" : "no-cgroup");
  } catch (error) {
    const text = messageOf(error);
    throw PoolError.of("sandbox_unavailable", text.includes("cgroup") ? `${text}\n${NO_CGROUP}` : `${text}\n${WITHOUT}`, { cause: error });
  }
  try {
    for (const confinement of confinements) {
      const key = JSON.stringify([opened.level, confinement]);
      const probe = proven.get(key) ?? probeSandbox(opened, confinement);
      proven.set(key, probe);
      await probe.catch((error: unknown) => {
        proven.delete(key);
        throw error;
      });
    }
    return opened;
  } catch (error) {
    await opened.close();
    throw PoolError.of("sandbox_unavailable", `${messageOf(error)}\n${WITHOUT}`, { cause: error });
  }
}

const WITHOUT = "Without a sandbox, on a machine and with callers that you trust: --sandbox off";
