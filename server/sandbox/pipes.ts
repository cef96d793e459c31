/**
 * Real pipes for a child's standard streams. Node gives children Unix sockets, on which
 * `/dev/stdout`, `/dev/stderr` and `/dev/stdin` cannot be opened (ENXIO), as shells and ffmpeg do.
 * Node has no pipe(2): these are named pipes in a private folder, opened at both ends and then
 * removed.
 */
import { execFile } from "node:child_process";
import { closeSync, constants, existsSync, openSync, unlinkSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;
const run = promisify(execFile);
/** Named pipes that are made at a time, in the background: enough for some twenty children. */
const BATCH = 64;
const MKFIFO_TIMEOUT_MS = 5_000;

/** One pipe: the server's end as a stream, and the child's end, which the server closes later. */
export interface Pipe {
  readonly stream: Socket;
  readonly childFd: number;
}

/** Makes pipes. One for each sandbox. */
export class Pipes {
  readonly #free: string[] = [];
  readonly #folder: string;
  #refilling: Promise<void> | undefined;
  #made = 0;

  /** @param folder in which a folder for the names is made. */
  constructor(folder: string) {
    this.#folder = join(folder, "pipes");
  }

  /** A pipe that the child writes and the server reads. */
  async output(): Promise<Pipe> {
    const path = await this.#take();
    // A reader that does not block makes the writer's open succeed at once.
    const reader = openSync(path, O_RDONLY | O_NONBLOCK);
    const childFd = openSync(path, O_WRONLY);
    unlinkSync(path);
    return { stream: new Socket({ fd: reader, readable: true, writable: false }), childFd };
  }

  /** A pipe that the server writes and the child reads. */
  async input(): Promise<Pipe> {
    const path = await this.#take();
    // Open for both, so that neither end's open waits for the other. The child's end blocks as
    // usual.
    const both = openSync(path, O_RDWR);
    const childFd = openSync(path, O_RDONLY);
    const writer = openSync(path, O_WRONLY | O_NONBLOCK);
    closeSync(both);
    unlinkSync(path);
    return { stream: new Socket({ fd: writer, readable: false, writable: true }), childFd };
  }

  /** Removes the folder. Open pipes stay usable. */
  async close(): Promise<void> {
    await this.#refilling?.catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #take(): Promise<string> {
    for (;;) {
      if (this.#free.length < BATCH / 2) {
        this.#refilling ??= this.#refill().finally(() => {
          this.#refilling = undefined;
        });
        // A caller that finds no pipe left awaits this below, and gets its error.
        this.#refilling.catch(() => undefined);
      }
      const path = this.#free.pop();
      // A cleaner of temporary folders may have removed it.
      if (path !== undefined && existsSync(path)) return path;
      if (path !== undefined) continue;
      await this.#refilling;
    }
  }

  async #refill(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    // A child of another user may open /dev/stdout again. Nobody else can enter the folder.
    const paths = Array.from({ length: BATCH }, () => join(this.#folder, String(this.#made++)));
    await run("mkfifo", ["-m", "666", ...paths], { timeout: MKFIFO_TIMEOUT_MS });
    this.#free.push(...paths);
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
