/** Learns what happens to the children of a member: metrics, logs, traces and the feed do. */
import type { Problem } from "../../../openapi/errors.ts";
import type { ChildReference } from "../../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";

/** The part of a child that its observers see. */
export interface ObservedChild {
  readonly id: string;
  readonly reference: ChildReference;
  /** Takes a few microseconds to make; {@link reference} takes none. */
  readonly info: ChildInfo;
  readonly begun: Promise<Problem | undefined>;
  readonly finished: Promise<void>;
}

/**
 * Each method is called in the middle of the work, so it returns at once, and never throws. `info`
 * of the child tells its state.
 */
export interface ChildObserver {
  /**
   * The child has a slot.
   *
   * @param waitedMs milliseconds from the caller's request for the slot to the slot.
   */
  placed?(child: ObservedChild, waitedMs: number): void;
  /**
   * The child's program begins. It is not called for a child that ends before.
   *
   * @param startMs milliseconds from the slot to the program.
   */
  began?(child: ObservedChild, startMs: number): void;
  /** The child has written output, which its log may not have yet. */
  wrote?(child: ObservedChild, bytes: number): void;
  /** The child has reported progress. */
  progressed?(child: ObservedChild): void;
  /** The server begins to stop the child. */
  stopping?(child: ObservedChild): void;
  /** The child's process is gone, and its ending is known. */
  ended?(child: ObservedChild): void;
  /** A request started no child here: it got no slot, or its child could not be started. */
  refused?(pool: string, error: unknown): void;
}

/**
 * One observer that tells all of these. A fault of one of them reaches neither the others nor the
 * work.
 */
export function observers(
  all: readonly ChildObserver[],
  onFault: (error: unknown) => void,
): Required<ChildObserver> {
  const tell = (telling: (one: ChildObserver) => void) => {
    for (const one of all)
      try {
        telling(one);
      } catch (error) {
        onFault(error);
      }
  };
  return {
    placed: (child, waitedMs) => tell((one) => one.placed?.(child, waitedMs)),
    began: (child, startMs) => tell((one) => one.began?.(child, startMs)),
    wrote: (child, bytes) => tell((one) => one.wrote?.(child, bytes)),
    progressed: (child) => tell((one) => one.progressed?.(child)),
    stopping: (child) => tell((one) => one.stopping?.(child)),
    ended: (child) => tell((one) => one.ended?.(child)),
    refused: (pool, error) => tell((one) => one.refused?.(pool, error)),
  };
}

/**
 * Tells an observer of a child's life.
 *
 * @param waitedMs milliseconds from the caller's request for the slot to the slot.
 */
export function observe(child: ObservedChild, waitedMs: number, observer: ChildObserver): void {
  const placedAt = performance.now();
  observer.placed?.(child, waitedMs);
  void child.begun.then((failure) => {
    const hasBegun = failure === undefined && child.info.status !== "ended";
    if (hasBegun) observer.began?.(child, performance.now() - placedAt);
  });
  void child.finished.then(() => observer.ended?.(child));
}
