/** A function as its source, and its arguments as JSON: what can travel, and a clear error for what cannot. */
import { PoolError } from "../../openapi/errors.ts";

/** What a function finds after its arguments. */
export interface PoolContext {
  readonly member: string;
  readonly pool: string;
  readonly childId: string;
  /** Aborts when the child is told to stop: on request, at its deadline, or because its member drains or stops. KILL follows after the grace. */
  readonly signal: AbortSignal;
  /** When the child will be stopped, in milliseconds since the epoch; null if never. */
  readonly deadline: number | null;
  /**
   * Says how far the function has come, as often as it likes: of what comes too fast the latest is told. What makes no sense is dropped.
   *
   * @param done how much is done, in a unit of your own.
   * @param total how much there is in all, in the same unit.
   * @param message what it is about, for people: one line, cut after 200 characters.
   */
  progress(done: number, total?: number, message?: string): void;
}

/** Any function that may be sent. */
// biome-ignore lint/suspicious/noExplicitAny: the arguments are the function's own.
export type PoolFunction = (...args: any[]) => unknown;

declare const runs: unique symbol;

/** What stands for a function that runs elsewhere: only the compiler knows its type. */
export interface Runs<F extends PoolFunction> {
  readonly [runs]?: F;
}

/** The function that a module exports under a name. */
export type FunctionAt<M, K extends string> = K extends keyof M
  ? M[K] extends PoolFunction
    ? M[K]
    : never
  : never;

type IsContext<T> = 0 extends T & 1 ? false : T extends PoolContext ? true : false;
type WithoutContext<P extends unknown[]> = P extends [...infer A, infer L]
  ? IsContext<L> extends true
    ? A
    : P
  : P;
/** All parameters but the context. None is optional: the context follows the last argument that is given. */
type Arguments<F extends PoolFunction> = WithoutContext<Required<Parameters<F>>>;

/** What a function is called with; `never` for one that would take the context for an argument of another type. */
export type ArgumentsOf<F extends PoolFunction> = F extends (
  ...args: [...Arguments<F>, PoolContext]
) => unknown
  ? Arguments<F>
  : never;

const describe = (fn: PoolFunction) => (fn.name ? `function ${fn.name}` : "the function");

/**
 * The source of a function, as one expression.
 *
 * @throws {PoolError} `invalid_request` for a native, bound or class function, whose source says nothing.
 */
export function sourceOf(fn: PoolFunction): string {
  const source = Function.prototype.toString.call(fn);
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw PoolError.of(
      "invalid_request",
      `expected a function with JavaScript source; ${describe(fn)} is native or bound and has none`,
    );
  }
  if (/^class\b/.test(source))
    throw PoolError.of("invalid_request", `expected a function; got class ${fn.name}`);
  if (isExpression(source)) return source;
  // A method (`name() {}`) is an expression only inside an object.
  return `Object.values({${source}})[0]`;
}

function isExpression(source: string): boolean {
  try {
    new Function(`return (${source}\n)`);
    return true;
  } catch (error) {
    // Where code may not be made from text, most functions are expressions.
    return !(error instanceof SyntaxError);
  }
}

/**
 * The arguments as the JSON that will be sent.
 *
 * @throws {PoolError} `invalid_request` for a value that JSON would change or lose, with its place.
 */
export function checkArguments(args: readonly unknown[]): void {
  const seen = new Set<object>();
  const refuse = (path: string, what: string): never => {
    throw PoolError.of(
      "invalid_request",
      `expected arguments that JSON can carry; ${path} is ${what}`,
    );
  };
  const visit = (value: unknown, path: string): void => {
    if (value === null || typeof value === "string" || typeof value === "boolean") return;
    if (typeof value === "number") {
      if (!Number.isFinite(value)) refuse(path, String(value));
      return;
    }
    if (typeof value !== "object") {
      refuse(
        path,
        value === undefined
          ? "undefined"
          : typeof value === "function"
            ? "a function: send its source or a name instead"
            : `a ${typeof value}`,
      );
      return;
    }
    if (seen.has(value)) refuse(path, "part of a cycle");
    seen.add(value);
    if (Array.isArray(value))
      for (const [index, item] of value.entries()) visit(item, `${path}[${index}]`);
    else {
      const prototype = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null)
        refuse(path, `an instance of ${value.constructor?.name ?? "a class"}`);
      for (const [key, item] of Object.entries(value))
        if (item !== undefined) visit(item, `${path}.${key}`);
    }
    seen.delete(value);
  };
  for (const [index, value] of args.entries()) visit(value, `argument ${index + 1}`);
}
