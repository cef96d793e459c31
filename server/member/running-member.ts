/** Runs a member until its end: reloads its options, drains and stops it. */
import { isDeepStrictEqual } from "node:util";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import type { RateLimit, StreamLimit } from "../access/rate-limit.ts";
import type { InFlight } from "../http/in-flight.ts";
import type { Listener } from "../http/listener.ts";
import type { Membership } from "../membership/membership.ts";
import type { PoolRuntimes } from "../runtimes/registry/pool-runtimes.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { MemberEvent } from "../supervisor/feed/entry.ts";
import type { FeedHub } from "../supervisor/feed/hub.ts";
import type { Notifier } from "../supervisor/notify/notifier.ts";
import { type Settings, settingsOf } from "./check-options.ts";
import { maxConnectionsOf } from "./max-connections.ts";
import type { MemberPools } from "./member-pools.ts";
import type { MemberOptions, Reloaded } from "./options.ts";
import { difference, merged } from "./reload.ts";
import { maxChildrenOf } from "./self.ts";

/** At the end, the last events have 5 seconds to reach their readers. */
const DELIVER_TIMEOUT_MS = 5_000;
const IDLE_POLL_MS = 20;
/**
 * A member that drains goes on placing calls at other members for 2 seconds, in which the callers
 * see that it leaves. Then it hands over the streams of other members' children.
 */
const HANDOVER_MS = 2_000;
/**
 * A member that drains closes its port once no request has come for 1 second, and 3 seconds after
 * its last stream at the latest.
 */
const QUIET_MS = 1_000;
const MAX_QUIET_MS = 3_000;

/** A member that serves: its name, URL and pools, and the ways to change and end it. */
export interface RunningMember extends Member {
  /**
   * Resolves when the member is in its pools. Rejects with `invalid_request` when another live
   * member has its name; the member then stops by itself.
   */
  readonly joined: Promise<void>;
  /**
   * Changes options without a restart: the pools with their options, and each option that says in
   * its text that a reload takes it. All other options keep their values until a restart.
   *
   * Children that run keep what they were started with, and a lower `maxChildren` ends none of
   * them. A pool that is left out admits nothing more; its children run to their ends. Reloads run
   * one after the other.
   *
   * @param options all options, as for `startMember`.
   * @throws {PoolError} `invalid_request` for options that make no sense, `sandbox_unavailable`
   *   where the sandbox does not hold under a pool's changed limits and grants, `draining` when the
   *   member is stopping. Nothing has changed then.
   */
  reload(options: MemberOptions): Promise<Reloaded>;
  /** Resolves when the member has left and its port is closed, whoever asked for it. */
  readonly stopped: Promise<void>;
  /**
   * Drains: admits nothing more and tells the other members so, sends callers that wait elsewhere,
   * lets children finish for up to `drainMs`, stops the rest, delivers the last events, and leaves.
   * Resolves as {@link stopped} does. Idempotent.
   */
  stop(): Promise<void>;
}

export interface MemberParts {
  readonly settings: Settings;
  readonly self: Member;
  readonly pools: MemberPools;
  readonly runtimes: PoolRuntimes;
  readonly sandbox: Sandbox;
  readonly listener: Listener;
  readonly membership: Membership;
  readonly notifier: Notifier;
  readonly feed: Pick<FeedHub, "end">;
  /** Parts that answers need to their ends. They close in this order once the port is closed. */
  readonly closedLast: readonly ({ close(): unknown } | undefined)[];
  readonly rateLimit: RateLimit;
  readonly streamLimit: StreamLimit;
  readonly inFlight: InFlight;
}

/** The member that runs in this process, and owns its parts. */
export class LocalMember implements RunningMember {
  readonly name: string;
  readonly url: string;
  readonly sandbox: Member["sandbox"];
  readonly version: string;
  readonly boot: Member["boot"];
  pools: Member["pools"];
  readonly joined: Promise<void>;
  readonly #stopped = Promise.withResolvers<void>();
  readonly stopped = this.#stopped.promise;
  readonly #parts: MemberParts;
  /** The options in force, defaults included. */
  #settings: Settings;
  #reloading: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  readonly #startedAt = new Date().toISOString();
  /** When a drain stops the children that still run. */
  #drainEndsAt: string | undefined;
  /** Why the member can start no children. */
  #sick: string | undefined;

  constructor(parts: MemberParts) {
    const { settings, self, membership } = parts;
    this.#parts = parts;
    this.#settings = settings;
    this.name = self.name;
    this.url = self.url;
    this.sandbox = self.sandbox;
    this.version = self.version;
    this.boot = self.boot;
    this.pools = self.pools;
    membership.onPassed = (atMs) => parts.pools.passed(atMs);
    parts.pools.onSick = (reason) => {
      this.#sick = reason;
      membership.sick(reason);
    };
    this.joined = membership.join(self);
    this.joined.catch((error: unknown) => {
      settings.log("error", messageOf(error));
      void this.stop();
    });
  }

