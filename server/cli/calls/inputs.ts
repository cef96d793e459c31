/** The inputs of `dpool map`: the lines of stdin, as texts or as JSON values. */
import { messageOf } from "../../../openapi/errors.ts";
import type { Spec } from "../../../sdk/typescript/node.ts";
import { UsageError } from "../usage-error.ts";

/** 1,048,576 characters: a longer line would take the memory of many inputs. */
const MAX_LINE = 1_048_576;
/** The place of the input in the arguments of a command. */
const PLACE = "{}";

export interface Line {
  /** The number of the line, from 1 on. */
  readonly line: number;
  readonly text: string;
}

/**
 * The lines of a stream of UTF-8, without their ends, of which only `\n` and `\r\n` count.
 *
 * @throws {UsageError} for a line of more than 1,048,576 characters.
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder();
  let line = 0;
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const text of parts) yield { line: ++line, text: text.replace(/\r$/, "") };
    if (rest.length > MAX_LINE)
      throw new UsageError(`line ${line + 1}: expected at most ${MAX_LINE} characters; got more`);
  }
  rest += decoder.decode();
  if (rest !== "") yield { line: line + 1, text: rest };
}

/** The value of a line. @throws {UsageError} for a line that is no JSON. */
export function inputOf({ line, text }: Line, isJson: boolean): unknown {
  if (!isJson) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`expected JSON in line ${line}: ${messageOf(error)}`);
  }
}

/**
 * The spec for one input: a function or a task gets it as its argument; in a command it replaces
 * `{}`, or else it is the last argument. Pure.
 */
export function specFor(spec: Spec, input: unknown): Spec {
  if (spec.command === undefined) return { ...spec, args: [input] };
  const text = typeof input === "string" ? input : JSON.stringify(input);
  const command = spec.command.some((argument) => argument.includes(PLACE))
    ? spec.command.map((argument) => argument.replaceAll(PLACE, () => text))
    : [...spec.command, text];
  return { ...spec, command };
}
