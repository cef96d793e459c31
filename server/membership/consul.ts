/**
 * Membership in Consul: one service on the local agent, the pools as tags, the static facts in its meta, and a TTL check
 * that is passed every few seconds. Load is never written: it would be a raft write each time.
 */
import type Consul from "consul";
import { messageOf } from "../../openapi/errors.ts";
import {
  ConsulMembers,
  type ConsulOptions,
  consulClient,
  META,
  SERVICE,
} from "../../sdk/typescript/placement/consul-members.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import type { Membership } from "./membership.ts";

const TTL = "15s";
const HEARTBEAT_MS = 5_000;
/** Consul takes less than a minute as a minute. */
const DEREGISTER_AFTER = "1m";
/** One request to the agent. Less than the heartbeat, so that its beat is kept. */
const REQUEST_TIMEOUT_MS = 2_000;
const RETRY_MS = 1_000;
/** Watches hear of a change in milliseconds; who is slower, or on the way, is told by the member itself. */
const TOLD_MS = 500;
/** How long a registration may take to be seen in the agent's own list. */
const SEEN_TIMEOUT_MS = 5_000;
const SEEN_POLL_MS = 50;

export class ConsulMembership extends ConsulMembers implements Membership {
  readonly #agent: Consul;
  readonly #address: string;
  readonly #log: (level: "info" | "warn", message: string) => void;
  #self: Member | undefined;
  #trouble: string | undefined = "not registered with Consul yet";
  /** What was logged last, so that an outage is told once. */
  #complaint: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #draining = false;
  #left = false;
  /** The facts that Consul was told last. */
  #told: Member | undefined;
  #underWay: Promise<unknown> = Promise.resolve();

  constructor(options: ConsulOptions, log: (level: "info" | "warn", message: string) => void) {
    super(options);
    this.#agent = consulClient(options);
    this.#address = options.address;
    this.#log = log;
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  async join(self: Member): Promise<void> {
    this.#self = self;
    // The watch of the whole service: from now on every pool is answered from it.
    const list = this.all().catch(() => undefined);
    while (!this.#left && !(await this.#busy(this.#register()))) await this.#pause(RETRY_MS);
    // Somebody may have put a former process of this name into maintenance, which outlives restarts.
    if (!this.#draining)
      await this.#agent.agent.service
        .maintenance({ ...this.#service, enable: false, ...timeout })
        .catch(() => {});
    await list;
    for (let waited = 0; !this.#left && waited < SEEN_TIMEOUT_MS; waited += SEEN_POLL_MS) {
      if ((await this.all().catch(() => [])).some(({ name }) => name === self.name)) break;
      await this.#pause(SEEN_POLL_MS);
      if (waited + SEEN_POLL_MS >= SEEN_TIMEOUT_MS)
        this.#log(
          "warn",
          `registered, but Consul's list does not show ${self.name}: may the token read service ${SERVICE}?`,
        );
    }
    if (!this.#left) this.#beat();
  }

  update(self: Member): void {
    this.#self = self;
    // Before that, the joining tells it; where it fails, the next heartbeat does.
    if (this.#told && !this.#left)
      void this.#busy(this.#underWay.then(() => this.#told === this.#self || this.#register()));
  }

  async drain(): Promise<void> {
    this.#draining = true;
    this.#trouble = "draining";
    await this.#underWay;
    if (!this.#told || this.#left) return;
    await this.#maintain();
    await new Promise((resolve) => setTimeout(resolve, TOLD_MS));
  }

  async leave(): Promise<void> {
    this.#left = true;
    clearTimeout(this.#timer);
    this.#trouble = "left Consul";
    await this.#underWay;
    // It may never have been there.
    if (this.#told)
      await this.#agent.agent.service
        .deregister({ ...this.#service, ...timeout })
        .catch((error) =>
          this.#log(
            "warn",
            `could not deregister from Consul, its check will expire: ${messageOf(error)}`,
          ),
        );
    this.#agent.destroy();
  }

  get #service() {
    return { id: `${SERVICE}-${this.#self?.name}` };
  }

  get #checkId() {
    return `${this.#service.id}-ttl`;
  }

  async #register(): Promise<boolean> {
    const self = this.#self as Member;
    const url = new URL(self.url);
    const pools = Object.keys(self.pools);
    // The types want a timeout of every check, which a TTL check has not.
    const check = {
      checkid: this.#checkId,
      name: "heartbeat of the member",
      ttl: TTL,
      status: "passing",
      deregistercriticalserviceafter: DEREGISTER_AFTER,
      timeout: TTL,
    };
    try {
      await this.#agent.agent.service.register({
        ...this.#service,
        name: SERVICE,
        address: url.hostname.replace(/^\[|\]$/g, ""),
        port: Number(url.port || (url.protocol === "https:" ? 443 : 80)),
        // Traefik would otherwise route to every service it finds.
        tags: [...pools, "traefik.enable=false"],
        meta: {
          [META.member]: self.name,
          [META.version]: self.version,
          [META.sandbox]: self.sandbox,
          [META.scheme]: url.protocol.slice(0, -1),
          ...Object.fromEntries(
            pools.map((pool) => [META.maxChildren(pool), String(self.pools[pool])]),
          ),
        },
        check,
        ...timeout,
      });
      this.#log("info", `registered with Consul at ${this.#address}`);
      this.#complaint = undefined;
      if (!this.#draining) this.#trouble = undefined;
      this.#told = self;
      // An agent that had forgotten the member has forgotten this too.
      if (this.#draining) await this.#maintain();
      return true;
    } catch (error) {
      this.#complain(error);
      return false;
    }
  }

  async #maintain(): Promise<void> {
    await this.#agent.agent.service
      .maintenance({ ...this.#service, enable: true, reason: "the member drains", ...timeout })
      .catch((error) => this.#log("warn", `Consul was not told of the drain: ${messageOf(error)}`));
  }

  #complain(error: unknown): void {
    const complaint = `Consul at ${this.#address}: ${messageOf(error)}`;
    if (complaint !== this.#complaint) this.#log("warn", `${complaint}; trying again`);
    this.#complaint = complaint;
    // Once registered, a member stays ready: it serves on with the members it knows.
    if (this.#trouble !== undefined) this.#trouble = complaint;
  }

  /** Passes the check every few seconds; registers again when the agent does not know it. */
  #beat(): void {
    this.#timer = setTimeout(async () => {
      await this.#busy(this.#pass());
      if (!this.#left) this.#beat();
    }, HEARTBEAT_MS);
  }

  async #pass(): Promise<void> {
    if (this.#told !== this.#self) return void (await this.#register());
    try {
      await this.#agent.agent.check.pass({ id: this.#checkId, ...timeout });
      this.#complaint = undefined;
    } catch {
      // The agent is away or has forgotten: the registration says which.
      if (!this.#left) await this.#register();
    }
  }

  /** Remembers what is under way, so that a deregistration comes after it. */
  #busy<T>(work: Promise<T>): Promise<T> {
    this.#underWay = work;
    return work;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, ms);
    });
  }
}

/** An option of every request that the client's types leave out. */
const timeout = { timeout: REQUEST_TIMEOUT_MS } as object;
