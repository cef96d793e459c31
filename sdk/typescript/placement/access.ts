/** The two ways to a pool: through a member that acts as the gateway, or by placing directly ({@link DirectAccess} in `direct.ts`). */
import type { z } from "@hono/zod-openapi";
import { PoolError } from "../../../openapi/errors.ts";
import { memberOfChild } from "../../../openapi/names.ts";
import type {
  ChildInfo,
  ChildStatus,
  Count,
  PoolChildListSchema,
  PoolListSchema,
  PoolSchema,
} from "../../../openapi/resources.ts";
import type { ChildSpecInput } from "../../../openapi/spec.ts";
import type { Answer } from "../http/client.ts";
import type { Part } from "../http/multipart.ts";

export type PoolInfo = z.infer<typeof PoolSchema>;
export type PoolList = z.infer<typeof PoolListSchema>;
export type PoolChildList = z.infer<typeof PoolChildListSchema>;

/** Which children are listed: those that carry all of the labels, each `NAME=VALUE` or a `NAME`. */
export interface ChildFilter {
  readonly labels?: readonly string[] | undefined;
  readonly status?: ChildStatus | undefined;
}

/** A filter as the query of a listing. */
export function queryOf(
  { labels = [], status }: ChildFilter,
  more: readonly (readonly [string, string])[] = [],
): string {
  const query = new URLSearchParams(
    [
      ...more,
      ...labels.map((label) => ["label", label] as const),
      ...(status ? [["status", status] as const] : []),
    ].map((pair) => [...pair]),
  );
  return query.size > 0 ? `?${query}` : "";
}

/** What a caller says and hears while it is being placed. */
export interface PlaceOptions {
  /** Ends the waiting, and closes the connection. */
  readonly signal?: AbortSignal | undefined;
  /** Is told the position in the queue of a full pool, at first and when it changes, unless the stream itself tells it. */
  readonly onPosition?: ((position: number) => void) | undefined;
  /** The form of the answer to a call. Default `text/event-stream`. */
  readonly accept?: "text/event-stream" | "application/octet-stream" | undefined;
  /** Files, and input, that travel beside the spec as they are. */
  readonly parts?: readonly Part[] | undefined;
}

/** `Own` is a child that runs in this process, where a member of this process may admit. */
export interface Access<Own = never> {
  /** Places a call; answers with its open event stream. The call is never sent twice once it may have been admitted. */
  call(pool: string, spec: ChildSpecInput, placing?: PlaceOptions): Promise<Answer | Own>;
  placeChild(pool: string, spec: ChildSpecInput, placing?: PlaceOptions): Promise<ChildInfo>;
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
  if (member === "")
    throw PoolError.of(
      "invalid_request",
      `expected a child id, MEMBER.HEX; got ${JSON.stringify(id)}`,
    );
  return member;
}
