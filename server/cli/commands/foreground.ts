/** A call in the foreground: what becomes of its child when the person, or the reader, leaves. */
import { isTerminalType, type PoolEvent } from "../../../openapi/events.ts";
import type { DistributedPool } from "../../../sdk/typescript/node.ts";
import { exitCodeOf } from "../terminal/signals.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type LeavingSignal = (typeof SIGNALS)[number];

export class Foreground {
  readonly #pools: DistributedPool;
  readonly #link: boolean;
  /** The child that runs; undefined before it was placed and after its end. */
  #child: string | undefined;
  #left: LeavingSignal | undefined;

  /** @param link whether the child stops when the command goes. */
  constructor(pools: DistributedPool, link: boolean) {
    this.#pools = pools;
    this.#link = link;
  }

  /** The exit code of a command that a signal has ended; undefined where none did. */
  get exitCode(): number | undefined {
    return this.#left && exitCodeOf(this.#left);
  }

  /**
   * The events of the call. While they come, a signal stops a linked child, whose last output still
   * comes; a second one leaves at once. A child that is not linked goes on, and stderr says so.
   */
  async *follow(events: AsyncIterable<PoolEvent>): AsyncGenerator<PoolEvent, void, undefined> {
    const handlers = SIGNALS.map((signal) => [signal, () => this.#leave(signal)] as const);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    process.on("exit", this.#tell);
    try {
      for await (const event of events) {
        if (event.type === "placed") this.#child = event.child.id;
        if (isTerminalType(event.type)) this.#child = undefined;
        yield event;
      }
    } finally {
      for (const [signal, handler] of handlers) process.off(signal, handler);
      process.off("exit", this.#tell);
    }
  }

  #leave(signal: LeavingSignal): void {
    const id = this.#child;
    if (id === undefined || !this.#link || this.#left) process.exit(exitCodeOf(signal));
    this.#left = signal;
    process.stderr.write(`dpool: stopping child ${id}; once more leaves at once\n`);
    // The end of the connection stops a linked child too.
    void this.#pools
      .child(id)
      .stop()
      .catch(() => process.exit(exitCodeOf(signal)));
  }

  /** Says that the child goes on, however the command ends. */
  #tell = (): void => {
    if (this.#child === undefined || this.#link) return;
    const id = this.#child;
    process.stderr.write(
      `dpool: child ${id} goes on; dpool logs -f ${id} shows it, dpool stop ${id} ends it\n`,
    );
  };
}
