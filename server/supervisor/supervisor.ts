/** One pool's children on this member, never more than `maxChildren`. */
import { type Load, PoolError } from "../../openapi/errors.ts";
import { randomDigits } from "../../openapi/names.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { Deadline } from "../../sdk/typescript/time/deadline.ts";
import { startsLate } from "../workspace/pack.ts";
import {
  afterWait,
  type CheckedSpec,
  checkAdmitting,
  checkSpec,
  type Lifetime,
  refusalOf,
  remainingDeadline,
} from "./check-spec.ts";
import { Child } from "./child.ts";
import type { Claim, SlotWish, Taken } from "./claim.ts";
import type { StopCause } from "./ending.ts";
import { observe } from "./observed/observer.ts";
import { traceChild } from "./observed/traced-child.ts";
import type { ChangeableOptions, SupervisorOptions } from "./options.ts";
import { RememberedChildren } from "./remembered-children.ts";
import { Slots } from "./slots/slots.ts";
import type { Subscription, Waiter } from "./slots/waiter.ts";
import { untilBegun } from "./start-failure.ts";

export class Supervisor {
  options: SupervisorOptions;
  readonly slots: Slots;
  /** Children by id, in the order of their admission, the remembered ones included. */
  readonly #children = new Map<string, Child>();
  readonly #remembered: RememberedChildren;
  readonly #emptyWaiters: (() => void)[] = [];

  constructor(options: SupervisorOptions) {
    this.options = options;
    const { pool, member, maxChildren, maxQueue, shares } = options;
    this.#remembered = new RememberedChildren(options.heldBytes, (child) => this.#remove(child));
    this.slots = new Slots({ pool, member, max: maxChildren, maxQueue, shares });
  }

  /**
   * Takes changed options, for children admitted from now on, and ends a drain. Running children go
   * on, even where they are more than `maxChildren` allows.
   */
  update(changes: ChangeableOptions): void {
    this.options = { ...this.options, ...changes };
    this.slots.resize(changes.maxChildren, changes.maxQueue);
  }

  /**
   * Admits a child as soon as a slot is free, for as long as the spec's `waitMs`; the admission
   * itself is atomic. The spec's `deadlineMs` counts from now.
   *
   * @throws {PoolError} see {@link checkSpec}; `at_capacity` with the load; `slot_not_found`;
   *   `draining`; `queue_timeout`, or `deadline_exceeded` where the deadline came first;
   *   `cancelled` when the caller left.
   */
  admitWhenFree(spec: ChildSpec, lifetime: Lifetime, claim: Claim): Promise<Child> {
    const { pool, observer } = this.options;
    const admitted = this.#admitWhenFree(spec, lifetime, claim);
    if (observer) admitted.catch((error) => observer.refused?.(pool, error));
    return admitted;
  }

