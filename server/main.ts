/** Constructs a member: the only file that creates services and connects them. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { messageOf, PoolError } from "../openapi/errors.ts";
import { Client } from "../sdk/typescript/http/client.ts";
import { DirectAccess } from "../sdk/typescript/placement/direct-access.ts";
import { openAuth } from "./access/auth.ts";
import { createBrowserGuard, isLoopback } from "./access/browser-guard.ts";
import { RateLimit, StreamLimit } from "./access/rate-limit.ts";
import { InFlight } from "./http/in-flight.ts";
import { createListener, type Listener } from "./http/listener.ts";
import { openTls } from "./http/tls.ts";
import { allOrNothing } from "./member/all-or-nothing.ts";
import { checkedOptions } from "./member/check-options.ts";
import { MemberPools } from "./member/member-pools.ts";
import type { MemberOptions } from "./member/options.ts";
import { LocalMember, type RunningMember } from "./member/running-member.ts";
import { maxChildrenOf, selfOf } from "./member/self.ts";
import { type Settings, settingsOf } from "./member/settings.ts";
import { warnOfRisks } from "./member/warnings.ts";
import { ConsulMembership } from "./membership/consul.ts";
import { EmbeddedRegistry } from "./membership/embedded.ts";
import { createApp } from "./routes/app.ts";
import { UploadReceiver } from "./routes/receive-uploads.ts";
import { SourceCache } from "./routes/source-cache.ts";
import { PoolRuntimes } from "./runtimes/registry/pool-runtimes.ts";
import { Tasks } from "./runtimes/tasks.ts";
import { openSandbox } from "./sandbox/open-sandbox.ts";

export {
  type ConsulOptions,
  consulOptionsFrom,
} from "../sdk/typescript/placement/consul/consul-client.ts";
export type { MemberOptions, Reloaded } from "./member/options.ts";
export type { PoolOptions } from "./member/pool-options.ts";
export type { RunningMember } from "./member/running-member.ts";
export { EmbeddedRegistry } from "./membership/embedded.ts";

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

type OnFailure = (close: () => unknown) => void;

async function construct(options: MemberOptions, onFailure: OnFailure): Promise<LocalMember> {
  const checked = checkedOptions(options);
  const settings = settingsOf(options);
  const { host, log } = settings;
  const logError = (message: string) => log("error", message);
  const tasks = new Tasks(options.tasks);
  const tls = openTls(options.tls, logError);
  onFailure(() => tls?.close());
  const auth = openAuth(options, log);
  onFailure(() => auth?.close());
  const authenticated = auth !== undefined;
  const { sandbox, runtimes } = await openRuntimes(settings, tasks, onFailure);
  const pools = new MemberPools(sandbox, runtimes);
  const prepared = await pools.prepare(checked);
  const listener = createListener({
    fetch: (request, env) => app.fetch(request, env),
    tls,
    requestTimeoutMs: settings.requestTimeoutMs,
    logError,
  });
  const address = await listen(listener, settings);
  onFailure(() => listener.server.close());
  onFailure(() => listener.closeAll());
  const self = selfOf(settings, address, { pools: maxChildrenOf(checked), sandbox: sandbox.level });
  pools.serve(prepared, settings, self);
  const membership = options.consul
    ? new ConsulMembership(options.consul, log)
    : (options.registry ?? new EmbeddedRegistry()).membership();
  const client = new Client(tls?.client);
  onFailure(() => client.close());
  tls?.onChange((changed) => client.identify(changed.client));
  const access = new DirectAccess<never>(client, membership);
  onFailure(() => access.close());
  const closedLast = [access, auth, tls, client];
  const parts = { options, self, pools, runtimes, sandbox, listener, membership, closedLast };
  const rateLimit = new RateLimit(settings.maxRate);
  const streamLimit = new StreamLimit(settings.maxStreams);
  const inFlight = new InFlight();
  const member = new LocalMember({ ...parts, rateLimit, streamLimit, inFlight });
  const app = createApp({
    ...member.hooks,
    client,
    access,
    auth,
    rateLimit,
    streamLimit,
    inFlight,
    supervisors: pools.supervisors,
    sourceCache: new SourceCache(settings.sourceCacheBytes),
    uploadReceiver: new UploadReceiver({ folder: sandbox.folder, ...member.hooks }),
    browserGuard: createBrowserGuard({
      authenticated,
      loopback: isLoopback(host),
      advertise: options.advertise,
      secure: tls !== undefined,
    }),
  });
  warnOfRisks(settings, sandbox.level, authenticated);
  return member;
}

/** Opens what runs the children of all pools. */
async function openRuntimes(settings: Settings, tasks: Tasks, onFailure: OnFailure) {
  const { path, runtimes: configured = {}, log } = settings;
  // The pools prove the sandbox, each under its own limits and grants.
  const sandbox = await openSandbox(settings, []);
  onFailure(() => sandbox.close());
  const logWarning = (message: string) => log("warn", message);
  const runtimes = new PoolRuntimes({ sandbox, path, configured, tasks, log: logWarning });
  onFailure(() => runtimes.close());
  return { sandbox, runtimes };
}

/** @throws {PoolError} `invalid_request` for an address that cannot be listened on. */
async function listen({ server }: Listener, { host, port }: Settings): Promise<AddressInfo> {
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    throw PoolError.of("invalid_request", `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return server.address() as AddressInfo;
}
