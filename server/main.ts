/** Constructs a member: the only file that creates services and connects them. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { messageOf, PoolError } from "../openapi/errors.ts";
import { Client } from "../sdk/typescript/http/client.ts";
import { MEMBER_DOMAIN, NodeTransport } from "../sdk/typescript/node/transport.ts";
import { DirectAccess } from "../sdk/typescript/placement/direct-access.ts";
import type { Member } from "../sdk/typescript/placement/members.ts";
import { isLoopback } from "../sdk/typescript/trust/loopback.ts";
import { TrustedMembers } from "../sdk/typescript/trust/trusted-members.ts";
import { type Auth, openAuth } from "./access/auth.ts";
import { createBrowserGuard } from "./access/browser-guard.ts";
import { RateLimit, StreamLimit } from "./access/rate-limit.ts";
import { HeldBytes } from "./http/bodies/held-bytes.ts";
import { InFlight } from "./http/in-flight.ts";
import { createListener, type Listener } from "./http/listener.ts";
import { openTls, type TlsFiles } from "./http/tls.ts";
import { allOrNothing, type OnFailure } from "./member/all-or-nothing.ts";
import { type Settings, settingsOf } from "./member/check-options.ts";
import { maxConnectionsOf } from "./member/max-connections.ts";
import { MemberPools } from "./member/member-pools.ts";
import { MemberMetrics } from "./member/metrics/member-metrics.ts";
import type { MemberOptions } from "./member/options.ts";
import { LocalMember, type RunningMember } from "./member/running-member.ts";
import { selfOf } from "./member/self.ts";
import { warnOfRisks } from "./member/warnings.ts";
import { ConsulMembership } from "./membership/consul.ts";
import { EmbeddedRegistry } from "./membership/embedded.ts";
import type { Membership } from "./membership/membership.ts";
import { createApp } from "./routes/app.ts";
import { UploadReceiver } from "./routes/bodies/receive-uploads.ts";
import { SourceCache } from "./routes/source-cache.ts";
import { PoolRuntimes } from "./runtimes/registry/pool-runtimes.ts";
import { Tasks } from "./runtimes/tasks.ts";
import { openSandbox } from "./sandbox/open-sandbox.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import { HistoryCounts } from "./supervisor/feed/history.ts";
import { FeedHub, type HubOptions } from "./supervisor/feed/hub.ts";
import { Notifier } from "./supervisor/notify/notifier.ts";
import { readSecret } from "./supervisor/notify/signature.ts";
import { childLogger } from "./supervisor/observed/child-log.ts";
import { type ChildObserver, observers } from "./supervisor/observed/observer.ts";
import { KeyedStarts } from "./supervisor/once/keyed-starts.ts";
import { RecentStarts } from "./supervisor/once/recent-starts.ts";
import { openTracing, type Tracing } from "./tracing/tracing.ts";

/** All uploads together may take as much as this many of the largest. */
const MAX_LARGEST_UPLOADS = 4;

export {
  type ConsulOptions,
  consulOptionsFrom,
} from "../sdk/typescript/node/consul/consul-client.ts";
export type { Audit, AuditRecord } from "./access/audit.ts";
export type { MemberOptions, Reloaded } from "./member/options.ts";
export type { PoolOptions } from "./member/pool-options.ts";
export type { RunningMember } from "./member/running-member.ts";
export { EmbeddedRegistry } from "./membership/embedded.ts";
export type { ChildEvent, ChildLog } from "./supervisor/observed/child-log.ts";

/**
 * Starts a member. It listens at once, and joins its pools in the background
 * ({@link RunningMember.joined}).
 *
 * @throws {PoolError} `invalid_request` for options that make no sense; `sandbox_unavailable`, with
 *   what the operator can do about it. Nothing stays open then.
 * @example
 * const consul = { address: "127.0.0.1:8500" };
 * const member = await startMember({ pools: { pipeline: 5 }, consul });
 */
export function startMember(options: MemberOptions): Promise<RunningMember> {
  return allOrNothing((onFailure) => construct(options, onFailure));
}

async function construct(options: MemberOptions, onFailure: OnFailure): Promise<LocalMember> {
  const settings = settingsOf(options);
  const { log } = settings;
  const logError = (message: string) => log("error", message);
  const maxConnections = maxConnectionsOf(settings);
  const tls = openTls(settings.tls, logError);
  onFailure(() => tls?.close());
  const auth = openAuth(settings, log);
  onFailure(() => auth?.close());
  const accounts = accountsOf(() => member.hooks, auth !== undefined);
  // The pools prove the sandbox, each under its own limits and grants.
  const sandbox = openSandbox({ ...settings, logError });
  onFailure(() => sandbox.close());
  const runtimes = runtimesOf(settings, sandbox);
  onFailure(() => runtimes.close());
  const notifier = notifierOf(settings);
  onFailure(() => notifier.close());
  const feeds = feedsOf({ facts: () => member.facts, supervisors: () => pools.supervisors });
  onFailure(() => feeds.close());
  const metrics = new MemberMetrics();
  const observer = observerOf([...feeds.all, metrics.observer], settings);
  const pools = new MemberPools(
    { sandbox, runtimes, notifier, observer, ...accounts },
    (client) => auth?.quotasOf(client) ?? {},
  );
  auth?.onChange(() => pools.serveWaiting());
  const prepared = await pools.prepare(settings.pools);
  const { requestTimeoutMs } = settings;
  const fetch: Parameters<typeof createListener>[0]["fetch"] = (...given) => app.fetch(...given);
  const listener = createListener({ fetch, tls, requestTimeoutMs, maxConnections, logError });
  onFailure(() => listener.server.close());
  onFailure(() => listener.closeAll());
  const self = selfOf(settings, await listen(listener, settings), sandbox.level);
  pools.serve(prepared, settings, self);
  const membership = membershipOf(settings);
  const client = clientOf(tls, settings);
  onFailure(() => client.close());
  const members = trustedIn(membership, settings, self);
  const access = new DirectAccess<never>(client, members, metrics);
  onFailure(() => access.close());
  const limits = { ...limitsOf(settings), tracing: await tracingOf(settings, self) };
  const parts = { settings, self, pools, runtimes, sandbox, listener, membership, notifier };
  const closedLast = [feeds, access, auth, tls, client, limits.tracing];
  const member = new LocalMember({ ...parts, ...limits, feed: feeds.own, closedLast });
  const app = createApp({
    ...member.hooks,
    ...limits,
    ...{ client, access, auth, members, feeds, ...accounts },
    connections: listener.connections,
    supervisors: pools.supervisors,
    ...startsOf(membership, self.boot, member.hooks),
    sourceCache: new SourceCache(settings.sourceCacheBytes),
    metrics: () => metrics.text({ ...parts, ...limits, hooks: member.hooks }),
    publicUrl: settings.publicUrl,
    uploadReceiver: new UploadReceiver({ folder: sandbox.folder, ...accounts, ...member.hooks }),
    browserGuard: createBrowserGuard({ ...member.hooks, ...guardOf(settings, auth) }),
  });
  warnOfRisks(settings, self, { files: tls, authenticated: auth !== undefined });
  return member;
}

