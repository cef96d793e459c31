/** Every question that placement asks a single member: over HTTP, or in this process. */
import type { Load } from "../../../openapi/errors.ts";
import { PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import type { ChildInfo, Count, Tasks } from "../../../openapi/resources.ts";
import type { ChildSpecInput } from "../../../openapi/spec.ts";
import type { Answer, Client, RequestOptions } from "../http/client.ts";
import { readSlotEvents } from "../http/read-events.ts";
import { postSpec } from "../http/send-spec.ts";
import { type ChildFilter, queryOf } from "./access.ts";
import type { Member } from "./members.ts";
import type { OwnChild, OwnMember, SlotRequest } from "./own-member.ts";

/** 10 seconds for an admission; a member that says nothing for this long is lost. */
const ADMIT_TIMEOUT_MS = 10_000;

/** The operations that place a child on the very member that is asked. */
export type PlacingPath = "/call" | "/children";

/** A child spec for one member: it names its pool, and the slot that it takes, if any. */
export type MemberSpec = ChildSpecInput & { readonly pool: string; readonly slot?: string };

export interface AdmitOptions extends Pick<RequestOptions, "accept" | "parts" | "signal"> {
  readonly path: PlacingPath;
  readonly spec: MemberSpec;
}

export class MemberClient<Own extends OwnChild = never> {
  readonly #client: Client;
  readonly #own: OwnMember<Own> | undefined;

  constructor(client: Client, own?: OwnMember<Own>) {
    this.#client = client;
    this.#own = own;
  }

  /** The same connections, for a caller with another `Authorization`. */
  as<Child extends OwnChild = never>(
    authorization: string | undefined,
    own?: OwnMember<Child>,
  ): MemberClient<Child> {
    return new MemberClient(this.#client.as(authorization), own);
  }

  /** The member of this process, if it is the one. */
  ownAt({ name }: Member): OwnMember<Own> | undefined {
    return name === this.#own?.name ? this.#own : undefined;
  }

  /**
   * Asks a member to admit a child.
   *
   * @returns the open answer, or the refusal. Rejects with the transport's own error.
   */
  admit(member: Member, { path, ...options }: AdmitOptions): Promise<Answer | Own | PoolError> {
    const { pool, slot, ...spec } = options.spec;
    const lifetime = path === "/call" ? "call" : "placed";
    const own = this.ownAt(member);
    if (own) return own.admit({ pool, spec, lifetime, slot });
    return postSpec(this.#client, `${member.url}${path}`, {
      ...options,
      timeoutMs: ADMIT_TIMEOUT_MS,
    });
  }

  /** A member's load in the pool. @throws {PoolError} `pool_not_found` and those of the client. */
  async load(member: Member, pool: string, signal: AbortSignal): Promise<Load> {
    const own = this.ownAt(member);
    if (own) return own.load(pool);
    const { pools } = await this.#client.json<Count>(`${member.url}/children/count`, { signal });
    const load = pools && Object.hasOwn(pools, pool) ? pools[pool] : undefined;
    if (!load)
      throw PoolError.of("pool_not_found", `member ${member.name} does not serve pool ${pool}`);
    return load;
  }

  /** The tasks and runtimes of a member's pool. */
  async tasks(member: Member, pool: string, signal: AbortSignal): Promise<Tasks> {
    const own = this.ownAt(member);
    if (own) return own.tasks(pool);
    const url = `${member.url}/tasks?pool=${encodeURIComponent(pool)}`;
    return this.#client.json<Tasks>(url, { signal });
  }

  /** The children of a member's pool that fit the filter. */
  async children(
    member: Member,
    { pool, ...filter }: ChildFilter & { readonly pool: string },
    signal: AbortSignal,
  ): Promise<readonly ChildInfo[]> {
    const own = this.ownAt(member);
    if (own) return own.children(pool, filter);
    const url = `${member.url}/children${queryOf(filter, [["pool", pool]])}`;
    return (await this.#client.json<{ children: ChildInfo[] }>(url, { signal })).children;
  }

  /**
   * Waits in a member's queue and holds the granted slot, until the signal aborts.
   *
   * @throws {PoolError} the refusal of the member; the transport's own error.
   */
  async *requestSlot(
    member: Member,
    body: SlotRequest,
    signal: AbortSignal,
  ): AsyncGenerator<SlotEvent, void, undefined> {
    const own = this.ownAt(member);
    if (own) return yield* own.requestSlot(body, signal);
    const answer = await this.#client.send(`${member.url}/slots`, {
      method: "POST",
      body,
      accept: "text/event-stream",
      signal,
    });
    if (answer.statusCode !== 200) throw await this.#client.problem(answer);
    yield* readSlotEvents(answer.body);
  }

  /** The URL of a member's child. */
  childUrl(member: Member, id: string): string {
    return `${member.url}/children/${id}`;
  }
}
