/** How arguments and values are written: as JSON, or flattened by devalue, which carries what JSON cannot. */
import { DevalueError, stringify, unflatten } from "devalue";
import { messageOf, PoolError, problem } from "../../openapi/errors.ts";
import { isTerminal } from "../../openapi/events.ts";
import { checkArguments } from "./functions.ts";
import type { NumberedEvent } from "./http/read-events.ts";

/**
 * `json`: what JSON would change is refused. `devalue`: dates, maps, sets, big integers, typed arrays, URLs, regular expressions,
 * `undefined`, `NaN`, infinities and cycles travel too.
 */
export type Encoding = "json" | "devalue";

/**
 * The arguments as they are sent.
 *
 * @throws {PoolError} `invalid_request` for a value that the encoding cannot carry, with its place.
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
    const path = error instanceof DevalueError ? error.path : "";
    const place =
      path.replace(/^\[(\d+)\]/, (_, index: string) => `argument ${Number(index) + 1}`) ||
      "an argument";
    throw PoolError.of(
      "invalid_request",
      `expected arguments that devalue can carry; ${place}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * The events with the value of a result as it was returned. A child can write what it likes in the place of its value: what is
 * no devalue makes the result a `failed` / `worker_crashed`.
 */
export async function* withValues(
  events: AsyncIterable<NumberedEvent>,
): AsyncGenerator<NumberedEvent, void, undefined> {
  for await (const event of events)
    yield isTerminal(event) && event.encoding === "devalue" ? withValue(event) : event;
}

function withValue({
  encoding: _,
  ...event
}: Extract<NumberedEvent, { type: "result" | "failed" }>): NumberedEvent {
  try {
    return { ...event, value: unflatten(event.value) };
  } catch (error) {
    const { value: _value, ...rest } = event;
    return {
      ...rest,
      type: "failed",
      problem: problem(
        "worker_crashed",
        `expected a value that devalue has written: ${messageOf(error)}`,
      ),
    };
  }
}
