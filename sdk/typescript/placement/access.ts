/** The way to a pool: by a member as the gateway, or by placing directly. */
import { PoolError } from "../../../openapi/errors.ts";
import { ID, memberOfChild } from "../../../openapi/names.ts";
import type {
  Child as ChildInfo,
  ChildStatus,
  Count,
  Pool,
  PoolChildList,
  PoolList,
} from "../../../openapi/types.gen.ts";
import type { Answer, RequestOptions } from "../http/client.ts";
import type { ChildLocator } from "../http/resume.ts";
import type { ChildSpecInput } from "../http/send-spec.ts";
import type { TraceContext } from "../trace/trace-context.ts";
import { allPages, type Page } from "./pages.ts";

/** A pool: its members with their load, and the tasks and runtimes of all members together. */
export type PoolInfo = Pool;
/** The pools; the children of a pool, and the names of the members that did not answer. */
export type { PoolChildList, PoolList } from "../../../openapi/types.gen.ts";

/** The children that a listing shows. Default: all of them. */
export interface ChildFilter {
  /** Labels that a child must all carry, each as `NAME=VALUE`, or `NAME` for any value. */
  readonly labels?: readonly string[] | undefined;
  readonly status?: ChildStatus | undefined;
}

/** A filter as the query of a listing, or of the part of it that concerns one pool. */
export function queryOf({
  labels = [],
  ...single
}: ChildFilter & Partial<Page> & { readonly pool?: string }): string {
  const query = new URLSearchParams(labels.map((label) => ["label", label]));
  for (const [name, value] of Object.entries(single))
    if (value !== undefined) query.append(name, String(value));
  return query.size > 0 ? `?${query}` : "";
}

/**
 * The caller's side of being placed. The signal ends the wait. The default `accept` of a call is
 * `text/event-stream`.
 */
export interface PlaceOptions
  extends Pick<RequestOptions, "accept" | "lines" | "parts" | "signal"> {
  /**
   * Called with the position in the queue of a full pool: first, and at each change. A gateway
   * sends positions as events of the stream instead.
   */
  readonly onPosition?: ((position: number) => void) | undefined;
  /** Ends a wait for a slot, but no admission under way. Its reason is a {@link PoolError}. */
  readonly leaving?: AbortSignal | undefined;
  /** The span to which the child belongs. Default: none. */
  readonly trace?: TraceContext | undefined;
  /** Called for each member that did not admit the child, with its refusal. */
  readonly onRefused?: ((member: string, refusal: unknown) => void) | undefined;
}

/** `Own` is a child that runs in this very process: only a member can place one there. */
export interface Access<Own = never> extends ChildLocator {
  /**
   * Places a call, and resolves to its open stream. A call that may have been admitted is never
   * sent again.
   */
  call(pool: string, spec: ChildSpecInput, options?: PlaceOptions): Promise<Answer | Own>;
  /** Places a child that lives on its own. */
  placeChild(pool: string, spec: ChildSpecInput, options?: PlaceOptions): Promise<ChildInfo>;
  pools(): Promise<PoolList>;
  pool(pool: string): Promise<PoolInfo>;
  children(pool: string, filter?: ChildFilter): Promise<PoolChildList>;
  /** Lets the gateway drain. */
  drain(): Promise<Count>;
  close(): void;
}

/** All children of a pool, page by page. @param read reads one page. */
export async function allChildren(
  read: (page: Page) => Promise<PoolChildList>,
): Promise<PoolChildList> {
  const children: PoolChildList["children"] = [];
  const unreachable = new Set<string>();
  const draining = new Map<string, NonNullable<PoolChildList["draining"]>[number]>();
  for await (const page of allPages(read)) {
    children.push(...page.children);
    for (const member of page.unreachable) unreachable.add(member);
    for (const each of page.draining ?? []) draining.set(each.member, each);
  }
  return { children, unreachable: [...unreachable], draining: [...draining.values()] };
}

/** The member's name in a child id. @throws {PoolError} `invalid_request` for another string. */
export function ownerOf(id: string): string {
  if (!ID.test(id))
    throw PoolError.of(
      "invalid_request",
      "expected a child id: a member name, a dot, 32 hexadecimal digits; " +
        `got ${JSON.stringify(id)}`,
    );
  return memberOfChild(id);
}
