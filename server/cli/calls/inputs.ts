/** The inputs of `dpool map`: the lines of stdin, as texts or as JSON values. */
import { isUtf8 } from "node:buffer";
import { messageOf } from "../../../openapi/errors.ts";
import type { Spec } from "../../../sdk/typescript/node.ts";
import { UsageError } from "../usage-error.ts";

/** 1,048,576 bytes: a longer line would take the memory of many inputs. */
const MAX_LINE_BYTES = 1_048_576;
const NEWLINE = 10;
const RETURN = 13;
/** The place of the input in the arguments of a command. */
const PLACE = "{}";

export interface Line {
  /** The number of the line, from 1 on. */
  readonly line: number;
  readonly text: string;
  /** Why the line is no input. */
  readonly fault?: string;
}

/**
 * The lines of a stream of UTF-8, without their ends, of which only `\n` and `\r\n` count. A line
 * that is too long, or no UTF-8, has a fault.
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let line = 0;
  let pieces: Uint8Array[] = [];
  let length = 0;
  const add = (piece: Uint8Array) => {
    length += piece.length;
    // The rest of a line that is too long is read and dropped.
    if (length <= MAX_LINE_BYTES) pieces.push(piece);
  };
  const taken = (): Line => {
    const whole = { line: ++line, ...lineOf(Buffer.concat(pieces), length) };
    pieces = [];
    length = 0;
    return whole;
  };
  for await (const chunk of stream) {
    let rest = chunk;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      add(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      yield taken();
    }
    add(rest);
  }
  if (length > 0) yield taken();
}

function lineOf(bytes: Buffer, length: number): Omit<Line, "line"> {
  if (length > MAX_LINE_BYTES)
    return { text: "", fault: `expected at most ${MAX_LINE_BYTES} bytes; got ${length}` };
  const own = bytes.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes;
  if (!isUtf8(own)) return { text: own.toString(), fault: "expected UTF-8; got other bytes" };
  return { text: own.toString() };
}

/** The value of a line. @throws {UsageError} for a line with a fault, or that is no JSON. */
export function inputOf({ line, text, fault }: Line, isJson: boolean): unknown {
  if (fault !== undefined) throw new UsageError(fault);
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