  async #admitWhenFree(spec: ChildSpec, lifetime: Lifetime, claim: Claim): Promise<Child> {
    const { client, slot, uploads, onPosition, onGone } = claim;
    checkAdmitting(this.options);
    const checked = checkSpec({ spec, lifetime, uploads }, this.options);
    if (spec.waitMs === 0 || slot !== undefined) return await this.#admit(checked, claim);
    const deadline = new Deadline(spec.deadlineMs);
    const { deadlineMs = Number.POSITIVE_INFINITY } = checked;
    const waiter = this.slots.request(client, Math.min(spec.waitMs, deadlineMs));
    if (onPosition) waiter.onPosition(onPosition);
    const leave = () => waiter.leave();
    onGone?.(leave);
    try {
      const { id } = await waiter.granted;
      return await this.#admit(afterWait(checked, deadline, this.options), { ...claim, slot: id });
    } catch (error) {
      if (error instanceof PoolError && error.code === "queue_timeout" && deadlineMs < spec.waitMs)
        throw PoolError.of(
          "deadline_exceeded",
          `the deadline of ${deadlineMs} ms passed before a slot came free`,
        );
      throw error;
    } finally {
      leave();
    }
  }

  /** Asks for a slot. @throws {PoolError} as {@link Slots.request}; {@link checkAdmitting}. */
  request(client: string, { waitMs, sandbox }: SlotWish): Waiter {
    checkAdmitting(this.options, sandbox);
    return this.slots.request(client, waitMs);
  }

  /** Asks for up to `count` slots, one after the other. @throws {PoolError} as {@link request}. */
  subscribe(client: string, count: number, { waitMs, sandbox }: SlotWish): Subscription {
    checkAdmitting(this.options, sandbox);
    return this.slots.subscribe(client, count, waitMs);
  }

  /** The children, in the order of their admission. */
  get all(): readonly Child[] {
    return [...this.#children.values()];
  }

  /** The children as they are shown, in the order of their admission. */
  which(): ChildInfo[] {
    return this.all.map((child) => child.info);
  }

  /** The load. Its `max` is 0 while nothing is admitted. */
  count(): Load {
    const load = this.slots.load();
    return refusalOf(this.options) ? { ...load, max: 0 } : load;
  }

  find(id: string): Child | undefined {
    return this.#children.get(id);
  }

  /** The owner of a child that has ended and been forgotten; undefined for another id. */
  ownerOfForgotten(id: string): string | undefined {
    return this.#remembered.ownerOfForgotten(id);
  }

  /** Resolves when the children that run now have ended, their terminal events in their logs. */
  async settled(): Promise<void> {
    await Promise.all([...this.#children.values()].map((child) => child.finished));
  }

  /** Resolves when no child runs or is remembered. */
  forgotten(): Promise<void> {
    return this.#children.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#emptyWaiters.push(resolve));
  }

  /** Admits no more children, ends waiting processes, and notifies running functions. */
  drain(): void {
    this.slots.drain();
    void this.options.runtimes.close();
    for (const child of this.#children.values()) child.notifyDrain();
  }

  /** While nothing is admitted, sends the callers that wait elsewhere. */
  refuseWaiting(): void {
    const refusal = refusalOf(this.options);
    if (refusal) this.slots.refuseAll(refusal);
  }

  /** Kills every child that runs. The pool goes on. */
  killAll(cause: StopCause, detail: string): void {
    for (const child of this.#children.values()) child.stop(cause, detail, 0);
  }

  /** Stops every child and resolves when all have ended, their terminal events in their logs. */
  async stopAll(cause: StopCause, detail: string): Promise<void> {
    this.drain();
    for (const child of this.#children.values()) child.stop(cause, detail);
    await this.settled();
  }

  /** Forgets the ended children and their logs. */
  close(): void {
    this.#remembered.close();
  }

  /**
   * Takes the slot, and starts the child. A key's entry is created in between: it names the child
   * before there is one, and no entry names a child that only waits.
   *
   * @throws {PoolError} `at_capacity` with the load, `slot_not_found`, `draining`; those of
   *   {@link refusalOf}; as {@link KeyedStart.start}.
   */
  async #admit(checked: CheckedSpec, claim: Claim): Promise<Child> {
    const { client, slot, keyed, waitedMs, trace } = claim;
    checkAdmitting(this.options);
    const lease =
      slot === undefined ? this.slots.take(client) : this.slots.claim(slot, client, waitedMs);
    const id = `${this.options.member}.${randomDigits()}`;
    const start = () => this.#begin(this.#start(id, checked, { client, lease, trace }), checked);
    try {
      if (!keyed) return await start();
      return await keyed.start(id, () => {
        checkAdmitting(this.options);
        this.slots.checkAdmitting();
        return start();
      });
    } catch (error) {
      lease.free();
      throw error;
    }
  }

  /**
   * Waits until a child begins. To fetch files and to check an archive may take long, so such a
   * child begins after its admission.
   */
  async #begin(child: Child, { spec, uploads }: CheckedSpec): Promise<Child> {
    const began = startsLate(spec, uploads?.archive) ? Promise.resolve() : untilBegun(child);
    void child.begun.then((failure) => this.options.startHealth?.note(failure !== undefined));
    void began
      .then(() => child.finished)
      .then(() => this.#remembered.add(child, this.options.rememberMs))
      .then(() => this.options.notifier.tell(child, spec.notify, this.options.notifyRules))
      .catch(() => this.#remove(child));
    await began;
    return child;
  }

  #start(id: string, checked: CheckedSpec, { client, lease, trace }: Taken): Child {
    const { spec, lifetime, uploads } = checked;
    const { pool, member, url, graceMs, folder, heldBytes } = this.options;
    const run = trace?.span?.child("run");
    const child = new Child({
      ...checked,
      trace: run?.headers ?? trace?.context,
      reference: { id, pool, member, url: `${url}/children/${id}` },
      // The input of a placed child stays open. A call's input is empty unless its spec says more.
      spec: lifetime === "placed" || uploads?.stdin ? { stdin: { open: true }, ...spec } : spec,
      client,
      folder,
      heldBytes,
      deadlineMs: remainingDeadline(checked, lease.requestedAt),
      graceMs,
    });
    this.#children.set(id, child);
    void child.exited.then(() => lease.free());
    const { observer } = this.options;
    if (observer) observe(child, performance.now() - lease.requestedAt, observer);
    if (run) traceChild(child, run, lease.requestedAt);
    return child;
  }

  #remove(child: Child): void {
    child.close();
    this.#children.delete(child.id);
    if (this.#children.size === 0) for (const resolve of this.#emptyWaiters.splice(0)) resolve();
  }
}
