/** The other members, as the caller of one request reaches them through this one. */
import type { Client, Lines } from "../../../sdk/typescript/http/client.ts";
import type { DirectAccess } from "../../../sdk/typescript/placement/direct-access.ts";
import type { InFlight } from "../../http/in-flight.ts";
import { type NodeContext, onClientGone } from "../../http/request.ts";
import { linesOf } from "../lines.ts";
import type { Held } from "./handover.ts";

export interface OtherMembers {
  readonly client: Client;
  readonly access: DirectAccess;
  readonly inFlight: InFlight;
}

/** The other members, as one caller reaches them. */
export interface Through extends OtherMembers, Held {
  /** The lines of events that pass on as they are. */
  readonly lines: Lines;
  /** Aborts when the caller goes before its answer has been sent, and when `abort` is called. */
  readonly signal: AbortSignal;
  /** Ends the requests to other members, whose answers then fail for this reason. */
  abort(reason: unknown): void;
}

/** Other members get the token that the caller sent: this member has none of its own. */
export function through(c: NodeContext, { client, access, inFlight }: OtherMembers): Through {
  const authorization = c.req.header("authorization");
  const controller = new AbortController();
  const abort = (reason?: unknown) => controller.abort(reason);
  onClientGone(c, abort);
  return {
    client: client.as(authorization),
    access: access.as(authorization),
    inFlight,
    lines: linesOf(c),
    signal: controller.signal,
    abort,
  };
}
