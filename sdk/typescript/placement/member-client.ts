/** Every request that placement sends to a single member. */
import type { z } from "@hono/zod-openapi";
import type { Load } from "../../../openapi/errors.ts";
import { PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import type { ChildInfo, Count, Tasks } from "../../../openapi/resources.ts";
import type { ChildSpecInput, SlotRequestSchema } from "../../../openapi/spec.ts";
import type { Answer, Client, RequestOptions } from "../http/client.ts";
import { readSlotEvents } from "../http/read-events.ts";
import { postSpec } from "../http/send-spec.ts";
import type { Member } from "./members.ts";

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

export class MemberClient {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** The same connections, for a caller with another `Authorization`. */
  as(authorization: string | undefined): MemberClient {
    return new MemberClient(this.#client.as(authorization));
  }

  /**
   * Asks a member to admit a child.
   *
   * @returns the open answer, or the refusal. Rejects with the transport's own error.
   */
  admit(member: Member, { path, ...options }: AdmitOptions): Promise<Answer | PoolError> {
    return postSpec(this.#client, `${member.url}${path}`, {
      ...options,
      timeoutMs: ADMIT_TIMEOUT_MS,
    });
  }

  /** A member's load in the pool. @throws {PoolError} `pool_not_found` and those of the client. */
  async load(member: Member, pool: string, signal: AbortSignal): Promise<Load> {
    const { pools } = await this.#client.json<Count>(`${member.url}/children/count`, { signal });
    const load = pools && Object.hasOwn(pools, pool) ? pools[pool] : undefined;
    if (!load)
      throw PoolError.of("pool_not_found", `member ${member.name} does not serve pool ${pool}`);
    return load;
  }

  /** The tasks and runtimes of a member's pool. */
  tasks(member: Member, pool: string, signal: AbortSignal): Promise<Tasks> {
    const url = `${member.url}/tasks?pool=${encodeURIComponent(pool)}`;
    return this.#client.json<Tasks>(url, { signal });
  }

  /** The children of a member. @param query begins with `?`. */
  async children(member: Member, query: string, signal: AbortSignal): Promise<ChildInfo[]> {
    const url = `${member.url}/children${query}`;
    return (await this.#client.json<{ children: ChildInfo[] }>(url, { signal })).children;
  }

  /**
   * Waits in a member's queue and holds the granted slot, until the signal aborts.
   *
   * @throws {PoolError} the refusal of the member; the transport's own error.
   */
  async *requestSlot(
    member: Member,
    body: z.input<typeof SlotRequestSchema>,
    signal: AbortSignal,
  ): AsyncGenerator<SlotEvent, void, undefined> {
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
