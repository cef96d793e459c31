/** Puts a member together: the only place that constructs services. Embed a member in an application with {@link startMember}. */
import { once } from "node:events";
import { hostname } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { messageOf, PoolError } from "../openapi/errors.ts";
import { Client } from "../sdk/typescript/http/client.ts";
import { DirectAccess } from "../sdk/typescript/placement/direct-access.ts";
import type { Member } from "../sdk/typescript/placement/members.ts";
import { Auth } from "./access/auth.ts";
import { createBrowserGuard, isLoopback } from "./access/browser-guard.ts";
import { RateLimit, StreamLimit } from "./access/rate-limit.ts";
import { InFlight } from "./http/in-flight.ts";
import { createListener } from "./http/listener.ts";
import { openTls, type TlsFiles } from "./http/tls.ts";
import { type CheckedPool, checkedOptions } from "./member/check-options.ts";
import {
  DEFAULTS,
  type MemberOptions,
  type Reloaded,
  type RunningMember,
} from "./member/options.ts";
import { confinementOf } from "./member/pool-options.ts";
import { difference, merged } from "./member/reload.ts";
import { VERSION } from "./member/version.ts";
import { ConsulMembership } from "./membership/consul.ts";
import { EmbeddedRegistry } from "./membership/embedded.ts";
import { createApp } from "./routes/app.ts";
import { UploadReceiver } from "./routes/receive-uploads.ts";
import { SourceCache } from "./routes/source-cache.ts";
import { PoolRuntimes } from "./runtimes/registry/pool-runtimes.ts";
import type { RuntimeRegistry } from "./runtimes/registry/runtime-registry.ts";
import { Tasks } from "./runtimes/tasks.ts";
import type { Confinement } from "./sandbox/confinement.ts";
import { openSandbox, probeConfinements } from "./sandbox/open-sandbox.ts";
import { type ChangeableOptions, Supervisor } from "./supervisor/supervisor.ts";
import { fetchRulesOf } from "./workspace/fetch-rules.ts";