  /** The questions and requests that the routes have for this member. */
  get hooks() {
    const { membership, pools } = this.#parts;
    return {
      name: this.name,
      sandbox: this.sandbox,
      idempotencyMs: () => this.#settings.idempotencyMs,
      maxBodyBytes: () => this.#settings.maxBodyBytes,
      maxUploadBytes: () => this.#settings.maxUploadBytes,
      maxHeldBytes: () => this.#settings.maxHeldBytes,
      heartbeatMs: () => this.#settings.heartbeatMs,
      corsOrigins: () => this.#settings.corsOrigins ?? [],
      drain: () => void this.stop(),
      isDraining: () => this.#stopping !== undefined,
      trouble: () => (this.#stopping ? "the member drains" : (membership.trouble ?? pools.trouble)),
      logError: (message: string) => this.#settings.log("error", message),
    };
  }

  /** The member as the feed shows it. */
  get facts(): MemberEvent {
    const { name: member, url, version, sandbox, pools } = this;
    const [sick, drainEndsAt] = [this.#sick, this.#drainEndsAt];
    const state = drainEndsAt ? "draining" : sick === undefined ? "up" : "sick";
    return {
      type: "member",
      ...{ member, url, version, sandbox, pools, state, startedAt: this.#startedAt },
      ...(state === "sick" && { detail: sick }),
      ...(drainEndsAt && { drainEndsAt }),
    };
  }

  reload = (options: MemberOptions): Promise<Reloaded> => {
    const reloaded = this.#reloading.then(() => this.#reload(options));
    this.#reloading = reloaded.catch(() => {});
    return reloaded;
  };

  stop = (): Promise<void> => {
    this.#stopping ??= this.#drain().then(this.#stopped.resolve);
    return this.#stopping;
  };

  async #reload(options: MemberOptions): Promise<Reloaded> {
    const { self, pools, rateLimit, streamLimit, listener, membership } = this.#parts;
    const next = settingsOf(options);
    const maxConnections = maxConnectionsOf(next);
    const reloaded = difference(this.#settings, next);
    const runtimes = await pools.prepare(next.pools);
    if (this.#stopping) throw PoolError.of("draining", "the member drains");
    const settings = merged(this.#settings, next);
    this.#settings = settings;
    pools.serve(runtimes, settings, this);
    rateLimit.perSecond = settings.maxRate;
    streamLimit.max = settings.maxStreams;
    listener.limitRequests(settings.requestTimeoutMs);
    listener.connections.max = maxConnections;
    const maxChildren = maxChildrenOf(settings.pools);
    if (!isDeepStrictEqual(maxChildren, this.pools)) {
      this.pools = maxChildren;
      // The membership retries with its heartbeat, because the registry may be away.
      membership.update({ ...self, pools: maxChildren });
    }
    return reloaded;
  }

  async #drain(): Promise<void> {
    const { pools, membership, inFlight, runtimes, listener, notifier, feed, closedLast, sandbox } =
      this.#parts;
    const { drainMs, graceMs, log } = this.#settings;
    const { active } = pools;
    this.#drainEndsAt = new Date(Date.now() + drainMs).toISOString();
    log(
      "info",
      `draining: ${active} children run${active > 0 ? `, for ${drainMs} ms at most` : ""}`,
    );
    pools.drain();
    const handingOver = setTimeout(() => inFlight.handOver(), HANDOVER_MS);
    await membership.drain();
    const notified = () => pools.settled().then(() => notifier.settled());
    const finished = Promise.all([notified(), inFlight.none()]);
    // A request that reaches a connection in the moment of its closing would be lost.
    await within(
      drainMs,
      finished.then(() => within(MAX_QUIET_MS, inFlight.quiet(QUIET_MS))),
    );
    clearTimeout(handingOver);
    inFlight.endAll();
    // A reader that takes nothing would delay its child's last events beyond the time for delivery.
    const cut = setTimeout(() => listener.closeAll(), graceMs + DELIVER_TIMEOUT_MS);
    await pools.stopAll(`member ${this.name} is stopping`);
    await within(DELIVER_TIMEOUT_MS, notified());
    feed.end();
    await notifier.close();
    await this.#reloading;
    await runtimes.close();
    await membership.leave();
    await closed(listener);
    clearTimeout(cut);
    pools.close();
    for (const part of closedLast) await part?.close();
    // A reload may be proving the sandbox.
    await this.#reloading;
    await sandbox.close();
  }
}

/**
 * Closes the port. Resolves when the last connection has closed: each one closes as soon as it has
 * delivered its answers.
 */
async function closed({ server, closeIdle }: Listener): Promise<void> {
  const closing = new Promise((resolve) => server.close(resolve));
  const idle = setInterval(closeIdle, IDLE_POLL_MS);
  await closing;
  clearInterval(idle);
}
