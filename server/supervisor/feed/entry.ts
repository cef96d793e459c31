/** An event of the feed, written once for all of its readers. */
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";
import type { FeedEvent } from "../../../openapi/schemas/state/feed.ts";
import { portableText } from "../../http/event-frame.ts";

type Of<T extends FeedEvent["type"]> = Extract<FeedEvent, { readonly type: T }>;
export type ChildEvent = Of<"child">;
export type MemberEvent = Of<"member">;
export type LoadEvent = Of<"load">;
export type QueueEvent = Of<"queue">;

/** The facts by which readers choose, and the text that they share. */
export interface FeedEntry {
  readonly type: FeedEvent["type"];
  readonly member: string;
  /** The pool of a load, a queue or a child. */
  readonly pool?: string;
  /** The child's id and owner. */
  readonly child?: Pick<ChildInfo, "id" | "owner" | "status">;
  /** The event of a member. A reader of some pools gets a text of its own. */
  readonly event?: MemberEvent;
  /** With a `reset` or a `synced` of one member: its pools. */
  readonly pools?: readonly string[];
  /** The JSON of the event, without the command of a child. */
  readonly json: string;
  /** The JSON with the command. Default: the same. */
  readonly whole?: string;
}

const jsonOf = (event: object) => portableText(JSON.stringify(event));

/** A child's event. The text with the command is made of the other one. */
export function childEntry(event: Omit<ChildEvent, "type">): FeedEntry {
  const { command, ...child } = event.child;
  const { id, owner, status, pool, member } = child;
  const json = jsonOf({ type: "child", ...event, child });
  const entry = { type: "child" as const, member, pool, child: { id, owner, status }, json };
  if (!command) return entry;
  const head = '"child":{';
  const at = json.indexOf(head) + head.length;
  return { ...entry, whole: `${json.slice(0, at)}"command":${jsonOf(command)},${json.slice(at)}` };
}

export function memberEntry(event: MemberEvent): FeedEntry {
  return { type: "member", member: event.member, event, json: jsonOf(event) };
}

/** A member's event as a reader of these pools gets it. */
export function memberJson(event: MemberEvent, sees: (pool: string) => boolean): string {
  const pools = Object.fromEntries(Object.entries(event.pools).filter(([pool]) => sees(pool)));
  return jsonOf({ ...event, pools });
}

export function poolEntry(event: LoadEvent | QueueEvent): FeedEntry {
  const { type, member, pool } = event;
  return { type, member, pool, json: jsonOf(event) };
}

type Mark = "reset" | "synced";

/** A `reset` or a `synced`, of all members, or of one that has these pools. */
export function markEntry(type: Mark, member?: string, pools?: readonly string[]): FeedEntry {
  return { type, member: member ?? "", json: jsonOf({ type, member }), ...(pools && { pools }) };
}
