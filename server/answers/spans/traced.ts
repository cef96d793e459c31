/** The spans of a request: from its arrival to its child, and of the answer to its caller. */
import { PoolError } from "../../../openapi/errors.ts";
import { memberOfChild } from "../../../openapi/names.ts";
import type { ChildSpec } from "../../../openapi/schemas/spec.ts";
import type { PlaceOptions } from "../../../sdk/typescript/placement/access.ts";
import type { NodeContext } from "../../http/request.ts";
import { onOver } from "../../http/response.ts";
import { kindOf } from "../../supervisor/options.ts";
import type { Span } from "../../tracing/span.ts";
import type { Trace, Tracing } from "../../tracing/tracing.ts";

/** The work that a request asks for. */
interface Asked {
  readonly pool: string;
  readonly spec: ChildSpec;
  /** The path of the operation, with the names of its parameters. */
  readonly path: string;
}

/** Begins the span of a request: `place` of a gateway, `admit` of the member that is asked. */
export function traceOf(
  c: NodeContext,
  tracing: Tracing,
  { name, ...asked }: Asked & { readonly name: "place" | "admit" },
): Trace {
  return tracing.begin(
    name,
    (header) => c.req.header(header),
    () => ({
      "http.request.method": c.req.method,
      "http.route": asked.path,
      "pool.name": asked.pool,
      "pool.child.kind": kindOf(asked.spec),
    }),
  );
}

/**
 * Ends a span with the work. A failure gives its code to the span.
 *
 * @param idOf the id of the child in the result of the work.
 */
export function spanOf<T>(
  span: Span | undefined,
  work: Promise<T>,
  idOf?: (result: T) => string | undefined,
): Promise<T> {
  return span ? ending(span, work, idOf) : work;
}

async function ending<T>(
  span: Span,
  work: Promise<T>,
  idOf: (result: T) => string | undefined = () => undefined,
): Promise<T> {
  try {
    const result = await work;
    const id = idOf(result);
    if (id !== undefined) span.set({ "pool.member": memberOfChild(id), "pool.child.id": id });
    return result;
  } catch (error) {
    span.fail(failureOf(error));
    throw error;
  } finally {
    span.end();
  }
}

const failureOf = (error: unknown) =>
  error instanceof PoolError ? error.code : error instanceof Error ? error.name : "_OTHER";

/** The part of a placement that concerns its trace. */
export function placingOf({ context, span }: Trace): Pick<PlaceOptions, "trace" | "onRefused"> {
  if (!span) return { trace: context };
  return {
    trace: span.headers,
    onRefused: (member, refusal) =>
      span.event("refused", {
        "pool.member": member,
        "error.type": refusal === undefined ? "at_capacity" : failureOf(refusal),
      }),
  };
}

/** Records the span `deliver`, from now until the answer is over. */
export function traceDelivery({ env: { outgoing } }: NodeContext, span: Span | undefined): void {
  if (!span) return;
  const deliver = span.child("deliver");
  onOver(outgoing, (sent) => {
    if (!sent) deliver.fail("caller_left");
    deliver.end();
  });
}
