/** A handle on a child, which any process can make from the child's id. */
import { errorFor, PoolError } from "../../openapi/errors.ts";
import type { EventOf, TerminalEvent } from "../../openapi/events.ts";
import type {
  Child as ChildInfo,
  ChildResult,
  SignalName,
  TerminalSize,
} from "../../openapi/types.gen.ts";
import type {
  EventsOptions,
  ResultOptions,
  StopOptions,
  WriteOptions,
} from "./calls/child-options.ts";
import type { Connection } from "./connection.ts";
import { jsonOf, noAnswer } from "./http/client.ts";
import { copyOutput } from "./http/output.ts";
import type { NumberedEvent } from "./http/read-events.ts";
import { openEvents, resumeEvents } from "./http/resume.ts";
import { writeStdin } from "./http/send-stdin.ts";
import { Source, type Streamed } from "./http/source.ts";
import { withValue, withValues } from "./values.ts";

/**
 * How a child ended by itself: the `exitCode` of a command, the `value` of a function, its `usage`
 * and its `artifacts`.
 */
export interface Ending<Stream = ReadableStream<Uint8Array>>
  extends Omit<EventOf<"result">, "type" | "encoding"> {
  readonly child: Child<Stream>;
  /** Reads an artifact, as {@link Child.file} does. */
  file(path: string): Promise<Stream>;
}

/** 10 seconds for an answer, beside the time for which it waits. */
const ANSWER_MS = 10_000;

/** The answer. @throws {PoolError} `member_lost` without one; the reason of the signal. */
async function answered<T>(url: string, asking: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await asking;
  } catch (error) {
    throw error instanceof PoolError || signal?.aborted ? error : noAnswer(url, error);
  }
}

/**
 * The ending in a terminal event.
 *
 * @throws {PoolError} the problem of a `failed` event, with the fields of a result beside it.
 */
export function endingOf<Stream>(
  event: EventOf<"result" | "failed"> & { readonly id?: number },
  child: Child<Stream>,
): Ending<Stream> {
  const { type: _, id: _id, encoding: _encoding, ...ending } = event;
  if ("problem" in ending) {
    const { problem, ...left } = ending;
    throw errorFor({ ...problem, ...left });
  }
  return { child, file: (path) => child.file(path), ...ending };
}

/** Half of a character, which has no UTF-8. */
const LONE_SURROGATE = /[\ud800-\udfff]/u;

/**
 * A handle on a child. The child does not depend on its handles: it lives on when a handle, or the
 * process that has it, goes away.
 *
 * @example
 * const child = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
 * await child.stop();
 */
export class Child<Stream = ReadableStream<Uint8Array>> {
  readonly id: string;
  readonly #connection: Connection<Stream>;
  #exit: Promise<Ending<Stream>> | undefined;

  constructor(id: string, connection: Connection<Stream>) {
    this.id = id;
    this.#connection = connection;
  }

  /**
   * The child as its member sees it now: its status, its labels, and how it ended. A child is
   * remembered for a minute after its end, unless the operator chose another time.
   *
   * @throws {PoolError} `child_forgotten`; `child_not_found`; `member_lost`.
   * @example
   * if ((await child.info()).status === "running") await child.stop();
   */
  async info(): Promise<ChildInfo> {
    return this.#connection.client.json(await this.#url(), { key: "id" });
  }

