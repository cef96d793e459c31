/** How arguments and values travel: as JSON, or as devalue, which carries more types. */
import { DevalueError, stringify, unflatten } from "devalue";
import { messageOf, PoolError, problem } from "../../openapi/errors.ts";
import { isTerminal } from "../../openapi/events.ts";
import type { NumberedEvent } from "./http/read-events.ts";

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
    const path = error instanceof DevalueError ? error.path : "";
    const argument =
      path.replace(/^\[(\d+)\]/, (_, index: string) => `argument ${Number(index) + 1}`) ||
      "an argument";
    throw PoolError.of(
      "invalid_request",
      `expected arguments that devalue can carry; ${argument}: ${messageOf(error)}`,
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
  const ancestors = new Set<unknown>();
  const visit = (value: unknown, path: string): void => {
    const flaw = ancestors.has(value) ? "part of a cycle" : flawOf(value);
    if (flaw !== undefined)
      throw PoolError.of(
        "invalid_request",
        `expected arguments that JSON can carry; ${path} is ${flaw}`,
      );
    if (typeof value !== "object" || value === null) return;
    ancestors.add(value);
    if (Array.isArray(value))
      for (const [index, item] of value.entries()) visit(item, `${path}[${index}]`);
    else
      for (const [key, item] of Object.entries(value))
        if (item !== undefined) visit(item, `${path}.${key}`);
    ancestors.delete(value);
  };
  for (const [index, value] of args.entries()) visit(value, `argument ${index + 1}`);
}

/** The reason why JSON does not carry a value, apart from its items; undefined when it does. */
function flawOf(value: unknown): string | undefined {
  if (value === undefined || (typeof value === "number" && !Number.isFinite(value)))
    return String(value);
  if (typeof value === "function") return "a function: send its source or a name instead";
  if (typeof value === "bigint" || typeof value === "symbol") return `a ${typeof value}`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return undefined;
  return `an instance of ${value.constructor?.name ?? "a class"}`;
}

/**
 * The events, with values decoded. A hostile child can send any JSON as its value. A value that is
 * not valid devalue turns the result into `failed` with `worker_crashed`.
 */
export async function* withValues(events: AsyncIterable<NumberedEvent>) {
  for await (const event of events)
    yield isTerminal(event) && event.encoding === "devalue" ? withValue(event) : event;
}

function withValue({
  encoding: _,
  value,
  ...event
}: Extract<NumberedEvent, { type: "result" | "failed" }>): NumberedEvent {
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
