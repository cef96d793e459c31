/**
 * A virtual clock. It replaces the timers and the clock of its process, so that real code runs in
 * virtual time: seconds of a pool pass as fast as the processor allows.
 */
interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Events in the order of their times; equals in the order in which they were added. */
class Heap {
  readonly #events: Event[] = [];
  #order = 0;

  push(at: number, run: () => void): void {
    let index = this.#events.push({ at, order: this.#order++, run }) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  pop(): Event | undefined {
    const events = this.#events;
    const [first] = events;
    const last = events.pop();
    if (events.length === 0 || !last) return first;
    events[0] = last;
    for (let index = 0; ; ) {
      const children = [2 * index + 1, 2 * index + 2].filter((child) => child < events.length);
      const least = children.reduce((a, b) => (this.#isBefore(b, a) ? b : a), index);
      if (least === index) return first;
      this.#swap(index, least);
      index = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#events[a], this.#events[b]];
    if (!one || !other) return false;
    return one.at < other.at || (one.at === other.at && one.order < other.order);
  }

  #swap(a: number, b: number): void {
    const one = this.#events[a] as Event;
    this.#events[a] = this.#events[b] as Event;
    this.#events[b] = one;
  }
}

export class VirtualClock {
  #now = 0;
  readonly #heap = new Heap();

  now = (): number => this.#now;

  /** Calls back after so many milliseconds. */
  after(ms: number, run: () => void): void {
    this.#heap.push(this.#now + ms, run);
  }

  /** Resolves after so many milliseconds. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Replaces the timers and `performance.now()` of this process. */
  install(): void {
    const cancelled = new Set<number>();
    let count = 0;
    const set = (run: () => void, ms = 0) => {
      const id = ++count;
      this.after(ms, () => {
        if (!cancelled.delete(id)) run();
      });
      return id;
    };
    const clear = (id: number) => cancelled.add(id);
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    Object.defineProperty(performance, "now", { value: this.now, configurable: true });
  }

  /** Runs events until `isOver`. The code between two moments runs to its end. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const event = this.#heap.pop();
      if (!event) return;
      this.#now = event.at;
      event.run();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
