/**
 * Real pipes for a child's standard streams. Node gives children Unix sockets, on which
 * `/dev/stdout`, `/dev/stderr` and `/dev/stdin` cannot be opened (ENXIO), as shells and ffmpeg do.
 * Node has no pipe(2), so they come from the spawner, or from `pipe-sources.ts`.
 */
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import type { MakePipes, PipeSource } from "./pipe-sources.ts";

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;
/** Fewer free pipes than this, enough for some ten children, are replenished in the background. */
const MIN_FREE = 24;

/** One pipe: the server's end as a stream, and the child's end, which the server closes later. */
export interface Pipe {
  readonly stream: Socket;
  readonly childFd: number;
}

/** Keeps pipes that were made beforehand. One for each sandbox. */
export class Pipes {
  readonly #free: PipeSource[] = [];
  readonly #make: MakePipes;
  #refilling: Promise<void> | undefined;

  constructor(make: MakePipes) {
    this.#make = make;
  }

  /** A pipe that the child writes and the server reads. */
  async output(): Promise<Pipe> {
    const { path, release } = await this.#take();
    try {
      // A reader that does not block makes the writer's open succeed at once.
      const reader = openSync(path, O_RDONLY | O_NONBLOCK);
      const stream = new Socket({ fd: reader, readable: true, writable: false });
      return { stream, childFd: openOrDestroy(path, O_WRONLY, stream) };
    } finally {
      release();
    }
  }

  /** A pipe that the server writes and the child reads. */
  async input(): Promise<Pipe> {
    const { path, release } = await this.#take();
    try {
      // Open for both, so that neither end's open waits for the other. The child's end blocks as
      // usual.
      const both = openSync(path, O_RDWR);
      try {
        const writer = openSync(path, O_WRONLY | O_NONBLOCK);
        const stream = new Socket({ fd: writer, readable: false, writable: true });
        return { stream, childFd: openOrDestroy(path, O_RDONLY, stream) };
      } finally {
        closeSync(both);
      }
    } finally {
      release();
    }
  }

  /** Releases the free pipes. Open ones stay usable. */
  async close(): Promise<void> {
    await this.#refilling?.catch(() => undefined);
    for (const { release } of this.#free.splice(0)) release();
  }

  async #take(): Promise<PipeSource> {
    for (;;) {
      if (this.#free.length < MIN_FREE) {
        this.#refilling ??= this.#refill().finally(() => {
          this.#refilling = undefined;
        });
        // A caller that finds no pipe left awaits this below, and gets its error.
        this.#refilling.catch(() => undefined);
      }
      const source = this.#free.pop();
      if (source?.isThere()) return source;
      if (source === undefined) await this.#refilling;
    }
  }

  async #refill(): Promise<void> {
    this.#free.push(...(await this.#make()));
  }
}

function openOrDestroy(path: string, flags: number, stream: Socket): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** The pipes of one child. */
export class ChildPipes {
  readonly #pipes: Pipes;
  readonly #opened: Pipe[] = [];

  constructor(pipes: Pipes) {
    this.#pipes = pipes;
  }

  async open(direction: "input" | "output"): Promise<Pipe> {
    const pipe = await this.#pipes[direction]();
    pipe.stream.on("error", () => {});
    this.#opened.push(pipe);
    return pipe;
  }

  /** Closes the child's ends in the server, once the child has them. */
  handOver(): void {
    for (const { childFd } of this.#opened.splice(0)) closeSync(childFd);
  }

  /** Closes both ends of each pipe, for a child that did not start. */
  destroy(): void {
    for (const { stream, childFd } of this.#opened) {
      stream.destroy();
      closeSync(childFd);
    }
  }
}
