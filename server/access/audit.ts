/** Records the requests that act: who sent them, from where, for what, and with which answer. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { ERRORS, type Problem } from "../../openapi/errors.ts";
import { CHILD_HEADER } from "../../openapi/names.ts";
import { lateFactsOf } from "../http/response.ts";
import type { CallerVariables } from "./permissions.ts";

/** One request that acts. It has no token, no argument, no input and no query. */
export interface AuditRecord {
  /** The member that was asked. */
  readonly member: string;
  /** The name of the caller; null for one that has not shown who it is. */
  readonly caller: string | null;
  /** The address of the other side of the connection, which may be a proxy or a gateway. */
  readonly address: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** The code of the problem; null without one. */
  readonly code: string | null;
  /** The child that was started; null where none was. */
  readonly child: string | null;
  /** The signal that was sent to a child; null for other requests. */
  readonly signal: string | null;
  /** The member that a drain was passed on to; null for other requests. */
  readonly target: string | null;
}

export type Audit = (record: AuditRecord) => void;

export interface AuditVariables {
  /** The signal that the request sends. */
  readonly signal?: string | undefined;
  /** The member that the request is passed on to. */
  readonly target?: string | undefined;
}

/** The part of a handler's context that a record reads. */
interface Asked extends Pick<Context<{ Bindings: HttpBindings }>, "env" | "req" | "res"> {
  get<K extends keyof Recorded>(key: K): Recorded[K];
}
type Recorded = CallerVariables & AuditVariables;

const READS = new Set(["GET", "HEAD", "OPTIONS"]);
/** Requests for slots come in front of those that start children, which are recorded. */
const SLOTS = /^\/slots(\/|$)/;
/** A path is cut to 500 characters. */
const MAX_PATH = 500;

/**
 * Records a request, once for its answer. A refusal by rate is left out: nothing happened, and
 * there may be many.
 *
 * @param problem the answer's; undefined for a success.
 */
export function recordRequest(
  c: Asked,
  { name, audit }: { readonly name: string; readonly audit: Audit | undefined },
  problem?: Problem,
): void {
  const { method, path } = c.req;
  if (!audit || READS.has(method) || SLOTS.test(path)) return;
  if (problem?.status === ERRORS.too_many_requests.status) return;
  const { incoming, outgoing } = c.env;
  const isKnown = problem?.status !== ERRORS.unauthorized.status;
  // A stream has sent its head by itself.
  const status = problem?.status ?? (outgoing?.headersSent ? outgoing.statusCode : c.res.status);
  const placed = problem ? undefined : c.res.headers.get("location")?.split("/").at(-1);
  const late = outgoing ? lateFactsOf(outgoing) : {};
  const called = late.child ?? outgoing?.getHeader(CHILD_HEADER);
  audit({
    member: name,
    caller: isKnown ? (c.get("caller")?.name ?? null) : null,
    address: incoming?.socket.remoteAddress ?? "unknown",
    method,
    path: path.slice(0, MAX_PATH),
    status,
    code: problem?.code ?? late.code ?? null,
    child: placed ?? (called === undefined ? null : String(called)),
    signal: c.get("signal") ?? null,
    target: c.get("target") ?? null,
  });
}