export {
  type ConsulOptions,
  consulOptionsFrom,
} from "../sdk/typescript/placement/consul/consul-options.ts";
export type { MemberOptions, Reloaded, RunningMember } from "./member/options.ts";
export type { PoolOptions } from "./member/pool-options.ts";
export { EmbeddedRegistry } from "./membership/embedded.ts";

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
  const { host = DEFAULTS.host, port = DEFAULTS.port, log = () => {} } = options;
  const pools = checkedOptions(options);
  const tasks = new Tasks(options.tasks);
  const { auth, tls, ...files } = openFiles(options, log);
  const sandbox = await openSandbox(options, confinementsOf(pools)).catch((error: unknown) => {
    files.close();
    throw error;
  });
  const poolRuntimes = new PoolRuntimes({
    sandbox,
    path: options.path ?? DEFAULTS.path,
    configured: options.runtimes ?? {},
    tasks,
    log: (message) => log("warn", message),
  });
  const runtimes = await poolRuntimes.open(wantedOf(pools)).catch(async (error: unknown) => {
    files.close();
    await sandbox.close();
    throw error;
  });

  let app: ReturnType<typeof createApp> | undefined;
  const listener = createListener({
    fetch: (request, env) => (app as NonNullable<typeof app>).fetch(request, env),
    tls,
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs,
    logError: (message) => log("error", message),
  });
  const { server } = listener;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    files.close();
    await poolRuntimes.close();
    await sandbox.close();
    throw PoolError.of("invalid_request", `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const bound = server.address() as { address: string; port: number };
  let member: Member = {
    name:
      options.name ??
      `${hostname()
        .replaceAll(/[^A-Za-z0-9_-]/g, "-")
        .slice(0, 50)}-${bound.port}`,
    url: `${tls ? "https" : "http"}://${options.advertise ?? `${host.includes(":") ? `[${host}]` : host}:${bound.port}`}`,
    pools: maxChildrenOf(options.pools),
    sandbox: sandbox.level,
    version: VERSION,
  };
  const membership = options.consul
    ? new ConsulMembership(options.consul, (level, message) => log(level, message))
    : (options.registry ?? new EmbeddedRegistry()).membership();
  const client = new Client(tls?.client);
  tls?.onChange((changed) => client.identify(changed.client));
  const access = new DirectAccess(client, membership);
  const supervise = (pool: string, changing: ChangeableOptions) =>
    new Supervisor({
      pool,
      member: member.name,
      url: member.url,
      sandbox,
      folder: sandbox.folder,
      ...changing,
    });
  const supervisors = new Map(
    [...pools].map(([pool, given]) => [
      pool,
      supervise(pool, changeable(given, options, runtimes.get(pool) as RuntimeRegistry)),
    ]),
  );
  const rates = new RateLimit(options.maxRate ?? DEFAULTS.maxRate);
  const streams = new StreamLimit(options.maxStreams ?? DEFAULTS.maxStreams);
  let maxBodyBytes = options.maxBodyBytes ?? DEFAULTS.maxBodyBytes;
  const calls = new InFlight();
  let stopping: Promise<void> | undefined;
  app = createApp({
    name: member.name,
    sandbox: sandbox.level,
    supervisors,
    client,
    access,
    sourceCache: new SourceCache(options.sourceCacheBytes ?? DEFAULTS.sourceCacheBytes),
    maxBodyBytes: () => maxBodyBytes,
    uploadReceiver: new UploadReceiver({
      folder: sandbox.folder,
      maxUploadBytes: () => held.maxUploadBytes ?? DEFAULTS.maxUploadBytes,
      maxBodyBytes: () => maxBodyBytes,
    }),
    auth,
    browserGuard: createBrowserGuard({
      authenticated: auth !== undefined,
      loopback: isLoopback(host),
      advertise: options.advertise,
      secure: tls !== undefined,
    }),
    rateLimit: rates,
    streamLimit: streams,
    inFlight: calls,
    drain: () => void stop(),
    isDraining: () => stopping !== undefined,
    trouble: () => (stopping ? "the member drains" : membership.trouble),
    logError: (message) => log("error", message),
  });
  if (sandbox.level === "no-cgroup")
    log(
      "warn",
      "without control groups: nothing limits the memory and cpu of a whole child, only of each of its processes",
    );
  if (sandbox.level === "none")
    log("warn", "the sandbox is off: children are plain processes with this server's rights");
  if (!isLoopback(host) && !auth)
    log(
      "warn",
      `listening on ${host} without authentication (--insecure): whoever reaches this port runs programs here`,
    );

  let held = options;
  /** Lets a pool's children end, and be read as long as they are remembered. */
  const retire = async (pool: string) => {
    const supervisor = supervisors.get(pool);
    supervisor?.drain();
    await supervisor?.forgotten();
    if (!Object.hasOwn(held.pools, pool)) supervisors.delete(pool);
  };
  const take = async (wanted: MemberOptions): Promise<Reloaded> => {
    const asked = checkedOptions(wanted);
    const reloaded = difference(held, wanted, DEFAULTS);
    await probeConfinements(sandbox, confinementsOf(asked));
    const runtimes = await poolRuntimes.open(wantedOf(asked));
    if (stopping) throw PoolError.of("draining", "the member drains");
    const before = Object.keys(held.pools);
    held = merged(held, wanted);
    for (const [pool, given] of asked) {
      const supervisor = supervisors.get(pool);
      const changing = changeable(given, held, runtimes.get(pool) as RuntimeRegistry);
      if (supervisor) supervisor.update(changing);
      else supervisors.set(pool, supervise(pool, changing));
    }
    for (const pool of before) if (!asked.has(pool)) void retire(pool);
    rates.perSecond = held.maxRate ?? DEFAULTS.maxRate;
    streams.max = held.maxStreams ?? DEFAULTS.maxStreams;
    maxBodyBytes = held.maxBodyBytes ?? DEFAULTS.maxBodyBytes;
    listener.limitRequests(held.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs);
    const facts = { ...member, pools: maxChildrenOf(held.pools) };
    if (!isDeepStrictEqual(facts, member)) {
      member = facts;
      // Retried with the heartbeat: the registry may be away.
      membership.update(member);
    }
    return reloaded;
  };
  let taking: Promise<unknown> = Promise.resolve();

  const drain = async () => {
    const { drainMs = DEFAULTS.drainMs, graceMs = DEFAULTS.graceMs } = held;
    const running = [...supervisors.values()].reduce(
      (sum, supervisor) => sum + supervisor.count().active,
      0,
    );
    log(
      "info",
      `draining: ${running} children run${running > 0 ? `, for ${drainMs} ms at most` : ""}`,
    );
    for (const supervisor of supervisors.values()) supervisor.drain();
    await membership.drain();
    const finished = Promise.all([
      ...[...supervisors.values()].map((supervisor) => supervisor.settled()),
      calls.none(),
    ]);
    // What a caller sends on a connection that is closed in that moment would be lost.
    await within(
      drainMs,
      finished.then(() => calls.quiet(QUIET_MS)),
    );
    // A reader that takes nothing would hold up its child's last events for longer than anybody waits here.
    const cut = setTimeout(() => listener.closeAll(), graceMs + DELIVER_TIMEOUT_MS);
    await Promise.all(
      [...supervisors.values()].map((supervisor) =>
        supervisor.stopAll("cancelled", `member ${member.name} is stopping`),
      ),
    );
    await taking;
    await poolRuntimes.close();
    await membership.leave();
    // Those under way finish, or are cut; each is idle, and closed, as soon as it has delivered.
    const closed = new Promise((resolve) => server.close(resolve));
    const idle = setInterval(() => listener.closeIdle(), IDLE_POLL_MS);
    await closed;
    clearInterval(idle);
    clearTimeout(cut);
    for (const supervisor of supervisors.values()) supervisor.close();
    access.close();
    files.close();
    await client.close();
    // A reload may be trying the sandbox.
    await taking;
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
  return {
    ...member,
    get pools() {
      return member.pools;
    },
    joined: membership.join(member),
    stopped,
    reload: (wanted) => {
      const taken = taking.then(() => take(wanted));
      taking = taken.catch(() => {});
      return taken;
    },
    stop,
  };
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

function maxChildrenOf(pools: MemberOptions["pools"]): Member["pools"] {
  return Object.fromEntries(
    Object.entries(pools).map(([pool, options]) => [
      pool,
      typeof options === "number" ? options : options.maxChildren,
    ]),
  );
}

function confinementsOf(pools: ReadonlyMap<string, CheckedPool>): Confinement[] {
  return [...pools.values()].map(confinementOf);
}

/** What of a supervisor's options may change while it runs. */
function changeable(
  pool: CheckedPool,
  {
    graceMs = DEFAULTS.graceMs,
    rememberMs = DEFAULTS.rememberMs,
    deadlineMs = DEFAULTS.deadlineMs,
  }: MemberOptions,
  runtimes: RuntimeRegistry,
): ChangeableOptions {
  return {
    maxChildren: pool.maxChildren,
    maxQueue: pool.maxQueue,
    confinement: confinementOf(pool),
    fetchRules: fetchRulesOf(pool),
    maxDeadlineMs: pool.limits.deadlineMs,
    defaultDeadlineMs: deadlineMs,
    runtimes,
    graceMs,
    rememberMs,
  };
}

/** What pools ask of their runtimes. */
function wantedOf(pools: ReadonlyMap<string, CheckedPool>): Parameters<PoolRuntimes["open"]>[0] {
  return new Map(
    [...pools].map(([pool, given]) => [
      pool,
      {
        confinement: confinementOf(given),
        warm: given.warm,
        reuse: given.reuse ? given.maxChildren : undefined,
      },
    ]),
  );
}

/** The tokens and the certificates, which are read again when they change. */
function openFiles(
  options: MemberOptions,
  log: NonNullable<MemberOptions["log"]>,
): { auth: Auth | undefined; tls: TlsFiles | undefined; close(): void } {
  const tls = openTls(options.tls, (message) => log("error", message));
  let auth: Auth | undefined;
  const close = () => {
    auth?.close();
    tls?.close();
  };
  try {
    if (options.tokenFile !== undefined || options.jwks !== undefined)
      auth = new Auth(options, log);
  } catch (error) {
    close();
    throw error;
  }
  return { auth, tls, close };
}
