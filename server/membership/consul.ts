/**
 * Membership in Consul: the member registers one service with its local agent, and passes a TTL
 * check every 5 seconds. Load is never written: each change would be a raft write.
 */
import { setTimeout as pause } from "node:timers/promises";
import { messageOf } from "../../openapi/errors.ts";
import {
  type ConsulClient,
  type ConsulOptions,
  consulClient,
} from "../../sdk/typescript/node/consul/consul-client.ts";
import { ConsulMembers } from "../../sdk/typescript/node/consul/consul-members.ts";
import { drainingReason } from "../../sdk/typescript/node/consul/consul-standing.ts";
import type { Member, RegisteredMember } from "../../sdk/typescript/placement/members.ts";
import { ConsulAccess, memberRights } from "./consul-access.ts";
import { ConsulKeys } from "./consul-keys.ts";
import { Maintenance } from "./consul-maintenance.ts";
import { earlierRivalOf, isListed, untilNameIsFree } from "./consul-name.ts";
import { checkId, registrationOf, serviceId } from "./consul-registration.ts";
import { type Membership, nameTaken } from "./membership.ts";

const HEARTBEAT_MS = 5_000;
/** 2 seconds for one request: less than a heartbeat, so that a slow agent delays no later beat. */
const REQUEST_TIMEOUT_MS = 2_000;
const RETRY_MS = 1_000;
/**
 * 500 ms for the watches of the others to show the drain, which takes them milliseconds. A slower
 * caller hears of the drain from the member itself, as a refusal.
 */
const DRAIN_NOTICE_MS = 500;
type Log = (level: "info" | "warn", message: string) => void;

export class ConsulMembership implements Membership {
  readonly #consul: ConsulClient;
  readonly #members: ConsulMembers;
  readonly #access: ConsulAccess;
  readonly keys: ConsulKeys;
  readonly in = (pool: string) => this.#members.in(pool);
  readonly all = () => this.#members.all();
  readonly refusal = () => this.#members.refusal();
  readonly find = (name: string) => this.#members.find(name);
  readonly #address: string;
  readonly #log: Log;
  readonly #publicUrl: string | undefined;
  onPassed: Membership["onPassed"];
  #self: Member | undefined;
  /** The facts that Consul has been given last. */
  #registered: Member | undefined;
  #trouble: string | undefined = "not registered with Consul yet";
  /** The last complaint in the log, so that one outage is logged once. */
  #complaint: string | undefined;
  /** The time when a drain stops the children that still run. */
  #drainEndsAt: string | undefined;
  readonly isReachable = () => this.#registered !== undefined && this.#complaint === undefined;
  /** Why this member can start no children. */
  #sick: string | undefined;
  readonly #maintenance: Maintenance;
  /** Aborts when the member leaves. */
  readonly #leaving = new AbortController();
  /** The last request to the agent, which the deregistration comes after. */
  #underWay: Promise<unknown> = Promise.resolve();