/** The feed of this member, and the counts of the last 30 minutes. */
function feedsOf(options: HubOptions) {
  const [own, counts] = [new FeedHub(options), new HistoryCounts(options.supervisors)];
  const close = () => {
    own.close();
    counts.close();
  };
  return { own, counts, all: [own, counts], close };
}

/** Tells these observers of the children, and the log of their starts and ends. */
function observerOf(own: readonly ChildObserver[], { childLog, log }: Settings) {
  const all = childLog ? [...own, childLogger(childLog)] : own;
  return observers(all, (error) => log("error", `observer of children: ${messageOf(error)}`));
}

function tracingOf({ otel, log }: Settings, { name, version }: Member): Promise<Tracing> {
  return openTracing(otel, { name, version, log: (message) => log("warn", message) });
}

function notifierOf({ notifySecretFile, log }: Settings): Notifier {
  const secret = notifySecretFile === undefined ? undefined : readSecret(notifySecretFile);
  return new Notifier({ secret, log: (message) => log("warn", message) });
}

/** The facts by which the browser guard judges requests. */
function guardOf({ host, advertise, publicUrl, tls }: Settings, auth: Auth | undefined) {
  return {
    authenticated: auth !== undefined,
    loopback: isLoopback(host),
    advertise,
    publicUrl,
    secure: tls?.certFile !== undefined,
  };
}

/** The accounts of the bytes that requests hold, in memory and on disk. */
function accountsOf(hooks: () => LocalMember["hooks"], shared: boolean) {
  return {
    heldBytes: new HeldBytes({ what: "requests", maxBytes: () => hooks().maxHeldBytes(), shared }),
    storedBytes: new HeldBytes({
      what: "uploads",
      maxBytes: () => MAX_LARGEST_UPLOADS * hooks().maxUploadBytes(),
      shared,
    }),
  };
}

function limitsOf({ maxRate, maxStreams }: Settings) {
  return {
    rateLimit: new RateLimit(maxRate),
    streamLimit: new StreamLimit(maxStreams),
    inFlight: new InFlight(),
  };
}

function membershipOf({ consul, registry, log, publicUrl }: Settings): Membership {
  if (consul) return new ConsulMembership(consul, log, publicUrl);
  return (registry ?? new EmbeddedRegistry()).membership();
}

/** The memory of starts: by callers' keys, and by the requests of late. */
function startsOf({ keys }: Membership, boot: string, hooks: LocalMember["hooks"]) {
  return { keyedStarts: new KeyedStarts({ keys, ...hooks }), recentStarts: new RecentStarts(boot) };
}

/** The client for the other members, which proves them by their certificates. */
function clientOf(files: TlsFiles | undefined, { tls }: Settings): Client {
  const transport = new NodeTransport(files?.client, tls?.memberDomain ?? MEMBER_DOMAIN);
  files?.onChange(() => transport.identify(files.client));
  return new Client(transport);
}

/** The members of the registry that this one may ask. */
function trustedIn(membership: Membership, { tls, insecure, log }: Settings, self: Member) {
  return new TrustedMembers(membership, {
    httpsOnly: tls?.certFile !== undefined,
    insecure: insecure === true,
    self,
    log: (message) => log("warn", message),
  });
}

function runtimesOf({ path, runtimes: configured = {}, tasks, log }: Settings, sandbox: Sandbox) {
  const logWarning = (message: string) => log("warn", message);
  return new PoolRuntimes({ sandbox, path, configured, tasks: new Tasks(tasks), log: logWarning });
}

/**
 * 4,096 connections may wait to be accepted, or fewer where net.core.somaxconn is lower. A burst
 * beyond that would lose connections that their clients take for open.
 */
const BACKLOG = 4_096;

/** @throws {PoolError} `invalid_request` for an address that cannot be listened on. */
async function listen({ server }: Listener, { host, port }: Settings): Promise<AddressInfo> {
  try {
    server.listen({ port, host, backlog: BACKLOG });
    await once(server, "listening");
  } catch (error) {
    throw PoolError.of("invalid_request", `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return server.address() as AddressInfo;
}
