/** A call that has to wait for its slot, and the waiting form of a call: the same events, gathered into one answer. */
import type { Context } from "hono";
import { type Problem, problem } from "../../openapi/errors.ts";
import type { PoolEvent, TerminalEvent } from "../../openapi/events.ts";
import type { CallResult, ChildReference } from "../../openapi/resources.ts";
import { problemOf, problemResponse } from "../http/problems.ts";
import type { NodeContext } from "../http/request.ts";
import { WaitingStream } from "./events.ts";

/** So much of stdout, and of stderr, an answer holds. */
export const MAX_COLLECTED_BYTES = 1024 * 1024;

class Collected {
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  #base64 = false;
  truncated = false;

  add(event: { text?: string | undefined; base64?: string | undefined }): void {
    this.#base64 ||= event.base64 !== undefined;
    const bytes =
      event.base64 === undefined
        ? Buffer.from(event.text ?? "")
        : Buffer.from(event.base64, "base64");
    const room = MAX_COLLECTED_BYTES - this.#bytes;
    this.truncated ||= bytes.length > room;
    if (room <= 0) return;
    this.#parts.push(bytes.subarray(0, room));
    this.#bytes += Math.min(room, bytes.length);
  }

  toString(): string {
    return Buffer.concat(this.#parts).toString(this.#base64 ? "base64" : "utf8");
  }
}

/** Runs what may tell a position before there is a child. A failure after that ends the stream; before, it is the answer itself. */
export async function withWaiting(
  c: NodeContext,
  logError: (message: string) => void,
  run: (stream: WaitingStream) => Promise<Response>,
): Promise<Response> {
  const stream = new WaitingStream(c);
  try {
    return await run(stream);
  } catch (error) {
    if (!stream.session) throw error;
    return stream.end(await problemOf(error, c, logError));
  }
}

/** Reads the events to the terminal one and answers. */
export async function answerAtEnd(c: Context, events: AsyncIterable<PoolEvent>): Promise<Response> {
  const stdout = new Collected();
  const stderr = new Collected();
  let child: ChildReference | undefined;
  let terminal: TerminalEvent | undefined;
  for await (const event of events) {
    if (event.type === "placed") child = event.child;
    else if (event.type === "stdout") stdout.add(event);
    else if (event.type === "stderr") stderr.add(event);
    else if (event.type === "result" || event.type === "failed") terminal = event;
  }
  const output = {
    ...(child ? { child } : {}),
    stdout: stdout.toString(),
    stderr: stderr.toString(),
    truncated: stdout.truncated || stderr.truncated,
  };
  if (!terminal)
    return problemResponse(c, problem("member_lost", "the stream ended before its terminal event"));
  const { type: _type, id: _id, ...ending } = terminal as TerminalEvent & { id?: number };
  if (!("problem" in ending)) return c.json({ ...output, ...ending } as CallResult, 200);
  const { problem: given, ...rest } = ending;
  return problemResponse(c, { ...given, ...output, ...rest } as Problem);
}
