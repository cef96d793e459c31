/** Maps a function over inputs, in the children of a pool. */
import { PoolError } from "../../../openapi/errors.ts";
import type { CallOptions, FunctionSpec, Spec, TaskSpec, Work } from "../call-spec.ts";
import { specOf } from "../call-spec.ts";
import { type ArgumentsOf, type PoolFunction, sourceOf } from "../functions.ts";
import type { PoolInfo } from "../placement/access.ts";
import { type Finished, fanOut, type Inputs, isIterable } from "./fan-out.ts";
import { Retries, retried, wholeNumber } from "./retry.ts";

/** 1 minute for a call to wait for a slot. */
const WAIT_MS = 60_000;
/** 5 further tries for each input. */
export const RETRIES = 5;
/** 500 calls at a time by default: a member admits 1,000 streams for each token by default. */
const MAX_CONCURRENCY = 500;
/** The slots of the pool are counted again after 5 seconds: members join and leave. */
const COUNT_AGAIN_MS = 5_000;

/** How far a map has come. */
export interface MapProgress {
  /** The inputs whose calls have succeeded. */
  readonly done: number;
  /** The calls that are under way. */
  readonly running: number;
  /** The number of inputs; undefined where only reading them all would tell. */
  readonly total: number | undefined;
}

/** Options of `map`: its own, and those of each of its calls. */
export interface MapOptions extends Omit<CallOptions, "onProgress"> {
  /** Calls at a time. Default: the slots of the pool, counted every 5 seconds, up to 500. */
  readonly concurrency?: number | undefined;
  /**
   * Whether results come in the order of the inputs, or as their calls end. Default true.
   */
  readonly ordered?: boolean | undefined;
  /** Called when a call has succeeded. An error that it throws ends the map. */
  readonly onProgress?: ((progress: MapProgress) => void) | undefined;
}

/** The one argument that a function takes; `never` for a function that needs several. */
export type InputOf<F extends PoolFunction> =
  ArgumentsOf<F> extends readonly [infer I]
    ? I
    : number extends ArgumentsOf<F>["length"]
      ? ArgumentsOf<F>[number]
      : never;

/**
 * The results of a map, to be read once: one by one with `for await`, or all with `await`. The
 * first read starts the calls.
 */
export class MapResults<R> implements AsyncIterable<R>, PromiseLike<R[]> {
  readonly #start: (ordered: boolean) => AsyncGenerator<Finished<R>, void, undefined>;
  readonly #ordered: boolean;
  #isRead = false;
  #all: Promise<R[]> | undefined;

  constructor(
    start: (ordered: boolean) => AsyncGenerator<Finished<R>, void, undefined>,
    ordered: boolean,
  ) {
    this.#start = start;
    this.#ordered = ordered;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<R, void, undefined> {
    for await (const { value } of this.#read(this.#ordered)) yield value;
  }

  // biome-ignore lint/suspicious/noThenProperty: to await a map is to read all its results.
  then<A = R[], B = never>(
    onResults?: ((results: R[]) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#all ??= this.#collect();
    return this.#all.then(onResults, onError);
  }

  /** All results are kept anyway, so no call waits for the result of an earlier one. */
  async #collect(): Promise<R[]> {
    const results: R[] = [];
    for await (const { index, value } of this.#read(false))
      results[this.#ordered ? index : results.length] = value;
    return results;
  }

  #read(ordered: boolean): AsyncGenerator<Finished<R>, void, undefined> {
    if (this.#isRead)
      throw PoolError.of("invalid_request", "expected one reader of a map; it has been read");
    this.#isRead = true;
    return this.#start(ordered);
  }
}

/** The verbs that a map needs. */
export interface MapPorts {
  call(pool: string, spec: FunctionSpec | TaskSpec, options: CallOptions): Promise<unknown>;
  pool(pool: string): Promise<PoolInfo>;
}

export interface MapRequest extends MapOptions {
  readonly pool: string;
  readonly work: Work;
  readonly inputs: Inputs<unknown>;
}

/** @throws {PoolError} `invalid_request` for work, inputs or options that make no sense. */
export function mapped(
  ports: MapPorts,
  { pool, work, inputs, concurrency, ordered = true, onProgress, ...options }: MapRequest,
): MapResults<unknown> {
  const spec = specToMap(work);
  if (!isIterable(inputs))
    throw PoolError.of("invalid_request", `expected inputs to iterate over; got ${typeof inputs}`);
  const total = countOf(inputs);
  const { signal, retries = RETRIES } = options;
  wholeNumber("retries", retries, 0);
  const slots = slotsOf(() => retried(new Retries({ retries, signal }), () => ports.pool(pool)));
  const limit = concurrency === undefined ? slots : constant(concurrency);
  const { idempotencyKey: key = options.idempotencyKey } = spec;
  let index = 0;
  const call = (input: unknown, stop: AbortSignal) => {
    // The calls begin in the order of the inputs.
    const own = key === undefined ? {} : { idempotencyKey: `${key}/${index++}` };
    const one = { ...spec, ...own, args: [input] };
    return ports.call(pool, one, { ...options, retries, signal: stop });
  };
  return new MapResults(
    (inOrder) =>
      fanOut(call, {
        inputs,
        limit,
        ordered: inOrder,
        signal,
        onFinish: (done, running) => onProgress?.({ done, running, total }),
      }),
    ordered,
  );
}

/** Defaults of a map's calls: they wait, and their children stop with the map. */
export const MAP_DEFAULTS = { waitMs: WAIT_MS, link: true } as const;

function constant(concurrency: number): () => number {
  wholeNumber("concurrency", concurrency, 1);
  return () => concurrency;
}

/** The spec of each call, but for its argument. The source of a function is made once. */
function specToMap(work: Work): FunctionSpec | TaskSpec {
  const [spec]: [Spec, ...unknown[]] = specOf(work, []);
  if (spec.command !== undefined)
    throw PoolError.of("invalid_request", "expected a function or a task to map; got a command");
  const { args, ...rest } = spec;
  if (args?.length || spec.task?.args || (spec.function && "args" in spec.function))
    throw PoolError.of("invalid_request", "expected no args: each input of a map is the argument");
  return typeof rest.function === "function"
    ? { ...rest, function: { source: sourceOf(rest.function) } }
    : (rest as FunctionSpec | TaskSpec);
}

/** The number of inputs, where it is known without reading them. */
function countOf(inputs: Inputs<unknown>): number | undefined {
  const { length, size } = Object(inputs) as Record<PropertyKey, unknown>;
  const count = typeof inputs === "string" ? undefined : (length ?? size);
  return typeof count === "number" ? count : undefined;
}

/** The slots of a pool on the members that answer, at least 1. They are counted now and then. */
export function slotsOf(ask: () => Promise<PoolInfo>): () => Promise<number> {
  let slots = 0;
  let countedAt = 0;
  const count = async () => {
    countedAt = performance.now();
    const { members } = await ask();
    const max = members.reduce((sum, { load }) => sum + (load?.max ?? 0), 0);
    slots = Math.min(Math.max(max, 1), MAX_CONCURRENCY);
  };
  return async () => {
    if (slots === 0) await count();
    // Calls go on by the old number while the pool is asked, and when it does not answer.
    else if (performance.now() - countedAt > COUNT_AGAIN_MS) void count().catch(() => {});
    return slots;
  };
}
