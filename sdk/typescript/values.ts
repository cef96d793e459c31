/** How arguments and values travel: as JSON, or as devalue, which carries more types. */
import { DevalueError, stringify, unflatten } from "devalue";
import { messageOf, PoolError, problem } from "../../openapi/errors.ts";
import { isTerminal } from "../../openapi/events.ts";
import type { NumberedEvent } from "./http/read-events.ts";
import { flawForDevalue, flawIn } from "./json-values.ts";

/**
 * `json` refuses values that JSON would change. `devalue` also carries dates, maps, sets, big
 * integers, typed arrays, URLs, regular expressions, `undefined`, `NaN`, infinities and cycles.
 */
export type Encoding = "json" | "devalue";

/**
 * The arguments in the form that is sent.
 *
 * @throws {PoolError} `invalid_request` for a value that the encoding cannot carry, with its path.
 */
export function encodeArguments(args: readonly unknown[], encoding: Encoding): unknown[] {
  if (encoding === "devalue") return flattened(args);
  checkArguments(args);
  return [...args];
}

function flattened(args: readonly unknown[]): unknown[] {
  try {
    return JSON.parse(stringify(args)) as unknown[];
  } catch (error) {
    const { path = "", value = undefined } = error instanceof DevalueError ? error : {};
    const argument =
      path.replace(/^\[(\d+)\]/, (_, index: string) => `argument ${Number(index) + 1}`) ||
      "an argument";
    const flaw = (path && flawForDevalue(value)) || `refused: ${messageOf(error)}`;
    throw PoolError.of(
      "invalid_request",
      `expected arguments that devalue can carry; ${argument} is ${flaw}`,
      { cause: error },
    );
  }
}

/**
 * Checks that JSON carries the arguments as they are.
 *
 * @throws {PoolError} `invalid_request` for a value that JSON would change or lose, with its path.
 */
export function checkArguments(args: readonly unknown[]): void {
  for (const [index, value] of args.entries()) {
    const flaw = flawIn(value, `argument ${index + 1}`);
    if (flaw !== undefined)
      throw PoolError.of("invalid_request", `expected arguments that JSON can carry; ${flaw}`);
  }
}

/**
 * The events, with values decoded. A hostile child can send any JSON as its value. A value that is
 * not valid devalue turns the result into `failed` with `worker_crashed`.
 */
export async function* withValues(events: AsyncIterable<NumberedEvent>) {
  for await (const event of events) yield isTerminal(event) ? withValue(event) : event;
}

/** A terminal event, with its value decoded. @returns as {@link withValues}. */
export function withValue(event: Terminal): Terminal {
  return event.encoding === "devalue" ? unflattened(event) : event;
}

type Terminal = Extract<NumberedEvent, { type: "result" | "failed" }>;

function unflattened({ encoding: _, value, ...event }: Terminal): Terminal {
  try {
    return { ...event, value: unflatten(value as unknown[]) };
  } catch (error) {
    return {
      ...event,
      type: "failed",
      problem: problem(
        "worker_crashed",
        `expected a value that devalue has written: ${messageOf(error)}`,
      ),
    };
  }
}
