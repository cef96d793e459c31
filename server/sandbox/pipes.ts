/**
 * Real pipes for a child's standard streams. Node gives children Unix sockets, on which `/dev/stdout`, `/dev/stderr`
 * and `/dev/stdin` cannot be opened (ENXIO); shells and ffmpeg do open them. Node has no pipe(2), so these are named
 * pipes in a private folder, opened at both ends and removed at once.
 */
import { execFile } from "node:child_process";
import { closeSync, constants, existsSync, openSync, unlinkSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;
const run = promisify(execFile);
/** Named pipes made at a time, in the background: enough for some twenty children. */
const BATCH = 64;
const MKFIFO_TIMEOUT_MS = 5_000;

/** One pipe: the server's end as a stream, and the descriptor of the child's end, to be closed once the child has it. */
export interface Pipe {
  readonly stream: Socket;
  readonly childFd: number;
}

export class Pipes {
  readonly #free: string[] = [];
  readonly #folder: string;
  #refilling: Promise<void> | undefined;
  #made = 0;

  /** @param folder where the names are made, in a folder of their own. */
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
    // Held open for both, so that neither end's open waits for the other. The child's end must block as usual.
    const both = openSync(path, O_RDWR);
    const childFd = openSync(path, O_RDONLY);
    const writer = openSync(path, O_WRONLY | O_NONBLOCK);
    closeSync(both);
    unlinkSync(path);
    return { stream: new Socket({ fd: writer, readable: false, writable: true }), childFd };
  }

  /** Removes the folder. Pipes in use go on working. */
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
        // Whoever finds none left waits for it, and hears of a failure.
        this.#refilling.catch(() => undefined);
      }
      const path = this.#free.pop();
      // What cleans old files out of temporary folders may have taken it.
      if (path !== undefined && existsSync(path)) return path;
      if (path !== undefined) continue;
      await this.#refilling;
    }
  }

  async #refill(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    // Open to a child of another user, which may open /dev/stdout anew; nobody else can enter the folder.
    const paths = Array.from({ length: BATCH }, () => join(this.#folder, String(this.#made++)));
    await run("mkfifo", ["-m", "666", ...paths], { timeout: MKFIFO_TIMEOUT_MS });
    this.#free.push(...paths);
  }
}
