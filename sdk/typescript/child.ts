/** A placed child, from anywhere. */
import { Readable } from "node:stream";
import { errorFor, PoolError } from "../../openapi/errors.ts";
import { type EventOf, isTerminal } from "../../openapi/events.ts";
import type { ChildInfo, SIGNALS } from "../../openapi/resources.ts";
import type { Client } from "./http/client.ts";
import type { NumberedEvent } from "./http/read-events.ts";
import { openEvents, resumeEvents } from "./http/resume.ts";
import type { Access } from "./placement/access.ts";
import { withValues } from "./values.ts";

/** How a child ended by itself: `exitCode` of a command, `value` of a function. */
export type Ending = Omit<EventOf<"result">, "type">;

export interface EventsOptions {
  /** Only the events after this id. Default: from the first one that is kept. */
  readonly after?: number;
  readonly signal?: AbortSignal;
}

export interface StopOptions {
  /** Milliseconds between TERM and KILL; 0 kills at once. Default: the member's. */
  readonly graceMs?: number | undefined;
}

export interface WriteOptions {
  /** Close the input after the data: the child reads its end. Default false. */
  readonly end?: boolean;
  /** Ends the writing; what the child has taken by then it has. */
  readonly signal?: AbortSignal;
}

type Signal = (typeof SIGNALS)[number];

/** The ending that a terminal event tells; throws the error of a `failed` one. */
export function endingOf(event: EventOf<"result" | "failed">): Ending {
  if (event.type === "failed") throw errorFor(event.problem);
  const { type: _, ...ending } = event;
  return ending;
}

/**
 * A handle on a child. The child does not depend on it: dropping the handle, or the process that holds it, changes nothing.
 *
 * @example
 * const child = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
 * await child.stop();
 */
export class Child {
  readonly id: string;
  readonly #client: Client;
  readonly #access: Access;
  #exit: Promise<Ending> | undefined;

  constructor(id: string, client: Client, access: Access) {
    this.id = id;
    this.#client = client;
    this.#access = access;
  }

  /** The child as its member sees it now. @throws {PoolError} `child_not_found` once it is no longer remembered. */
  async info(): Promise<ChildInfo> {
    return this.#client.json(await this.#access.childUrl(this.id));
  }

  /**
   * The child's events, up to and with the terminal one. Leaving the loop ends the reading, not the child. A connection that is cut is
   * made anew, a few times, and the events go on after the last one.
   *
   * @throws {PoolError} `member_lost` when the stream is cut for good; `events_expired` when the child is no longer remembered, `child_not_found`.
   */
  async *events(options: EventsOptions = {}): AsyncGenerator<NumberedEvent, void, undefined> {
    const how = { client: this.#client, access: this.#access, signal: options.signal };
    yield* withValues(
      resumeEvents(await openEvents(this.id, options.after, how), how, {
        id: this.id,
        after: options.after,
      }),
    );
  }

  /**
   * The bytes of an artifact that the child left, as a stream; to have them at once: `Buffer.concat(await stream.toArray())`.
   *
   * @param path of the file, relative to the workspace.
   * @throws {PoolError} `not_found` when there is no such artifact; `child_not_found` once the child is no longer remembered.
   * @example
   * await pipeline(await child.file("out/1.png"), createWriteStream("1.png"));
   */
  async file(path: string): Promise<Readable> {
    const url = `${await this.#access.childUrl(this.id)}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
    const answer = await this.#client.send(url, { accept: "application/octet-stream" });
    if (answer.statusCode !== 200) throw await this.#client.problem(answer);
    return answer.body;
  }

  /** Resolves when the child has ended by itself; rejects with a {@link PoolError} when it failed, was stopped or lost. Read when first asked for. */
  get exit(): Promise<Ending> {
    this.#exit ??= this.#awaitExit();
    return this.#exit;
  }

  /**
   * Stops the child: TERM, grace, KILL. Answers at once; {@link Child.exit} tells when it is gone. Stopping it again can only shorten the
   * grace; a child that has ended stays as it is.
   */
  async stop({ graceMs }: StopOptions = {}): Promise<ChildInfo> {
    const query = graceMs === undefined ? "" : `?graceMs=${graceMs}`;
    return this.#client.json(`${await this.#access.childUrl(this.id)}${query}`, {
      method: "DELETE",
    });
  }

  /**
   * Sends a signal to the child's program; a child that has ended stays as it is.
   *
   * @throws {PoolError} `invalid_request` for a signal that is none, `child_not_found`.
   * @example
   * await child.signal("SIGUSR1");
   */
  async signal(signal: Signal): Promise<ChildInfo> {
    return this.#client.json(`${await this.#access.childUrl(this.id)}/signal`, {
      method: "POST",
      body: { signal },
    });
  }

  /**
   * Feeds the child's standard input, after what was written before, no faster than the child reads. A placed child's input is open
   * from the start, a call's with `stdin: { open: true }`.
   *
   * @param data text, bytes, or a stream of bytes, which is never held in memory.
   * @returns how many bytes the child's pipe has taken.
   * @throws {PoolError} `stdin_closed` when the input was never open, was ended, or the child reads no more; `child_not_found`.
   * @example
   * await child.write("hello\n");
   * await child.write(createReadStream("in.mp4"), { end: true });
   */
  async write(
    data: string | Uint8Array | Readable,
    { end = false, signal }: WriteOptions = {},
  ): Promise<number> {
    const body =
      data instanceof Readable
        ? data
        : Readable.from([Buffer.from(data as Uint8Array)], { objectMode: false });
    const url = `${await this.#access.childUrl(this.id)}/stdin?end=${end}`;
    const { bytes } = await this.#client.json<{ bytes: number }>(url, {
      method: "POST",
      body,
      signal,
      timeoutMs: 0,
    });
    return bytes;
  }

  async #awaitExit(): Promise<Ending> {
    for await (const event of this.events()) if (isTerminal(event)) return endingOf(event);
    throw PoolError.of("member_lost", "the stream ended before its terminal event");
  }
}
