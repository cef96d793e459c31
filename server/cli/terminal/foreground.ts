/** A call in the foreground: what becomes of its child when the person, or the reader, leaves. */
import { isTerminalType, type PoolEvent } from "../../../openapi/events.ts";
import type { ChildReference } from "../../../openapi/types.gen.ts";
import type { DistributedPool } from "../../../sdk/typescript/node.ts";
import type { Parsed } from "../parse.ts";
import { exitCodeOf } from "./signals.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type LeavingSignal = (typeof SIGNALS)[number];

export class Foreground {
  readonly #pools: DistributedPool;
  readonly #link: boolean;
  readonly #flags: string;
  /** The child and its place, once it was placed. */
  placed: ChildReference | undefined;
  /** The child that runs; undefined before it was placed and after its end. */
  #child: string | undefined;
  #left: LeavingSignal | undefined;

  /** @param options `link`: whether the child stops when the command goes. */
  constructor(
    pools: DistributedPool,
    { link, parsed }: { readonly link: boolean; readonly parsed: Parsed },
  ) {
    this.#pools = pools;
    this.#link = link;
    this.#flags = addressIn(parsed);
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
        if (event.type === "placed") {
          this.placed = event.child;
          this.#child = event.child.id;
        }
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
    const named = `${id}${this.#flags}`;
    process.stderr.write(
      `dpool: child ${id} goes on; dpool logs -f ${named} shows it, dpool stop ${named} ends it\n`,
    );
  };
}

/** The flags by which another command finds the same pools. */
function addressIn({ values, flagged }: Parsed): string {
  const flags = (["url", "consul"] as const).filter((flag) => flagged.has(flag));
  return flags.map((flag) => ` --${flag} ${values[flag]}`).join("");
}