  /**
   * The child's events, up to and including the terminal one. Leaving the loop ends the reading,
   * not the child. A stream that was cut resumes after its last event, with up to six tries in
   * some 6 seconds.
   *
   * @throws {PoolError} `member_lost` when the stream is cut for good; `events_expired`;
   *   `child_forgotten`; `child_not_found`.
   * @example
   * for await (const event of child.events()) console.log(event.type);
   */
  async *events(options: EventsOptions = {}): AsyncGenerator<NumberedEvent, void, undefined> {
    const { id } = this;
    const { after, signal } = options;
    const reading = { client: this.#connection.client, access: this.#connection.access, signal };
    const url = await this.#url();
    const answer = await answered(url, openEvents(id, after, reading), signal);
    yield* withValues(resumeEvents(answer, reading, { id, after }));
  }

  /**
   * The bytes of an artifact, a file that the child left, as a web stream; with the entry `./node`,
   * as a Node stream. `new Response(stream).bytes()` reads a web stream at once.
   *
   * @param path the path of the file in the workspace.
   * @throws {PoolError} `not_found` without such an artifact; `child_forgotten`;
   *   `member_lost` without an answer.
   * @example
   * await pipeline(await child.file("out/1.png"), createWriteStream("1.png"));
   */
  async file(path: string): Promise<Stream> {
    const names = path.split("/");
    // A URL would lose these names, and lead elsewhere.
    if (names.some((name) => ["", ".", ".."].includes(name)) || LONE_SURROGATE.test(path))
      throw PoolError.of(
        "not_found",
        `expected the path of an artifact; got ${JSON.stringify(path)}`,
      );
    const file = names.map(encodeURIComponent).join("/");
    const url = await this.#url(`/files/${file}`);
    const options = { accept: "application/octet-stream" } as const;
    const answer = await answered(url, this.#connection.client.send(url, options));
    if (answer.status !== 200) throw await this.#connection.client.problem(answer);
    return this.#connection.streamOf(answer.body);
  }

  /**
   * Resolves when the child has ended by itself. Rejects with a {@link PoolError} when it failed,
   * was stopped or lost, by the codes of {@link DistributedPool.call}. The events are read from the
   * first use of this property on.
   *
   * @example
   * const { exitCode } = await child.exit;
   */
  get exit(): Promise<Ending<Stream>> {
    this.#exit ??= copyOutput(this.events()).then((event) => endingOf(event, this));
    return this.#exit;
  }

  /**
   * How the child ended, also when its output is no longer kept. It reads no events, so it is the
   * way to an ending whose stream was lost.
   *
   * @param options `waitMs`: milliseconds to wait for the end, at most 25,000 (default 0).
   * @returns undefined for a child that still runs.
   * @throws {PoolError} as {@link Child.exit} does; `child_forgotten`; `child_not_found`.
   * @example
   * const { exitCode } = (await child.result({ waitMs: 20_000 })) ?? {};
   */
  async result({ waitMs = 0, signal }: ResultOptions = {}): Promise<Ending<Stream> | undefined> {
    const { client } = this.#connection;
    const url = await this.#url(`/result?waitMs=${waitMs}`);
    const asking = client.send(url, { signal, timeoutMs: waitMs + ANSWER_MS });
    const answer = await answered(url, asking, signal);
    if (answer.status === 204) return undefined;
    if (answer.status >= 400) throw await client.problem(answer);
    const { child: _, ...ending } = await answered(url, jsonOf<ChildResult>(answer), signal);
    const event = { type: ending.problem ? "failed" : "result", ...ending } as TerminalEvent;
    return endingOf(withValue(event), this);
  }

  /**
   * Stops the child: TERM, grace, KILL to its whole process tree. Resolves at once;
   * {@link Child.exit} tells when the child is gone. Stopping it again can only shorten the grace.
   * A child that has ended stays as it is.
   *
   * @throws {PoolError} `child_forgotten`; `child_not_found`.
   * @example
   * await child.stop({ graceMs: 0 });
   */
  async stop({ graceMs }: StopOptions = {}): Promise<ChildInfo> {
    const query = graceMs === undefined ? "" : `?graceMs=${graceMs}`;
    return this.#connection.client.json(await this.#url(query), { method: "DELETE" });
  }

  /**
   * Sends a signal to the child's program. A child that has ended stays as it is.
   *
   * @throws {PoolError} `invalid_request` for an unknown signal; `child_forgotten`;
   *   `child_not_found`.
   * @example
   * await child.signal("SIGUSR1");
   */
  async signal(signal: SignalName): Promise<ChildInfo> {
    const request = { method: "POST", body: { signal } } as const;
    return this.#connection.client.json(await this.#url("/signal"), request);
  }

  /**
   * Sets the size of the terminal of a child with `tty` in its spec, 1 to 4,096 each. The programs
   * in front get SIGWINCH.
   *
   * @throws {PoolError} `not_found` for a child without a terminal; `child_not_found`.
   * @example
   * await child.resize({ rows: 50, columns: 132 });
   */
  async resize(size: TerminalSize): Promise<ChildInfo> {
    return this.#connection.client.json(await this.#url("/tty"), { method: "POST", body: size });
  }

  /**
   * Writes to the child's standard input, behind earlier writes and no faster than the child reads.
   * A placed child's input is open from the start, that of a call with `stdin: { open: true }`.
   *
   * @param data text, bytes, or a stream of bytes, which is never collected in memory.
   * @param options `end` (default false) closes the input behind the data. `signal` ends the
   *   writing.
   * @returns the number of bytes that the child's pipe has taken.
   * @throws {PoolError} `stdin_closed` when the input was never open, is closed, or the child reads
   *   no more; `child_forgotten`; `child_not_found`.
   * @example
   * await child.write("hello\n");
   * await child.write(createReadStream("in.mp4"), { end: true });
   */
  async write(
    data: string | Uint8Array | Streamed,
    { end = false, signal }: WriteOptions = {},
  ): Promise<number> {
    const url = await this.#url("/stdin");
    const whole = typeof data === "string" ? new TextEncoder().encode(data) : data;
    // A stream that fails rejects the write with its own error.
    const bytes = whole instanceof Uint8Array ? whole : new Source(whole, () => {});
    try {
      return await writeStdin(this.#connection.client, url, { bytes, end, signal });
    } finally {
      if (bytes instanceof Source) bytes.destroy();
    }
  }

  async #url(path = "") {
    return `${await this.#connection.access.childUrl(this.id)}${path}`;
  }
}
