/** Access to pools through one member, the gateway, which places and forwards. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { MAX_WAIT_MS } from "../../../openapi/limits.ts";
import { NAME, NAME_RULE } from "../../../openapi/names.ts";
import type { Child as ChildInfo, ChildReference, Count } from "../../../openapi/types.gen.ts";
import { type Answer, type Client, jsonOf, noAnswer, type RequestOptions } from "../http/client.ts";
import { neverSent } from "../http/faults.ts";
import { type ChildSpecInput, postSpec, type SpecRequest } from "../http/send-spec.ts";
import { traceHeaders } from "../trace/trace-context.ts";
import {
  type Access,
  allChildren,
  type ChildFilter,
  ownerOf,
  type PlaceOptions,
  type PoolChildList,
  type PoolInfo,
  type PoolList,
  queryOf,
} from "./access.ts";
import { allPages } from "./pages.ts";

/** 30 seconds for the gateway, which may have to try many members, to answer a placement. */
const PLACE_TIMEOUT_MS = 30_000;

export class GatewayAccess implements Access {
  readonly asksOwners = false;
  readonly #client: Client;
  readonly #url: string;

  constructor(client: Client, url: string) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw PoolError.of(
        "invalid_request",
        `expected the URL of a member, such as http://127.0.0.1:7400; got ${JSON.stringify(url)}`,
      );
    }
    this.#client = client;
    this.#url = url.replace(/\/+$/, "");
  }

  async call(
    pool: string,
    spec: ChildSpecInput,
    { accept = "text/event-stream", trace, ...options }: PlaceOptions = {},
  ): Promise<Answer> {
    const headers = traceHeaders(trace);
    const request = { ...options, headers, spec, accept, timeoutMs: PLACE_TIMEOUT_MS };
    return this.#post(`${this.#of(pool)}/call`, request);
  }

  async placeChild(
    pool: string,
    spec: ChildSpecInput,
    { trace, ...options }: PlaceOptions = {},
  ): Promise<ChildInfo> {
    const headers = traceHeaders(trace);
    const { waitMs = 0 } = spec;
    // The member refuses a wait that no timer can hold.
    const timeoutMs = PLACE_TIMEOUT_MS + Math.min(waitMs || 0, MAX_WAIT_MS);
    const request = { ...options, headers, spec, timeoutMs };
    const answer = await this.#post(`${this.#of(pool)}/children`, request);
    return jsonOf<ChildInfo>(answer, "id").catch((error: unknown) => {
      throw options.signal?.aborted ? error : noAnswer(this.#url, error);
    });
  }

  async pools(): Promise<PoolList> {
    const pools: PoolList["pools"] = [];
    for await (const page of allPages((at) =>
      this.#ask<PoolList>(`${this.#url}/pools${queryOf(at)}`, { key: "pools" }),
    ))
      pools.push(...page.pools);
    return { pools };
  }

  async pool(pool: string): Promise<PoolInfo> {
    return this.#ask(this.#of(pool), { key: "members" });
  }

  async children(pool: string, filter: ChildFilter = {}): Promise<PoolChildList> {
    const url = `${this.#of(pool)}/children`;
    const key = "children";
    return allChildren((at) => this.#ask(`${url}${queryOf({ ...filter, ...at })}`, { key }));
  }

  async childUrl(id: string) {
    ownerOf(id);
    return `${this.#url}/children/${id}`;
  }

  directUrl({ url }: ChildReference): string | undefined {
    return mayFollow(this.#url, url, this.#client.hasToken) ? url : undefined;
  }

  drain(): Promise<Count> {
    return this.#ask(`${this.#url}/drain`, { method: "POST" });
  }

  close(): void {}

  async #post(url: string, request: SpecRequest) {
    const answer = await postSpec(this.#client, url, request).catch((error: unknown) => {
      if (error instanceof PoolError || request.signal?.aborted) throw error;
      throw this.#unreachable(error) ?? noAnswer(this.#url, error);
    });
    if (answer instanceof PoolError) throw answer;
    return answer;
  }

  async #ask<T>(url: string, options?: RequestOptions): Promise<T> {
    try {
      return await this.#client.json<T>(url, options);
    } catch (error) {
      throw this.#unreachable((error as Error | undefined)?.cause) ?? error;
    }
  }

  /** The error of a request that no member received; the caller may try again. */
  #unreachable(error: unknown) {
    if (!neverSent(error)) return undefined;
    return PoolError.of(
      "no_members_available",
      `cannot reach a member at ${this.#url}: ${messageOf(error)}`,
      { cause: error },
    );
  }

  /** @throws {PoolError} `invalid_request` for another string: `..` would change the path. */
  #of(pool: string) {
    if (!NAME.test(pool))
      throw PoolError.of(
        "invalid_request",
        `expected a pool name: ${NAME_RULE}; got ${JSON.stringify(pool)}`,
      );
    return `${this.#url}/pools/${pool}`;
  }
}

const isLoopback = (url: URL) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);

/**
 * Whether a client of `from` may send its requests to `to`: never from https to http, and no token
 * in clear beyond the machine.
 */
export function mayFollow(from: string, to: string, hasToken: boolean): boolean {
  if (!URL.canParse(to)) return false;
  const [source, target] = [new URL(from), new URL(to)];
  if (target.protocol === "https:") return true;
  if (target.protocol !== "http:" || source.protocol === "https:") return false;
  return !hasToken || source.origin === target.origin || [source, target].every(isLoopback);
}
