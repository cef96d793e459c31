/** The JSON form of a call: its events, gathered into one answer. */
import { type Problem, problem } from "../../openapi/errors.ts";
import type { PoolEvent, TerminalEvent } from "../../openapi/events.ts";
import type { RunResult } from "../../openapi/schemas/endings.ts";
import type { ChildReference } from "../../openapi/schemas/resources.ts";
import { KeptOutput, outputBytes } from "../../sdk/typescript/http/output.ts";
import { jsonText, RawJson } from "../../sdk/typescript/http/raw-json.ts";
import { turns } from "../../sdk/typescript/time/turns.ts";
import type { Holding } from "../http/bodies/held-bytes.ts";
import { isValue, LargeJson, SMALL_BYTES, withRawValue } from "../http/bodies/large-json.ts";
import { problemResponse } from "../http/problems.ts";
import type { NodeContext } from "../http/request.ts";

/** Reads the events up to the terminal one, and answers with all of them. */
export async function answerWhole(
  c: NodeContext,
  events: AsyncIterable<PoolEvent>,
): Promise<Response> {
  const stdout = new KeptOutput();
  const stderr = new KeptOutput();
  let isBase64 = false;
  let child: ChildReference | undefined;
  let terminal: TerminalEvent | undefined;
  const held: Holding | undefined = c.var.held;
  const before = held?.bytes ?? 0;
  const turn = turns();
  for await (const event of events) {
    await turn();
    if (event.type === "placed") child = event.child;
    else if (event.type === "stdout" || event.type === "stderr") {
      isBase64 ||= event.base64 !== undefined;
      const output = event.type === "stdout" ? stdout : stderr;
      // Output for which there is no memory counts as output that is too long for an answer.
      if (held?.isFull) output.close();
      output.write(outputBytes(event));
      held?.set(before + stdout.length + stderr.length);
    } else if (event.type === "result" || event.type === "failed") terminal = event;
  }
  /** Output as JSON. A MiB of it that is all escaped takes some 20 ms, so others go between. */
  const jsonOf = async ({ bytes, text }: KeptOutput) => {
    await turn();
    const shown = isBase64 ? Buffer.from(bytes).toString("base64") : text;
    return shown.length < SMALL_BYTES ? shown : new RawJson(Buffer.from(JSON.stringify(shown)));
  };
  const output = {
    ...(child ? { child } : {}),
    stdout: (await jsonOf(stdout)) as string,
    stderr: (await jsonOf(stderr)) as string,
    truncated: stdout.truncated || stderr.truncated,
  };
  if (!terminal) {
    const detail = "the stream ended before its terminal event";
    return problemResponse(c, problem("member_lost", detail, { admitted: true }));
  }
  const { type: _type, id: _id, ...ending } = terminal as TerminalEvent & { id?: number };
  if (!("problem" in ending)) {
    const body = jsonText({ ...output, ...ending } satisfies Partial<RunResult>);
    return c.body(body, 200, { "content-type": "application/json" });
  }
  const { problem: cause, ...rest } = ending;
  return problemResponse(c, { ...cause, ...output, ...rest } as Problem);
}

const isHighSurrogate = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xd800;

/** Parses an event of another member. A large value in it stays JSON. */
export async function parseEvent(data: string): Promise<PoolEvent> {
  if (data.length <= SMALL_BYTES) return JSON.parse(data);
  const json = new LargeJson(isValue);
  const turn = turns();
  for (let from = 0, to = 0; from < data.length; from = to) {
    to = from + SMALL_BYTES;
    if (isHighSurrogate(data, to - 1)) to += 1;
    json.push(Buffer.from(data.slice(from, to)));
    await turn();
  }
  return withRawValue(json.parse()) as PoolEvent;
}
