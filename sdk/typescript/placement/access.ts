/** The two ways to a pool: through a member that acts as the gateway, or by placing directly ({@link DirectAccess} in `direct.ts`). */
import type { z } from "@hono/zod-openapi";
import type { ChildInfo, ChildSpecInput, ChildStatus, Count, PoolChildListSchema, PoolListSchema, PoolSchema } from "../../../openapi/schemas.ts";
import { memberOfChild } from "../../../openapi/schemas.ts";
import { type Answer, type Client, neverSent, type RequestOptions } from "../http/client.ts";
import { messageOf, PoolError } from "../errors.ts";
import type { Part } from "../http/multipart.ts";
import { postSpec } from "../http/send-spec.ts";

export type PoolInfo = z.infer<typeof PoolSchema>;
export type PoolList = z.infer<typeof PoolListSchema>;
export type PoolChildList = z.infer<typeof PoolChildListSchema>;

/** Which children are listed: those that carry all of the labels, each `NAME=VALUE` or a `NAME`. */
export interface ChildFilter {
  readonly labels?: readonly string[] | undefined;
  readonly status?: ChildStatus | undefined;
}

/** A filter as the query of a listing. */
export function queryOf({ labels = [], status }: ChildFilter, more: readonly (readonly [string, string])[] = []): string {
  const query = new URLSearchParams(
    [...more, ...labels.map((label) => ["label", label] as const), ...(status ? [["status", status] as const] : [])].map((pair) => [...pair]),
  );
  return query.size > 0 ? `?${query}` : "";
}

/** What a caller says and hears while it is being placed. */
export interface Placing {
  /** Ends the waiting, and closes the connection. */
  readonly signal?: AbortSignal | undefined;
  /** Is told the position in the queue of a full pool, at first and when it changes, unless the stream itself tells it. */
  readonly onPosition?: ((position: number) => void) | undefined;
  /** The form of the answer to a call. Default `text/event-stream`. */
  readonly accept?: "text/event-stream" | "application/octet-stream" | undefined;
  /** Files, and input, that travel beside the spec as they are. */
  readonly parts?: readonly Part[] | undefined;
}

export interface Access {
  /** Places a call; answers with its open event stream. The call is never sent twice once it may have been admitted. */
  call(pool: string, spec: ChildSpecInput, placing?: Placing): Promise<Answer>;
  placeChild(pool: string, spec: ChildSpecInput, placing?: Placing): Promise<ChildInfo>;
  pools(): Promise<PoolList>;
  pool(pool: string): Promise<PoolInfo>;
  /** Whether children are asked for at their own members: where there is no connection to be had, they are gone. */
  readonly asksOwners: boolean;
  children(pool: string, filter?: ChildFilter): Promise<PoolChildList>;
  /** Where to ask for a child: its own member, or the gateway. */
  childUrl(id: string): Promise<string>;
  /** Lets the one member that is asked drain. */
  drain(): Promise<Count>;
  close(): void;
}

/** The member's name in a child id. */
export function ownerOf(id: string): string {
  const member = memberOfChild(id);
  if (member === "") throw PoolError.of("invalid_request", `expected a child id, MEMBER.HEX; got ${JSON.stringify(id)}`);
  return member;
}

/** Every request goes to one member, which forwards it. */
export class GatewayAccess implements Access {
  readonly asksOwners = false;
  readonly #client: Client;
  readonly #url: string;

  constructor(client: Client, url: string) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw PoolError.of("invalid_request", `expected the URL of a member, such as http://127.0.0.1:7400; got ${JSON.stringify(url)}`);
    }
    this.#client = client;
    this.#url = url.replace(/\/+$/, "");
  }

  call(pool: string, spec: ChildSpecInput, { signal, parts, accept = "text/event-stream" }: Placing = {}): Promise<Answer> {
    return this.#post(`${this.#of(pool)}/call`, spec, { accept, parts, signal, timeoutMs: 30_000 });
  }

  async placeChild(pool: string, spec: ChildSpecInput, { signal, parts }: Placing = {}): Promise<ChildInfo> {
    const answer = await this.#post(`${this.#of(pool)}/children`, spec, { parts, signal, timeoutMs: 30_000 + (spec.waitMs ?? 0) });
    return (await answer.body.json().catch((error: unknown) => Promise.reject(this.#lost(error)))) as ChildInfo;
  }

  pools(): Promise<PoolList> {
    return this.#ask(`${this.#url}/pools`);
  }

  pool(pool: string): Promise<PoolInfo> {
    return this.#ask(this.#of(pool));
  }

  children(pool: string, filter: ChildFilter = {}): Promise<PoolChildList> {
    return this.#ask(`${this.#of(pool)}/children${queryOf(filter)}`);
  }

  async childUrl(id: string): Promise<string> {
    ownerOf(id);
    return `${this.#url}/children/${encodeURIComponent(id)}`;
  }

  drain(): Promise<Count> {
    return this.#ask(`${this.#url}/drain`, { method: "POST" });
  }

  close(): void {}

  async #post(url: string, spec: ChildSpecInput, options: RequestOptions): Promise<Answer> {
    let answer: Answer | PoolError;
    try {
      answer = await postSpec(this.#client, url, spec, options);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw this.#unreachable(error) ?? this.#lost(error);
    }
    if (answer instanceof PoolError) throw answer;
    return answer;
  }

  async #ask<T>(url: string, options?: RequestOptions): Promise<T> {
    try {
      return await this.#client.json<T>(url, options);
    } catch (error) {
      throw this.#unreachable((error as Error).cause) ?? error;
    }
  }

  #lost(error: unknown): PoolError {
    return PoolError.of("member_lost", `no answer from ${this.#url}: ${messageOf(error)}`, { cause: error });
  }

  /** What to say when there was nobody to send to: nothing was run, so it may be tried again. */
  #unreachable(error: unknown): PoolError | undefined {
    if (!neverSent(error)) return undefined;
    return PoolError.of("no_members_available", `cannot reach a member at ${this.#url}: ${messageOf(error)}`, { cause: error });
  }

  #of(pool: string): string {
    return `${this.#url}/pools/${encodeURIComponent(pool)}`;
  }
}
