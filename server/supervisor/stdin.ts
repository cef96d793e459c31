/**
 * A child's standard input: the spec's own data, an uploaded part, or, while it is open, bodies
 * that callers send. Bodies are written one after the other, no faster than the child reads.
 */
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PoolError } from "../../openapi/errors.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import { bytesOf } from "../workspace/pack.ts";
import type { ChildRequest } from "./check-spec.ts";

/** 16 bodies may wait for their turn at a time. */
const MAX_WAITING = 16;
/** 60 s: the longest wait of a body for its turn. */
const TURN_TIMEOUT_MS = 60_000;
/** 10 s: the only body of an input has to begin in this time. Its sender may be gone. */
const BEGIN_TIMEOUT_MS = 10_000;

/** Where the input comes from: an uploaded part, or else the spec's own data or its `open`. */
type StdinSource = Pick<ChildRequest, "uploads"> & {
  readonly spec: Pick<ChildSpec, "stdin">;
};

export class ChildStdin {
  readonly #pipe = Promise.withResolvers<Writable | undefined>();
  /** Set for an input that takes one body, whose end is the end of the input. */
  readonly #onBroken: ((why: string) => void) | undefined;
  #open: boolean;
  /** Runs until the only body of an input has begun. */
  #beginTimer: NodeJS.Timeout | undefined;
  #stream: Writable | undefined;
  /** The body that is being written. */
  #body: Readable | undefined;
  #lastTurn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /**
   * @param onBroken is called with the reason when the only body of an input will never be whole:
   *   the child must not take a part of it for the whole.
   */
  constructor({ spec: { stdin }, uploads }: StdinSource, onBroken: (why: string) => void) {
    this.#open = isOpen(stdin) && !uploads?.stdin;
    if (!this.#open || !hasOpen(stdin) || !stdin.once) return;
    this.#onBroken = onBroken;
    this.#beginTimer = setTimeout(
      () => onBroken(`nobody began to send the child's input in ${BEGIN_TIMEOUT_MS} ms`),
      BEGIN_TIMEOUT_MS,
    );
  }

  /** Connects the child's pipe. Resolves when the child has the uploaded part, if there is one. */
  async attach(pipe: Writable, { spec: { stdin }, uploads }: StdinSource): Promise<void> {
    if (uploads?.stdin) return pipeline(uploads.stdin.read(), pipe);
    if (!isOpen(stdin))
      return void pipe.end(stdin === undefined || hasOpen(stdin) ? undefined : bytesOf(stdin));
    this.#stream = pipe;
    this.#pipe.resolve(pipe);
  }

  /** Takes no more bodies, because the child has ended. The write of a body under way fails. */
  close(): void {
    this.#open = false;
    clearTimeout(this.#beginTimer);
    this.#pipe.resolve(undefined);
    this.#stream?.destroy();
    this.#body?.destroy();
  }

  /**
   * Writes a body, after those that came before it. A body that breaks off leaves the input open,
   * with the bytes that came written, unless the input takes one body only.
   *
   * @param end whether the input ends after the body. An input of one body always does.
   * @returns how many bytes the child's pipe has taken.
   * @throws {PoolError} `stdin_closed`, also when the child stops reading midway;
   *   `too_many_requests` when 16 bodies wait; `request_timeout` after a wait of 60 s; the error of
   *   the body's own stream.
   */
  async write(body: Readable, end: boolean): Promise<number> {
    if (!this.#open || (this.#onBroken && !this.#beginTimer)) throw closed(0);
    if (this.#onBroken) return this.#writeOnly(body, this.#onBroken);
    if (this.#waiting >= MAX_WAITING)
      throw PoolError.of(
        "too_many_requests",
        `expected at most ${MAX_WAITING} bodies to wait for the child's input`,
      );
    const before = this.#lastTurn;
    const turn = Promise.withResolvers<void>();
    this.#lastTurn = before.then(() => turn.promise);
    this.#waiting += 1;
    try {
      const isOver = await within(
        TURN_TIMEOUT_MS,
        before.then(() => true),
      );
      this.#waiting -= 1;
      if (!isOver)
        throw PoolError.of(
          "request_timeout",
          `another body is still being written after ${TURN_TIMEOUT_MS} ms`,
        );
      return await this.#put(body, end);
    } finally {
      turn.resolve();
    }
  }

  /** Writes the only body. */
  #writeOnly(body: Readable, onBroken: (why: string) => void): Promise<number> {
    clearTimeout(this.#beginTimer);
    this.#beginTimer = undefined;
    const broken = () => onBroken("the sender of the child's input went away before its end");
    // The body is watched before it is read: the child may not have started, or may not read.
    if (body.errored) broken();
    else body.once("error", broken);
    return this.#put(body, true);
  }

  async #put(body: Readable, end: boolean): Promise<number> {
    let bytes = 0;
    const stream = await this.#pipe.promise;
    // The body before this one may have ended the input.
    if (!stream || !this.#open) throw closed(bytes);
    this.#body = body;
    try {
      // Destroying the body here would look as if its sender had broken it off.
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
      // A broken pipe stays broken. An error without one may mean that the sandbox holds a pipe
      // that the program has closed.
      if (stream.destroyed) this.#open = false;
      if (!this.#open) throw closed(bytes);
      throw error;
    } finally {
      this.#body = undefined;
    }
  }
}

/** Whether the input takes bodies while the child runs. */
type OpenStdin = Extract<ChildSpec["stdin"], { open: boolean }>;

function hasOpen(stdin: ChildSpec["stdin"]): stdin is OpenStdin {
  return typeof stdin === "object" && "open" in stdin;
}

function isOpen(stdin: ChildSpec["stdin"]): boolean {
  return hasOpen(stdin) && stdin.open;
}

function closed(bytes: number): PoolError {
  return PoolError.of(
    "stdin_closed",
    bytes > 0
      ? `the child took ${bytes} bytes of this body and no more`
      : "the child's input was never open, or has ended",
  );
}