  /** @param publicUrl the origin of the dashboard. Default: the member's own URL. */
  constructor(options: ConsulOptions, log: Log, publicUrl?: string) {
    this.#publicUrl = publicUrl;
    this.#consul = consulClient(options);
    const rights = memberRights(this.#consul, options);
    this.#members = new ConsulMembers(this.#consul, rights);
    this.#access = new ConsulAccess(rights, log);
    this.keys = new ConsulKeys(this.#consul, rights);
    this.#address = options.address;
    this.#log = log;
    this.#maintenance = new Maintenance(this.#consul, (message) => log("warn", message));
  }

  get trouble(): string | undefined {
    const isLeaving = this.#drainEndsAt !== undefined || this.#left;
    return isLeaving ? this.#trouble : (this.#access.trouble ?? this.#trouble);
  }

  async registered(): Promise<readonly RegisteredMember[]> {
    const listed = await this.#members.registered();
    const self = this.#self;
    // A registration takes a while to appear on the list.
    if (!self || this.#left || listed.some(({ name }) => name === self.name)) return listed;
    const detail = this.trouble;
    return [...listed, { ...self, ...(detail ? { state: "lost", detail } : { state: "up" }) }];
  }

  close(): void {
    this.keys.close();
    this.#members.close();
  }

  async join(self: Member): Promise<void> {
    this.#self = self;
    // This starts the watch of the whole service, which answers for every pool from now on.
    const list = this.all().catch(() => undefined);
    // Without the right to read, another member of this name would not be found.
    const complain = (error: unknown) => this.#complain(error);
    while (!this.#left && !(await this.#access.check(complain))) await this.#pause(RETRY_MS);
    await untilNameIsFree(this.#consul, self, (why) => {
      this.#complain(why);
      return this.#pause(RETRY_MS);
    });
    while (!this.#left && !(await this.#track(this.#register()))) await this.#pause(RETRY_MS);
    await list;
    const wait = (ms: number) => this.#pause(ms);
    if (!(await isListed(self.name, { all: this.all, wait, isOver: () => this.#left })))
      this.#log("warn", `registered, but Consul's list does not show ${self.name} yet`);
    const rival = this.#left ? undefined : await earlierRivalOf(this.#consul, self);
    // The agent has one instance of a name. The rival that replaced this member's keeps it.
    if (rival?.replaced) this.#registered = undefined;
    if (rival) throw nameTaken(self, rival);
    if (this.#left) return;
    void this.#access.checkKeys();
    void this.#beat();
  }

  update(self: Member): void {
    this.#self = self;
    // Before the first registration, `join` gives these facts; after a failure, the next heartbeat.
    if (this.#registered && !this.#left)
      void this.#track(
        this.#underWay.then(() => this.#registered === this.#self || this.#register()),
      );
  }

  async drain(endsAt: string): Promise<void> {
    this.#drainEndsAt = endsAt;
    this.#trouble = "draining";
    await this.#underWay;
    if (!this.#registered || this.#left) return;
    await this.#maintain();
    await pause(DRAIN_NOTICE_MS);
  }

  sick(reason: string | undefined): void {
    this.#sick = reason;
    void this.#track(this.#underWay.then(() => this.#maintain()));
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    this.#trouble = "left Consul";
    await this.#underWay;
    if (!this.#registered) return;
    await this.#consul.agent.service
      .deregister({ id: serviceId(this.#registered.name), ...timeout })
      .catch((error) =>
        this.#log("warn", `Consul: not deregistered; the check will expire: ${messageOf(error)}`),
      );
  }

  get #left(): boolean {
    return this.#leaving.signal.aborted;
  }

  async #register(): Promise<boolean> {
    const self = this.#self as Member;
    const sentAt = performance.now();
    try {
      const service = registrationOf(self, this.#publicUrl);
      await this.#consul.agent.service.register({ ...service, ...timeout });
      // The agent keeps the state of a check that it knows, such as that of a killed process.
      await this.#consul.agent.check.pass({ id: checkId(self.name), ...timeout });
      this.#log("info", `registered with Consul at ${this.#address}`);
      this.#complaint = undefined;
      if (this.#drainEndsAt === undefined) this.#trouble = undefined;
      this.#registered = self;
      // An agent that had forgotten the member has forgotten its maintenance too. And that of a
      // former process of this name outlives restarts.
      this.#maintenance.forget();
      await this.#maintain();
      await this.#passed(sentAt);
      return true;
    } catch (error) {
      if (!(await this.#access.explains(error))) this.#complain(error);
      return false;
    }
  }

  #maintain(): Promise<void> {
    const endsAt = this.#drainEndsAt;
    const reason = endsAt === undefined ? this.#sick : drainingReason(endsAt);
    const self = this.#left ? undefined : this.#registered;
    return self ? this.#maintenance.show(serviceId(self.name), reason) : Promise.resolve();
  }

  #complain(error: unknown): void {
    const complaint = `Consul at ${this.#address}: ${messageOf(error)}`;
    if (complaint !== this.#complaint) this.#log("warn", `${complaint}; trying again`);
    this.#complaint = complaint;
    // A registered member stays ready: it keeps serving with the members that it knows.
    if (this.#trouble !== undefined) this.#trouble = complaint;
  }

  /** Passes the check every few seconds, until the member leaves. */
  async #beat(): Promise<void> {
    for (;;) {
      // A right that comes back is noticed sooner than one that goes.
      await this.#pause(this.#access.trouble ? RETRY_MS : HEARTBEAT_MS);
      await Promise.all([this.#track(this.#pass()), this.#access.check()]);
    }
  }

  async #pass(): Promise<void> {
    const { name } = this.#self as Member;
    if (this.#registered !== this.#self) return void (await this.#register());
    const sentAt = performance.now();
    try {
      await this.#consul.agent.check.pass({ id: checkId(name), ...timeout });
      this.#complaint = undefined;
      await this.#maintain();
      await this.#passed(sentAt);
    } catch {
      // The agent is away, or has forgotten the member. Registering again tells which.
      if (!this.#left) await this.#register();
    }
  }

  /** Counts only with a leader: an agent that is cut off from its servers still takes the check. */
  async #passed(sentAt: number): Promise<void> {
    if (!this.onPassed) return;
    const leader = await this.#consul.status.leader(timeout).catch(() => "");
    if (leader) this.onPassed(sentAt);
  }

  /** Remembers a request that is under way. */
  #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay = work;
    return work;
  }

  /** Waits. Never resolves once the member leaves: no work that follows the pause is due then. */
  #pause(ms: number): Promise<void> {
    const never = () => new Promise<never>(() => {});
    return pause(ms, undefined, { signal: this.#leaving.signal }).catch(never);
  }
}

/** An option of every request, which the types of the client leave out. */
const timeout = { timeout: REQUEST_TIMEOUT_MS } as object;
