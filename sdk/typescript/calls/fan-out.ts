/** Runs one function over many inputs, a bounded number of them at a time. */
import { within } from "../time/within.ts";

/** 5 seconds for the calls that were stopped to end. */
const STOP_MS = 5_000;

/** Where inputs come from. They are read one at a time, and only when a call may start. */
export type Inputs<I> = Iterable<I> | AsyncIterable<I>;

export interface FanOutOptions<I> {
  readonly inputs: Inputs<I>;
  /** The number of calls at a time, asked before each input is read. */
  limit(): number | Promise<number>;
  /** Whether results are yielded in the order of the inputs. */
  readonly ordered: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called when a call has succeeded, with the calls that have and those that still run. */
  onFinish?(done: number, running: number): void;
}

/** The result of one input, with the position of the input, from 0 on. */
export interface Finished<R> {
  readonly index: number;
  readonly value: R;
}

/**
 * Yields the result of each input. At most `limit` calls run. They and the results that wait to be
 * read are at most twice as many, so a slow reader holds back further calls.
 *
 * A failure, the signal, or a reader that leaves ends it all: no further input is read, the inputs
 * are closed, and the calls are aborted.
 *
 * @param work makes one call, and ends when its signal aborts.
 * @throws the first failure, of a call with the position of its input as `index`; the reason of the
 *   signal.
 */
export function fanOut<I, R>(
  work: (input: I, signal: AbortSignal) => Promise<R>,
  options: FanOutOptions<I>,
): AsyncGenerator<Finished<R>, void, undefined> {
  return new FanOut(work, options).results();
}

type Opening = Partial<Iterable<unknown> & AsyncIterable<unknown>>;

/** Whether a value can be iterated over. */
export function isIterable(value: unknown): boolean {
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = Object(value) as Opening;
  return typeof (later ?? now) === "function";
}

function iteratorOf<I>(inputs: Inputs<I>): Iterator<I> | AsyncIterator<I> {
  const { [Symbol.asyncIterator]: open } = inputs as AsyncIterable<I>;
  return open ? open.call(inputs) : (inputs as Iterable<I>)[Symbol.iterator]();
}

class FanOut<I, R> {
  readonly #work: (input: I, signal: AbortSignal) => Promise<R>;
  readonly #options: FanOutOptions<I>;
  readonly #stop = new AbortController();
  /** The results that wait to be read, by the position of their input. */
  readonly #waiting = new Map<number, R>();
  #iterator: Iterator<I> | AsyncIterator<I> | undefined;
  #isReading = false;
  #isExhausted = false;
  #started = 0;
  #running = 0;
  #done = 0;
  #yielded = 0;
  #failure: { readonly error: unknown } | undefined;
  #sleepers: (() => void)[] = [];

  constructor(work: (input: I, signal: AbortSignal) => Promise<R>, options: FanOutOptions<I>) {
    this.#work = work;
    this.#options = options;
  }

  async *results(): AsyncGenerator<Finished<R>, void, undefined> {
    const { signal } = this.#options;
    const abort = () => this.#fail(signal?.reason);
    signal?.addEventListener("abort", abort, { signal: this.#stop.signal });
    try {
      if (signal?.aborted) abort();
      else void this.#startCalls();
      for (;;) {
        if (this.#failure) throw this.#failure.error;
        const next = this.#take();
        if (next) {
          this.#wake();
          yield next;
        } else if (this.#isExhausted && this.#running === 0) return;
        else await this.#change();
      }
    } finally {
      this.#stop.abort();
      this.#wake();
      await within(STOP_MS, Promise.all([this.#idle(), this.#closeInputs()]));
    }
  }

  /** Reads inputs and starts their calls, as long as there is room. It never rejects. */
  async #startCalls(): Promise<void> {
    const { inputs, limit } = this.#options;
    try {
      const iterator = iteratorOf(inputs);
      this.#iterator = iterator;
      while (!this.#stop.signal.aborted) {
        const max = await limit();
        if (this.#running >= max || this.#running + this.#waiting.size >= 2 * max) {
          await this.#change();
          continue;
        }
        if (this.#stop.signal.aborted) return;
        this.#isReading = true;
        const next = await iterator.next();
        this.#isReading = false;
        if (next.done) this.#isExhausted = true;
        if (next.done || this.#stop.signal.aborted) return;
        void this.#call(this.#started++, next.value);
      }
    } catch (error) {
      // Inputs that have thrown are closed.
      if (this.#isReading) this.#isExhausted = true;
      this.#fail(error);
    } finally {
      this.#wake();
    }
  }

  /** Makes one call. It never rejects. */
  async #call(index: number, input: I): Promise<void> {
    this.#running += 1;
    try {
      this.#waiting.set(index, await this.#work(input, this.#stop.signal));
      this.#done += 1;
    } catch (error) {
      // A call that was stopped rejects with the reason of the stop, which is not its own.
      if (error instanceof Error && !this.#stop.signal.aborted)
        Reflect.defineProperty(error, "index", { value: index, enumerable: true });
      this.#fail(error);
    }
    this.#running -= 1;
    try {
      if (!this.#stop.signal.aborted) this.#options.onFinish?.(this.#done, this.#running);
    } catch (error) {
      this.#fail(error);
    }
    this.#wake();
  }

  #take(): Finished<R> | undefined {
    const index = this.#options.ordered ? this.#yielded : this.#waiting.keys().next().value;
    if (index === undefined || !this.#waiting.has(index)) return undefined;
    const value = this.#waiting.get(index) as R;
    this.#waiting.delete(index);
    this.#yielded += 1;
    return { index, value };
  }

  /** Keeps the first failure, and stops the calls. */
  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#failure = { error };
    this.#stop.abort(error);
    this.#wake();
  }

  async #idle(): Promise<void> {
    while (this.#running > 0) await this.#change();
  }

  /** Closes inputs that have not ended. The first failure, or the reader, has ended the map. */
  async #closeInputs(): Promise<void> {
    if (this.#isExhausted) return;
    const closed = (async () => this.#iterator?.return?.())().catch(() => {});
    // Inputs that are being read may never come, and close only behind the next one.
    if (!this.#isReading) await closed;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#sleepers.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#sleepers.splice(0)) resolve();
  }
}
