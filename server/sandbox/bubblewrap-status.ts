/** Follows what bubblewrap reports about its sandbox, and finds the program's own process in it. */
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { within } from "../../sdk/typescript/time/within.ts";

/** Once bubblewrap has ended, no process keeps its status pipe open for longer. */
const STATUS_TIMEOUT_MS = 1_000;
/** A sandbox that works starts its program sooner. */
const START_TIMEOUT_MS = 2_000;
const START_POLL_MS = 5;
const MAX_STATUS_CHARACTERS = 4_096;

/** A fault of bubblewrap before it came to the program. */
const OWN_FAULT = /^bwrap: (?!execvp )/;

/** The status of one bubblewrap, as JSON from its `--json-status-fd`, and the chain's errors. */
export class BubblewrapStatus {
  /** The host's pid of the sandbox's first process; undefined where the sandbox did not start. */
  readonly firstPid: Promise<number | undefined>;
  /** The same, once it is known. */
  pid: number | undefined;
  readonly #closed: Promise<void>;
  readonly #stream: Readable;
  readonly #errors: Readable;
  #text = "";
  #messages = "";

  /**
   * @param stream the status.
   * @param errors what the programs of the chain write to stderr.
   */
  constructor(stream: Readable, errors: Readable) {
    this.#stream = stream;
    this.#errors = errors;
    errors.setEncoding("utf8");
    errors.on("data", (chunk: string) => {
      this.#messages = (this.#messages + chunk).slice(0, MAX_STATUS_CHARACTERS);
    });
    stream.setEncoding("utf8");
    this.#closed = new Promise((resolve) => stream.once("close", resolve));
    this.firstPid = new Promise((resolve) => {
      stream.on("data", (chunk: string) => {
        this.#text = (this.#text + chunk).slice(0, MAX_STATUS_CHARACTERS);
        const pid = /"child-pid":\s*(\d+)/.exec(this.#text)?.[1];
        if (pid === undefined) return;
        this.pid = Number(pid);
        resolve(this.pid);
      });
      void this.#closed.then(() => resolve(undefined));
    });
  }

  /**
   * The messages of a sandbox that certainly did not start its program, else undefined. bubblewrap
   * reports an exit code only for a program that it could start.
   *
   * @param before what has to be well before the program starts: why it was not, or undefined.
   */
  async trouble(before?: Promise<string | undefined>): Promise<string | undefined> {
    const isWhole = await within(
      STATUS_TIMEOUT_MS,
      this.#closed.then(() => true),
    );
    this.#stream.destroy();
    this.#errors.destroy();
    const fault = await within(STATUS_TIMEOUT_MS, before ?? Promise.resolve(undefined));
    const messages = this.#messages.trim();
    if (fault !== undefined)
      return OWN_FAULT.test(messages) ? messages : [fault, messages].filter(Boolean).join(": ");
    // A status that could not be read to its end says nothing.
    if (!isWhole || this.#text.includes('"exit-code"')) return undefined;
    return messages || "no message";
  }
}

/**
 * The host's pid of the program itself, a descendant of the sandbox's first process. Undefined
 * where the program does not start in time.
 *
 * @param depth how many processes stand between the first process's child and the program.
 * @param hasEnded whether the process tree has ended meanwhile.
 */
export async function programPid(
  firstPid: number,
  depth: number,
  hasEnded: () => boolean,
): Promise<number | undefined> {
  let pid: number | undefined = firstPid;
  // bubblewrap's first process would ignore a signal, and its outer one would end at once.
  for (let level = 0; level <= depth && pid !== undefined; level++)
    pid = await firstChild(pid, hasEnded);
  return pid;
}

/** The pid of a process's first child, which may be about to start. */
async function firstChild(pid: number, hasEnded: () => boolean): Promise<number | undefined> {
  for (let waited = 0; waited < START_TIMEOUT_MS && !hasEnded(); waited += START_POLL_MS) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    const child = Number.parseInt(children, 10);
    if (child > 0) return child;
    await pause(START_POLL_MS);
  }
  return undefined;
}
