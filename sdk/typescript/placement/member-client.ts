/** The questions that placement asks a member, and the member that answers them over HTTP. */
import { type Load, PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import type { Child as ChildInfo, Count, Tasks } from "../../../openapi/types.gen.ts";
import type { Answer, Client } from "../http/client.ts";
import { readSlotEvents } from "../http/read-events.ts";
import { type ChildSpecInput, postSpec } from "../http/send-spec.ts";
import { type ChildFilter, type PlaceOptions, type PoolChildList, queryOf } from "./access.ts";
import type { Member } from "./members.ts";
import type { Page, PageOf } from "./pages.ts";

/** 10 seconds for an admission; a member that says nothing for this long is lost. */
const ADMIT_TIMEOUT_MS = 10_000;

type ChildList = Pick<PoolChildList, "children" | "nextCursor">;

/** A wait in a member's queue. */
export type SlotRequest = Pick<ChildSpecInput, "waitMs" | "sandbox"> & { readonly pool: string };

/** One try to be admitted. */
export interface AdmissionRequest extends PlaceOptions {
  readonly pool: string;
  /** With what remains of its deadline, and without a wait. */
  readonly spec: ChildSpecInput;
  readonly lifetime: "call" | "placed";
  /** A slot that the member granted. Default: a free one. */
  readonly slot?: string | undefined;
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
   * Waits in the member's queue, and holds the slot that it grants, until the signal aborts.
   *
   * @throws {PoolError} the refusal of the member; the transport's own error.
   */
  requestSlot(request: SlotRequest, signal: AbortSignal): AsyncIterable<SlotEvent>;
  /** Admits a child, or resolves with the refusal. Rejects with the transport's own error. */
  admit(request: AdmissionRequest): Promise<Admitted | PoolError>;
}

/** A member that is asked over HTTP. An admission is the open answer. */
export class RemoteMember implements MemberClient<Answer> {
  readonly name: string;
  readonly #url: string;
  readonly #client: Client;

  constructor({ name, url }: Member, client: Client) {
    this.name = name;
    this.#url = url;
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
    const url = `${this.#url}/children${queryOf({ ...filter, pool })}`;
    const { children, nextCursor } = await this.#client.json<ChildList>(url, {
      signal,
      member: this.name,
      key: "children",
    });
    return { entries: children, nextCursor };
  }

  async *requestSlot(body: SlotRequest, signal: AbortSignal) {
    const answer = await this.#client.send(`${this.#url}/slots`, {
      method: "POST",
      body,
      accept: "text/event-stream",
      signal,
      member: this.name,
    });
    if (answer.status !== 200) throw await this.#client.problem(answer);
    yield* readSlotEvents(answer.body);
  }

  admit({ pool, spec, lifetime, slot, ...options }: AdmissionRequest) {
    return postSpec(this.#client, `${this.#url}/${lifetime === "call" ? "call" : "children"}`, {
      ...options,
      member: this.name,
      spec: Object.assign({ pool, slot }, spec),
      timeoutMs: ADMIT_TIMEOUT_MS,
    });
  }
}
