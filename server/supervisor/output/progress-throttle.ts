/** Throttles a child's progress: reports the first, then the latest now and then, and the last. */
import type { Progress } from "../../../openapi/events.ts";

export interface ProgressThrottleOptions {
  /** Takes a report. */
  readonly take: (progress: Progress) => void;
  /** Whether there is room for a report. Without room, the latest report waits. */
  readonly hasRoom: () => boolean;
}

/** 200 ms: the shortest time between two reports. */
export const THROTTLE_MS = 200;
/**
 * The shortest time between two reports as a part of the time since the first: a day brings some
 * thousands of them, which the log holds beside the child's output.
 */
export const THROTTLE_SHARE = 1 / 1_000;

export class ProgressThrottle {
  readonly #options: ProgressThrottleOptions;
  #latest: Progress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #firstMs: number | undefined;
  #ended = false;

  constructor(options: ProgressThrottleOptions) {
    this.#options = options;
  }

  push(progress: Progress): void {
    if (this.#ended) return;
    this.#latest = progress;
    if (this.#timer === undefined) this.#flush();
  }

  /** Hands on the latest report, room or not, and ignores later ones. */
  end(): void {
    clearTimeout(this.#timer);
    this.#ended = true;
    if (this.#latest) this.#options.take(this.#latest);
    this.#latest = undefined;
  }

  #flush(): void {
    this.#timer = undefined;
    if (this.#latest === undefined) return;
    if (this.#options.hasRoom()) {
      this.#options.take(this.#latest);
      this.#latest = undefined;
    }
    const now = performance.now();
    this.#firstMs ??= now;
    this.#timer = setTimeout(
      () => this.#flush(),
      Math.max(THROTTLE_MS, (now - this.#firstMs) * THROTTLE_SHARE),
    );
  }
}
