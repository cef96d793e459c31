/** `dpool call -t` and `dpool attach`: this terminal is the child's until the child ends. */
import type { PoolEvent } from "../../../openapi/events.ts";
import { type Child, type DistributedPool, PoolError } from "../../../sdk/typescript/node.ts";
import { within } from "../../../sdk/typescript/time/within.ts";
import { OwnTerminal } from "./own-terminal.ts";
import { exitCodeOf } from "./signals.ts";

/** 1 s for the member to hear that the terminal has gone, and 1 s for the child to end. */
const HANGUP_TIMEOUT_MS = 1_000;
/** The signals that end this command, by default. */
const ENDING = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"] as const;

/** The person has left the child, or a signal has ended this command. */
class Left extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("left");
    this.exitCode = exitCode;
  }
}

export class Session {
  readonly terminal: OwnTerminal;
  readonly #leaving = new AbortController();
  readonly #pools: DistributedPool;
  readonly #ends: boolean;
  #child: Child | undefined;
  #left: Left | undefined;
  readonly #over = Promise.withResolvers<void>();

  /**
   * @param options `ends`: whether the child ends with the session. `leftCode`: the exit code when
   *   the person leaves.
   * @throws {UsageError} where stdin is no terminal.
   */
  constructor(
    pools: DistributedPool,
    { ends, leftCode }: { readonly ends: boolean; readonly leftCode: number },
  ) {
    this.#pools = pools;
    this.#ends = ends;
    this.terminal = new OwnTerminal(() => void this.#leave(leftCode));
  }

  /** Aborts when the session ends before the child. */
  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /**
   * Shows the child of these events until it ends.
   *
   * @param print prints events. Resolves with the child's exit code.
   * @returns the exit code of this command.
   */
  async run(
    events: AsyncIterable<PoolEvent>,
    print: (events: AsyncIterable<PoolEvent>) => Promise<number>,
  ): Promise<number> {
    const listeners = ENDING.map(
      (name) => [name, () => void this.#leave(exitCodeOf(name))] as const,
    );
    for (const [name, listener] of listeners) process.on(name, listener);
    try {
      return await print(this.#shown(events));
    } catch (error) {
      if (!this.#left) throw error;
      const then = this.#ends ? "is stopped" : "goes on";
      if (this.#child) process.stderr.write(`dpool: left; child ${this.#child.id} ${then}\n`);
      return this.#left.exitCode;
    } finally {
      for (const [name, listener] of listeners) process.off(name, listener);
    }
  }

  /** The events without progress, which would be drawn over what the child shows. */
  async *#shown(events: AsyncIterable<PoolEvent>): AsyncGenerator<PoolEvent> {
    let isBroken = true;
    try {
      for await (const event of events) {
        // The hangup may have ended the child.
        if (this.#left) throw this.#left;
        if (event.type === "placed") {
          const child = this.#pools.child(event.child.id);
          this.#child = child;
          this.terminal.open((size) => child.resize(size));
        }
        if (event.type === "result") isBroken = false;
        if (event.type === "result" || event.type === "failed") this.terminal.close(isBroken);
        if (event.type !== "progress") yield event;
      }
    } finally {
      this.terminal.close(isBroken);
      this.#over.resolve();
    }
  }

  /**
   * Hangs up. An interactive shell ignores the TERM that follows, and may look at the HUP only when
   * a key wakes it: the end of the keys is one.
   */
  async #leave(exitCode: number): Promise<void> {
    this.#left ??= new Left(exitCode);
    this.terminal.close(true);
    if (this.#ends && this.#child) {
      const hangUp = this.#child.signal("SIGHUP").catch(() => {});
      await within(HANGUP_TIMEOUT_MS, hangUp);
      this.terminal.keys.end();
      await within(HANGUP_TIMEOUT_MS, this.#over.promise);
    }
    this.#leaving.abort(this.#left);
  }
}

/** Types what arrives at this terminal, until the child takes no more. */
export async function typeInto(child: Child, { terminal, signal }: Session): Promise<void> {
  try {
    await child.write(terminal.keys, { signal });
  } catch (error) {
    if (!signal.aborted && !(error instanceof PoolError && error.code === "stdin_closed"))
      throw error;
  }
}
