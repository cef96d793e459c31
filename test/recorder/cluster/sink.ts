/**
 * The sink of side effects: a named pipe, which children see by a `readOnly` grant. A named pipe
 * takes writes also where its file system is read-only, and needs no network, so the sandbox is
 * that of any child. A line of up to 4,096 bytes is written whole (`PIPE_BUF`) and is in the kernel
 * before the child goes on, so that no kill loses it. Output would not do: streams are cut.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, constants, mkdirSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Mark } from "../history.ts";

export class Sink {
  readonly folder: string;
  readonly marks: Mark[] = [];
  /** Lines that are no marks: something wrote there that is none of ours. */
  readonly strange: string[] = [];
  readonly #socket: Socket;

  /** @param parent a folder that any user may pass through. */
  constructor(parent: string) {
    this.folder = join(parent, "sink");
    mkdirSync(this.folder);
    const pipe = join(this.folder, "marks");
    execFileSync("mkfifo", ["-m", "666", pipe]);
    chmodSync(this.folder, 0o755);
    // Opened both ways, the pipe has a reader and a writer all the time: no child waits for one.
    const descriptor = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd: descriptor, readable: true, writable: false });
    createInterface({ input: this.#socket }).on("line", (line) => this.#take(line));
  }

  #take(line: string): void {
    const [workId, child, what, time] = line.split(" ");
    // Bash gives seconds, and the functions milliseconds.
    const at = time?.endsWith("s") ? Number(time.slice(0, -1)) * 1_000 : Number(time);
    if (workId && child && (what === "begun" || what === "done") && at > 0)
      this.marks.push({ workId, child, what, at });
    else this.strange.push(line);
  }

  close(): void {
    this.#socket.destroy();
  }
}
