/** Calls with a key: a repeated one is answered with the child that the first one started. */
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { memberOfChild } from "../../openapi/names.ts";
import { AlreadyStarted, KeyedStart } from "../supervisor/once/keyed-starts.ts";
import { nothingToContinue } from "./continued.ts";

/** An entry may come, or turn out to be of a child that never ran, while a call is placed. */
const ROUNDS = 4;

interface Answering<T> {
  /** Places a child, and answers with it. */
  place(): Promise<T>;
  /** Answers with the child of this id, which the key has started before. */
  attach(child: string): Promise<T>;
  /** Whether the call continues a stream, and starts nothing. Default false. */
  readonly isContinued?: boolean;
}

/**
 * Answers a call, with the child that its key has started if there is one.
 *
 * @param keyed the start that the key allows; undefined for a call without a key.
 * @throws {PoolError} as `place` and {@link KeyedStart.child}; `child_forgotten`; `member_lost`
 *   when the child's member is away, or has restarted; `child_not_found` for a call that continues
 *   and whose key has started nothing.
 */
export async function oncePerKey<T>(
  keyed: KeyedStart | undefined,
  { place, attach, isContinued = false }: Answering<T>,
): Promise<T> {
  if (!keyed) return place();
  for (let round = 0; round < ROUNDS; round++) {
    const child = await keyed.child();
    if (child === undefined && isContinued) throw nothingToContinue();
    try {
      return await (child === undefined ? place() : attach(child));
    } catch (error) {
      if (child === undefined) {
        if (!(error instanceof AlreadyStarted)) throw error;
      } else if (isUnknown(error) && error.admitted === false) await keyed.forget(child);
      else throw goneOf(child, error);
    }
  }
  throw KeyedStart.unsettled();
}

/**
 * The spec of a request, with the key that its header gives.
 *
 * @throws {PoolError} `invalid_request` where the spec has another key.
 */
export function keyedBy<S extends { readonly idempotencyKey?: string | undefined }>(
  header: string | undefined,
  spec: S,
): S {
  if (header === undefined) return spec;
  const { idempotencyKey = header } = spec;
  if (idempotencyKey === header) return { ...spec, idempotencyKey };
  const message = "expected the key of the header Idempotency-Key; got another one";
  throw PoolError.of("invalid_request", `/idempotencyKey: ${message}`, {
    fields: [{ path: "/idempotencyKey", message }],
  });
}

const isUnknown = (error: unknown): error is PoolError =>
  error instanceof PoolError && error.code === "child_not_found";

/** The error for a child that a key names, and that no member shows. */
function goneOf(child: string, error: unknown): unknown {
  const isLost = !(error instanceof PoolError) || error.code === "member_lost";
  if (!isLost && !isUnknown(error)) return error;
  const detail = `the key names child ${child} of member ${memberOfChild(child)}`;
  return PoolError.of("member_lost", `${detail}: ${messageOf(error)}`, {
    admitted: "unknown",
    cause: error,
  });
}
