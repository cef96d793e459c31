/** The JSON form of a call: its events, gathered into one answer. */
import type { Context } from "hono";
import { type Problem, problem } from "../../openapi/errors.ts";
import type { PoolEvent, TerminalEvent } from "../../openapi/events.ts";
import type { RunResult } from "../../openapi/schemas/endings.ts";
import type { ChildReference } from "../../openapi/schemas/resources.ts";
import { outputBytes } from "../../sdk/typescript/http/output.ts";
import { problemResponse } from "../http/problems.ts";

/** 1 MiB of stdout, and as much of stderr, fit into an answer. */
export const MAX_COLLECTED_BYTES = 1024 * 1024;

class Collected {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;
  #base64 = false;
  truncated = false;

  add(event: { text?: string | undefined; base64?: string | undefined }): void {
    this.#base64 ||= event.base64 !== undefined;
    const bytes = outputBytes(event);
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

/** Reads the events up to the terminal one, and answers with all of them. */
export async function answerWhole(c: Context, events: AsyncIterable<PoolEvent>): Promise<Response> {
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
  if (!("problem" in ending)) return c.json({ ...output, ...ending } as RunResult, 200);
  const { problem: cause, ...rest } = ending;
  return problemResponse(c, { ...cause, ...output, ...rest } as Problem);
}
