/** The bounds on the proxies of a member: for all children together, and for each child. */
import { Turns } from "./turns.ts";

/** Connections of one child at a time. A browser takes 32, npm takes 15. */
export const MAX_OF_CHILD = 64;
/** Connections of all children of a member at a time. Each takes two descriptors. */
const MAX_OF_ALL = 512;
/** A child that opens more connections in a window loses its proxy. */
const MAX_NEW = 1_000;
const NEW_WINDOW_MS = 10_000;
/** Log lines of all children in a window. */
const MAX_LINES = 20;
const LINES_WINDOW_MS = 60_000;

/** The most descriptors that the proxies of this many children take at a time. */
export function proxyDescriptors(children: number): number {
  return children + 2 * Math.min(children * MAX_OF_CHILD, MAX_OF_ALL);
}

/** Counts events in windows of time. Pure, except for the clock. */
class Window {
  readonly #max: number;
  readonly #ms: number;
  #count = 0;
  #from = 0;

  constructor(max: number, ms: number) {
    this.#max = max;
    this.#ms = ms;
  }

  /** Counts an event. Returns how many there are beyond the maximum. */
  add(): number {
    const now = performance.now();
    if (now - this.#from >= this.#ms) {
      this.#from = now;
      this.#count = 0;
    }
    this.#count += 1;
    return Math.max(0, this.#count - this.#max);
  }
}

/** The bounds that the children of a member share. */
export class SharedBounds {
  readonly #lines = new Window(MAX_LINES, LINES_WINDOW_MS);
  readonly #write: (message: string) => void;
  #open = 0;

  /** @param log receives what the proxies refuse, at most 20 lines a minute. */
  constructor(log: (message: string) => void) {
    this.#write = log;
  }

  log(message: string): void {
    const beyond = this.#lines.add();
    if (beyond === 0) this.#write(message);
    else if (beyond === 1) this.#write("more refusals of the proxy are not logged for a minute");
  }

  /** Counts a connection until the returned function is called; undefined where all are taken. */
  take(): (() => void) | undefined {
    if (this.#open === MAX_OF_ALL) return undefined;
    this.#open += 1;
    return () => {
      this.#open -= 1;
    };
  }
}

/** The bounds of one child. */
export class ChildBounds {
  readonly lookups = new Turns(1);
  readonly #connections = new Window(MAX_NEW, NEW_WINDOW_MS);

  /** Counts a new connection. Returns whether the child has opened too many. */
  hasExceeded(): boolean {
    return this.#connections.add() > 0;
  }
}
