/** A child's standard input while it is open: bodies are written one after the other, each no faster than the child reads it. */
import type { Readable, Writable } from "node:stream";
import { PoolError } from "../../openapi/errors.ts";

/** So many bodies wait for their turn at a time, and each so long. */
const MAX_WAITING = 16;
const TURN_TIMEOUT_MS = 60_000;
/** The one body of an input that takes one has to begin in this time: its sender may be gone. */
const BEGIN_TIMEOUT_MS = 10_000;

export interface ChildStdinOptions {
  /** Whether it takes bodies at all. */
  readonly open: boolean;
  /** Whether it takes one, whose end is its own: without that the child cannot go on rightly. Is told why the body will never be whole. */
  readonly once?: ((why: string) => void) | undefined;
}

export class ChildStdin {
  readonly #pipe = Promise.withResolvers<Writable | undefined>();
  readonly #once: ChildStdinOptions["once"];
  #open: boolean;
  /** Runs until the one body of an input that takes one has come. */
  #awaiting: NodeJS.Timeout | undefined;
  #stream: Writable | undefined;
  /** The body that is being written. */
  #body: Readable | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor({ open, once }: ChildStdinOptions) {
    this.#open = open;
    this.#once = once;
    if (once)
      this.#awaiting = setTimeout(
        () => once(`nobody began to send the child's input in ${BEGIN_TIMEOUT_MS} ms`),
        BEGIN_TIMEOUT_MS,
      );
  }

  /** Tells it the child's pipe, once there is one. */
  attach(stream: Writable): void {
    this.#stream = stream;
    this.#pipe.resolve(stream);
  }

  /** Takes nothing more: the child has ended, or reads no more. Whoever writes hears of it. */
  close(): void {
    this.#open = false;
    clearTimeout(this.#awaiting);
    this.#pipe.resolve(undefined);
    this.#stream?.destroy();
    this.#body?.destroy();
  }

  /**
   * Writes a body, after those that came before it. A body that breaks off leaves the input open, with what came of it written, unless the
   * input takes one body only.
   *
   * @param end whether the child reads the end of its input after the body; where it takes one body, it does.
   * @returns how many bytes the child's pipe has taken.
   * @throws {PoolError} `stdin_closed`, also when the child stops reading midway; `too_many_requests` and `request_timeout` when too many
   *   bodies wait, or one for too long; what the body's stream throws.
   */
  async write(body: Readable, end: boolean): Promise<number> {
    if (!this.#open || (this.#once && !this.#awaiting)) throw closed(0);
    if (this.#once) return this.#writeOnly(body, this.#once);
    if (this.#waiting >= MAX_WAITING)
      throw PoolError.of(
        "too_many_requests",
        `expected at most ${MAX_WAITING} bodies to wait for the child's input`,
      );
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = before.then(() => turn.promise);
    this.#waiting += 1;
    try {
      await inTime(before).finally(() => {
        this.#waiting -= 1;
      });
      return await this.#put(body, end);
    } finally {
      turn.resolve();
    }
  }

  /** Writes the one body. */
  #writeOnly(body: Readable, once: (why: string) => void): Promise<number> {
    clearTimeout(this.#awaiting);
    this.#awaiting = undefined;
    const broken = () => once("the sender of the child's input went away before its end");
    // Not first when it is read: the child may not have started, or does not read.
    if (body.errored) broken();
    else body.once("error", broken);
    return this.#put(body, true);
  }

  async #put(body: Readable, end: boolean): Promise<number> {
    let bytes = 0;
    const stream = await this.#pipe.promise;
    // The one before may have ended it.
    if (!stream || !this.#open) throw closed(bytes);
    this.#body = body;
    try {
      // To destroy it here would look as if its sender had broken it off.
      for await (const chunk of body.iterator({
        destroyOnReturn: false,
      }) as AsyncIterable<Buffer>) {
        await new Promise<void>((resolve, reject) =>
          stream.write(chunk, (error) => (error ? reject(error) : resolve())),
        );
        bytes += chunk.length;
      }
      if (end) {
        this.#open = false;
        await new Promise<void>((resolve) => stream.end(resolve));
      }
      return bytes;
    } catch (error) {
      // A pipe that broke stays so. What contains the program may hold the pipe for as long as it lives, whatever the program closes.
      if (stream.destroyed) this.#open = false;
      if (!this.#open) throw closed(bytes);
      throw error;
    } finally {
      this.#body = undefined;
    }
  }
}

function closed(bytes: number): PoolError {
  return PoolError.of(
    "stdin_closed",
    bytes > 0
      ? `the child took ${bytes} bytes of this body and no more`
      : "the child's input was never open, or has ended",
  );
}

async function inTime(before: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(
    () =>
      late.reject(
        PoolError.of(
          "request_timeout",
          `another body is still being written after ${TURN_TIMEOUT_MS} ms`,
        ),
      ),
    TURN_TIMEOUT_MS,
  );
  await Promise.race([before, late.promise]).finally(() => clearTimeout(timer));
}
