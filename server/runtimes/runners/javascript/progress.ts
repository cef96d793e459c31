/** Reports a function's progress: at once, or 50 ms after the last report. */
import { lineOf } from "../../functions/messages.ts";
import { writeLine } from "./channel.ts";

/** The least time between two messages, so that they do not slow a tight loop down. */
const PAUSE_MS = 50;
/** 200 characters: the server shows no more of a message. */
const MAX_MESSAGE = 200;

// A function may replace the globals.
const { setTimeout, clearTimeout, performance } = globalThis;
const now = performance.now.bind(performance);

export class ProgressReporter {
  /** The latest progress, which is not written yet. */
  #pending: string | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** The context's method. Does nothing once the function's job has ended. */
  readonly progress = (done: unknown, total?: unknown, message?: unknown): void => {
    if (this.#ended) return;
    this.#pending = lineOf({
      kind: "progress",
      progress: {
        done: Number(done),
        ...(total === undefined || total === null ? {} : { total: Number(total) }),
        ...(message === undefined || message === null
          ? {}
          : { message: String(message).slice(0, MAX_MESSAGE) }),
      },
    });
    // Timers never run in a function that never waits.
    if (now() - this.#writtenAt >= PAUSE_MS) this.#write();
    else this.#timer ??= setTimeout(() => this.#write(), PAUSE_MS).unref();
  };

  /** Writes the pending progress, and no more after it. */
  end(): void {
    this.#ended = true;
    this.#write();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending === undefined) return;
    writeLine(this.#pending);
    this.#pending = undefined;
    this.#writtenAt = now();
  }
}
