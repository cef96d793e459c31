/** Thins what a child says of its progress: the first at once, then now and then the latest, and the last one in any case. */
import type { Progress } from "../../../openapi/events.ts";

export interface ProgressThrottleOptions {
  /** Takes what is left. */
  readonly take: (progress: Progress) => void;
  /** Whether there is room for it; where there is none it is held, and what comes after takes its place. */
  readonly hasRoom: () => boolean;
}

/** Between two there is so much time at least, */
export const THROTTLE_MS = 200;
/** and this part of the time since the first: in a day they are some thousands, which the log holds beside the child's output. */
export const THROTTLE_SHARE = 1 / 1_000;

export class ProgressThrottle {
  readonly #options: ProgressThrottleOptions;
  #held: Progress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #since: number | undefined;
  #ended = false;

  constructor(options: ProgressThrottleOptions) {
    this.#options = options;
  }

  push(progress: Progress): void {
    if (this.#ended) return;
    this.#held = progress;
    if (this.#timer === undefined) this.#flush();
  }

  /** Hands on what is held; what comes later is dropped. */
  end(): void {
    clearTimeout(this.#timer);
    this.#ended = true;
    if (this.#held) this.#options.take(this.#held);
    this.#held = undefined;
  }

  #flush(): void {
    this.#timer = undefined;
    if (this.#held === undefined) return;
    if (this.#options.hasRoom()) {
      this.#options.take(this.#held);
      this.#held = undefined;
    }
    const now = performance.now();
    this.#since ??= now;
    this.#timer = setTimeout(
      () => this.#flush(),
      Math.max(THROTTLE_MS, (now - this.#since) * THROTTLE_SHARE),
    );
  }
}
