/** A child that could not be started, and what its caller is told. */
import { errorFor, type Problem } from "../../openapi/errors.ts";
import type { TerminalEvent } from "../../openapi/events.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import type { EventLog } from "./output/event-log.ts";

/** 1 second for a program to begin. A slower start is answered like one that begins. */
const BEGIN_TIMEOUT_MS = 1_000;

/**
 * Waits until a child begins, for a second at most. Its output waits meanwhile, so that the
 * caller's own reader misses nothing.
 *
 * @throws {PoolError} the problem of a child that could not be started.
 */
export async function untilBegun({
  log,
  begun,
}: {
  readonly log: EventLog;
  readonly begun: Promise<Problem | undefined>;
}): Promise<void> {
  const reader = log.read({ lossless: true });
  const problem = await within(BEGIN_TIMEOUT_MS, begun);
  // The caller's reader comes within this turn of the event loop.
  setImmediate(() => reader.close());
  if (problem) throw errorFor(problem);
}

/**
 * The problem of a child whose program certainly never ran because it could not be started;
 * undefined for every other ending.
 */
export function startFailureIn(terminal: TerminalEvent): Problem | undefined {
  if (terminal.type !== "failed") return undefined;
  const { problem } = terminal;
  return problem.code === "sandbox_unavailable" && problem.admitted === false ? problem : undefined;
}
