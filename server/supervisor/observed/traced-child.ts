/** The spans of a child's life: `wait` for the slot, `start` to its program, `run` to its end. */
import type { TerminalEvent } from "../../../openapi/events.ts";
import type { ChildReference } from "../../../openapi/schemas/resources.ts";
import type { Span } from "../../tracing/span.ts";
import type { ObservedChild } from "./observer.ts";

/** The part of a child that its spans show. */
interface TracedChild extends Pick<ObservedChild, "begun" | "finished"> {
  readonly reference: ChildReference;
  readonly exited: Promise<void>;
  readonly log: { readonly terminal: TerminalEvent | undefined };
}

/** 1 millisecond: a shorter wait is the time of the placement itself, and gets no span. */
const MIN_WAIT_MS = 1;

/**
 * Records the spans of a child.
 *
 * @param run the span of its program, made when the child got its slot. Its parent is the span
 *   `admit`.
 * @param requestedAt when the caller asked for the slot, a time of `performance.now()`.
 */
export function traceChild(child: TracedChild, run: Span, requestedAt: number): void {
  const placedMs = run.startMs;
  if (placedMs - requestedAt >= MIN_WAIT_MS) run.sibling("wait", requestedAt).end(placedMs);
  const { id, pool, member } = child.reference;
  run.set({ "pool.name": pool, "pool.member": member, "pool.child.id": id });
  const start = run.sibling("start", placedMs);
  let endMs = placedMs;
  void child.begun.then((failure) => {
    run.startMs = performance.now();
    // A child that ends before its program begins has a terminal event here.
    const code = failure?.code ?? codeOf(child.log.terminal);
    if (code !== undefined) start.fail(code);
    start.end(run.startMs);
  });
  void child.exited.then(() => {
    endMs = performance.now();
  });
  void child.finished.then(() => {
    const { terminal } = child.log;
    const code = codeOf(terminal);
    if (code !== undefined) run.fail(code);
    if (terminal?.exitCode !== undefined) run.set({ "process.exit.code": terminal.exitCode });
    run.end(endMs);
  });
}

function codeOf(terminal: TerminalEvent | undefined): string | undefined {
  return terminal?.type === "failed" ? terminal.problem.code : undefined;
}
