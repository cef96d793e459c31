/** The JSON form of a call: its events, gathered into one answer. */
import type { Context } from "hono";
import { type Problem, problem } from "../../openapi/errors.ts";
import type { PoolEvent, TerminalEvent } from "../../openapi/events.ts";
import type { RunResult } from "../../openapi/schemas/endings.ts";
import type { ChildReference } from "../../openapi/schemas/resources.ts";
import { KeptOutput, outputBytes } from "../../sdk/typescript/http/output.ts";
import { problemResponse } from "../http/problems.ts";

/** Reads the events up to the terminal one, and answers with all of them. */
export async function answerWhole(c: Context, events: AsyncIterable<PoolEvent>): Promise<Response> {
  const stdout = new KeptOutput();
  const stderr = new KeptOutput();
  let isBase64 = false;
  let child: ChildReference | undefined;
  let terminal: TerminalEvent | undefined;
  for await (const event of events) {
    if (event.type === "placed") child = event.child;
    else if (event.type === "stdout" || event.type === "stderr") {
      isBase64 ||= event.base64 !== undefined;
      (event.type === "stdout" ? stdout : stderr).write(outputBytes(event));
    } else if (event.type === "result" || event.type === "failed") terminal = event;
  }
  const textOf = ({ bytes, text }: KeptOutput) =>
    isBase64 ? Buffer.from(bytes).toString("base64") : text;
  const output = {
    ...(child ? { child } : {}),
    stdout: textOf(stdout),
    stderr: textOf(stderr),
    truncated: stdout.truncated || stderr.truncated,
  };
  if (!terminal) {
    const detail = "the stream ended before its terminal event";
    return problemResponse(c, problem("member_lost", detail, { admitted: true }));
  }
  const { type: _type, id: _id, ...ending } = terminal as TerminalEvent & { id?: number };
  if (!("problem" in ending)) return c.json({ ...output, ...ending } as RunResult, 200);
  const { problem: cause, ...rest } = ending;
  return problemResponse(c, { ...cause, ...output, ...rest } as Problem);
}
