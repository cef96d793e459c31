/** The JSON form of a call: its events, gathered into one answer. */
import { PoolError, type Problem } from "../../openapi/errors.ts";
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
import { KeptAlive } from "./kept-alive.ts";

/** The events of a child, up to the terminal one or to what cut them. */
interface Whole {
  readonly stdout: KeptOutput;
  readonly stderr: KeptOutput;
  isBase64: boolean;
  child: ChildReference | undefined;
  terminal: TerminalEvent | undefined;
}

/**
 * Reads the events up to the terminal one, and answers with all of them.
 *
 * @throws what cut the events, unless the head of the answer has been sent.
 */
export async function answerWhole(
  c: NodeContext,
  events: AsyncIterable<PoolEvent>,
): Promise<Response> {
  const startedMs = performance.now();
  const answer = new KeptAlive(c);
  const whole: Whole = {
    stdout: new KeptOutput(),
    stderr: new KeptOutput(),
    isBase64: false,
    child: undefined,
    terminal: undefined,
  };
  let fault: unknown;
  try {
    await readInto(whole, c.get("held"), events);
    const detail = "the stream ended before its terminal event";
    if (!whole.terminal) throw PoolError.of("member_lost", detail, { admitted: true });
  } catch (error) {
    fault = error;
  }
  const output = await outputOf(whole);
  const isOpen = answer.isOpen;
  if (fault !== undefined && !isOpen) throw fault;
  if (fault !== undefined && !(fault instanceof PoolError)) return answer.end();
  const { problem, ...ending } = fault ? { problem: fault.problem } : endingOf(whole.terminal);
  if (problem && !isOpen)
    return problemResponse(c, { ...problem, ...output, ...ending } as Problem);
  const wallMs = performance.now() - startedMs;
  const unknown = { usage: { wallMs, cpuMs: null, maxRssBytes: null }, artifacts: [] };
  const body = jsonText({
    ...(fault && unknown),
    ...output,
    ...ending,
    ...(problem && { problem }),
  });
  return isOpen ? answer.end(body) : c.body(body, 200, { "content-type": "application/json" });
}

/** The fields of a terminal event that a {@link RunResult} has. */
function endingOf(terminal: TerminalEvent | undefined): Partial<RunResult> {
  const { type: _, id: _id, ...ending } = terminal as TerminalEvent & { readonly id?: number };
  return ending as Partial<RunResult>;
}

async function readInto(
  whole: Whole,
  held: Holding | undefined,
  events: AsyncIterable<PoolEvent>,
): Promise<void> {
  const { stdout, stderr } = whole;
  const before = held?.bytes ?? 0;
  const turn = turns();
  for await (const event of events) {
    await turn();
    if (event.type === "placed") whole.child = event.child;
    else if (event.type === "stdout" || event.type === "stderr") {
      whole.isBase64 ||= event.base64 !== undefined;
      const output = event.type === "stdout" ? stdout : stderr;
      // Output for which there is no memory counts as output that is too long for an answer.
      if (held?.isFull) output.close();
      output.write(outputBytes(event));
      held?.set(before + stdout.length + stderr.length);
    } else if (event.type === "result" || event.type === "failed") whole.terminal = event;
  }
}

/** The child and its output. */
async function outputOf({ child, stdout, stderr, isBase64 }: Whole) {
  const turn = turns();
  /** Output as JSON. A MiB of it that is all escaped takes some 20 ms, so others go between. */
  const jsonOf = async ({ bytes, text }: KeptOutput) => {
    await turn();
    const shown = isBase64 ? Buffer.from(bytes).toString("base64") : text;
    return shown.length < SMALL_BYTES ? shown : new RawJson(Buffer.from(JSON.stringify(shown)));
  };
  return {
    ...(child ? { child } : {}),
    stdout: (await jsonOf(stdout)) as string,
    stderr: (await jsonOf(stderr)) as string,
    truncated: stdout.truncated || stderr.truncated,
  };
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
