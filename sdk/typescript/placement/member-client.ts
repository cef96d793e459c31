/** The questions that placement asks a member, and the member that answers them over HTTP. */
import { type Load, PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import { LOAD_HEADER, loadOf } from "../../../openapi/load-header.ts";
import { REQUEST_HEADER, WAITED_HEADER } from "../../../openapi/names.ts";
import type { Child as ChildInfo, Count, SlotCount, Tasks } from "../../../openapi/types.gen.ts";
import type { Answer, Client } from "../http/client.ts";
import { neverSent } from "../http/faults.ts";
import { readSlotEvents } from "../http/read-events.ts";
import { type ChildSpecInput, postSpec } from "../http/send-spec.ts";
import { Deadline } from "../time/deadline.ts";
import { pause } from "../time/pause.ts";
import { traceHeaders } from "../trace/trace-context.ts";
import { type ChildFilter, type PlaceOptions, type PoolChildList, queryOf } from "./access.ts";
import type { Member } from "./members.ts";
import type { Page, PageOf } from "./pages.ts";

/** 10 seconds for an admission; a member that says nothing for this long is lost. */
const ADMIT_TIMEOUT_MS = 10_000;
/** A try whose answer was lost is sent again 3 times within that time, first after 50 ms. */
const REPEATS = 3;
const FIRST_PAUSE_MS = 50;

type ChildList = Pick<PoolChildList, "children" | "nextCursor">;

/** A wait in a member's queue, for so many slots. */
export type SlotRequest = Pick<ChildSpecInput, "waitMs" | "sandbox"> & {
  readonly pool: string;
  readonly count: number;
};

/** The slots that a member grants, one after the other. */
export interface SlotStream {
  readonly events: AsyncIterable<SlotEvent>;
  /**
   * Waits for another number of slots from now on. Resolves with the number that the member agreed
   * to. Undefined at an older member, whose stream grants one slot.
   */
  readonly change: ((count: number) => Promise<number>) | undefined;
}

/** One try to be admitted. */
export interface AdmissionRequest extends PlaceOptions {
  readonly pool: string;
  /** With what remains of its deadline, and without a wait. */
  readonly spec: ChildSpecInput;
  readonly lifetime: "call" | "placed";
  /** A slot that the member granted. Default: a free one. */
  readonly slot?: string | undefined;
  /** Milliseconds for which the caller has waited for the slot. Default 0. */
  readonly waitedMs?: number | undefined;
  /** Called when the end of the child has been read from the answer. */
  readonly onEnd?: (() => void) | undefined;
}

/** The answers of a member to one caller. `Admitted` is the result of an admission. */
export interface MemberClient<Admitted> {
  readonly name: string;
  /** The member's load in the pool. @throws {PoolError} `pool_not_found`. */
  load(pool: string, signal: AbortSignal): Promise<Load>;
  /** The tasks and runtimes of the member's pool. */
  tasks(pool: string, signal: AbortSignal): Promise<Tasks>;
  /** One page of the children of the member's pool that fit the filter. */
  children(
    pool: string,
    filter: ChildFilter & Page,
    signal: AbortSignal,
  ): Promise<PageOf<ChildInfo>>;
  /**
   * Waits in the member's queue, and holds the slots that it grants, until the signal aborts.
   *
   * @throws {PoolError} the refusal of the member; the transport's own error.
   */
  requestSlots(request: SlotRequest, signal: AbortSignal): Promise<SlotStream>;
  /** Gives a slot back. @throws {PoolError} `slot_not_found`; the transport's own error. */
  releaseSlot(pool: string, slot: string): Promise<void>;
  /** Admits a child, or resolves with the refusal. Rejects with the transport's own error. */
  admit(request: AdmissionRequest): Promise<Admitted | PoolError>;
  /** The load that an admission tells. Undefined where it tells none. */
  loadIn?(admitted: Admitted): Load | undefined;
  /** The load of now, of a member in this very process that serves the pool. */
  loadNow?(pool: string): Load | undefined;
}

/** A member that is asked over HTTP. An admission is the open answer. */
export class RemoteMember implements MemberClient<Answer> {
  readonly name: string;
  readonly #url: string;
  readonly #version: string;
  readonly #boot: string | undefined;
  readonly #client: Client;

  constructor({ name, url, version, boot }: Member, client: Client) {
    this.name = name;
    this.#url = url;
    this.#version = version;
    this.#boot = boot;
    this.#client = client;
  }

  async load(pool: string, signal: AbortSignal) {
    const { pools } = await this.#client.json<Count>(`${this.#url}/children/count`, {
      signal,
      member: this.name,
      key: "pools",
    });
    const load = pools && Object.hasOwn(pools, pool) ? pools[pool] : undefined;
    if (load) return load;
    throw PoolError.of("pool_not_found", `member ${this.name} does not serve pool ${pool}`);
  }

  tasks(pool: string, signal: AbortSignal): Promise<Tasks> {
    const url = `${this.#url}/tasks${queryOf({ pool })}`;
    return this.#client.json(url, { signal, member: this.name });
  }

  async children(pool: string, filter: ChildFilter & Page, signal: AbortSignal) {
    // A member of version 0.1 knows no pages, and answers with all of its children.
    const { limit: _, cursor: __, ...unpaged } = filter;
    const known = this.#version.startsWith("0.1.") ? unpaged : filter;
    const url = `${this.#url}/children${queryOf({ ...known, pool })}`;
    const { children, nextCursor } = await this.#client.json<ChildList>(url, {
      signal,
      member: this.name,
      key: "children",
    });
    return { entries: children, nextCursor };
  }

  async requestSlots({ count, ...one }: SlotRequest, signal: AbortSignal): Promise<SlotStream> {
    const open = (body: object) =>
      this.#client.send(`${this.#url}/slots`, {
        method: "POST",
        body,
        accept: "text/event-stream",
        signal,
        member: this.name,
      });
    let answer = await open({ ...one, count });
    if (answer.status === 400) {
      // An older member does not know `count`.
      answer.cancel();
      answer = await open(one);
    }
    if (answer.status !== 200) throw await this.#client.problem(answer);
    const id = answer.headers.get("location")?.split("/").at(-1);
    const change = async (changed: number) => {
      const url = `${this.#url}/slots/${encodeURIComponent(id ?? "")}`;
      const body = { count: changed };
      return (await this.#client.json<SlotCount>(url, { method: "PATCH", body, signal })).count;
    };
    return { events: readSlotEvents(answer.body), change: id === undefined ? undefined : change };
  }

  async releaseSlot(_pool: string, slot: string) {
    const answer = await this.#client.send(`${this.#url}/slots/${slot}`, {
      method: "DELETE",
      member: this.name,
    });
    if (answer.status !== 204) throw await this.#client.problem(answer);
  }

  async admit({ onEnd, ...request }: AdmissionRequest) {
    const answer = await this.#untilAnswered(request);
    return answer instanceof PoolError ? answer : Object.assign(answer, { onEnd });
  }

  loadIn({ headers }: Answer) {
    return loadOf(headers.get(LOAD_HEADER));
  }

  /**
   * A try whose answer was lost is sent again, to the same process: it remembers the request, and
   * answers with the child that the first one started, or starts it.
   */
  async #untilAnswered({ pool, spec, lifetime, slot, waitedMs = 0, ...options }: AdmissionRequest) {
    const url = `${this.#url}/${lifetime === "call" ? "call" : "children"}`;
    const deadline = new Deadline(spec.deadlineMs);
    const tryUntil = new Deadline(ADMIT_TIMEOUT_MS);
    const id = crypto.randomUUID();
    let lost: unknown;
    for (let attempt = 0; ; attempt++) {
      try {
        return await postSpec(this.#client, url, {
          ...options,
          member: this.name,
          spec: Object.assign({ pool, slot }, spec, attempt > 0 && deadline.forSpec),
          timeoutMs: Math.max(1, tryUntil.remainingMs),
          headers: {
            ...traceHeaders(options.trace),
            ...(waitedMs > 0 && { [WAITED_HEADER]: String(Math.floor(waitedMs)) }),
            ...(this.#boot && { [REQUEST_HEADER]: `${this.#boot}.${id}.${attempt}` }),
          },
        });
      } catch (error) {
        // A refused connection says nothing about the try before.
        if (attempt === 0 && (error instanceof PoolError || neverSent(error))) throw error;
        lost ??= error;
        const pauseMs = FIRST_PAUSE_MS * 2 ** attempt;
        const isOver = attempt === REPEATS || pauseMs >= tryUntil.remainingMs;
        if (isOver || this.#boot === undefined || options.signal?.aborted) throw lost;
        await pause(pauseMs, options.signal);
      }
    }
  }
}
