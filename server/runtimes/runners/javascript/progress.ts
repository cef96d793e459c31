/** What a function says of its progress: written at once, or a moment later where it comes faster than that. */
import type { ProgressMessage } from "../../functions/messages.ts";
import { tell } from "./channel.ts";

/** Between two messages, so that a tight loop is not slowed down by what it says of itself. */
const PAUSE_MS = 50;
/** The server shows no more of a message. */
const MAX_MESSAGE = 200;

// A function may put others in their place.
const { setTimeout, clearTimeout, performance } = globalThis;
const now = performance.now.bind(performance);

export class ProgressReporter {
  #held: string | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** The context's method. A function that goes on after its end has nothing more to say. */
  readonly progress = (done: unknown, total?: unknown, message?: unknown): void => {
    if (this.#ended) return;
    const whole: ProgressMessage = {
      progress: {
        done: Number(done),
        ...(total === undefined || total === null ? {} : { total: Number(total) }),
        ...(message === undefined || message === null
          ? {}
          : { message: String(message).slice(0, MAX_MESSAGE) }),
      },
    };
    this.#held = JSON.stringify(whole);
    // A function that never waits gives timers no turn.
    if (now() - this.#toldAt >= PAUSE_MS) this.#tell();
    else this.#timer ??= setTimeout(() => this.#tell(), PAUSE_MS).unref();
  };

  /** Writes what is held. */
  end(): void {
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#held === undefined) return;
    tell(this.#held);
    this.#held = undefined;
    this.#toldAt = now();
  }
}
