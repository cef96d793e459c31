/**
 * A queue that serves each client in the order of its requests, and clients in turn: no client can
 * hold up the others. An entry may wait for several items. It counts as so many, and takes turns
 * with the other entries of its client.
 */

export interface Entry {
  /** The items that it still waits for: at least 1 in the queue. Only the queue changes it. */
  count: number;
}

interface Line<T> {
  readonly entries: Set<T>;
  /** The items that its entries wait for together. */
  items: number;
}

export class Queue<T extends Entry> {
  /** Waiting entries by client. The map's order is the order of the clients' next turns. */
  readonly #lines = new Map<string, Line<T>>();
  #size = 0;

  /** The items that all entries wait for together. */
  get size(): number {
    return this.#size;
  }

  /** The least number of the entries; undefined when none waits. */
  least(numberOf: (entry: T) => number): number | undefined {
    let least: number | undefined;
    for (const { entries } of this.#lines.values())
      for (const entry of entries)
        least = Math.min(least ?? Number.POSITIVE_INFINITY, numberOf(entry));
    return least;
  }

  /** Puts an entry, for as many items as it counts, at the end of its client's line. */
  push(client: string, entry: T): void {
    let line = this.#lines.get(client);
    if (!line) {
      line = { entries: new Set(), items: 0 };
      this.#lines.set(client, line);
    }
    line.entries.add(entry);
    this.#add(client, line, entry.count);
  }

  /**
   * Serves the next entry one item. Its client's next turn comes after those of the others.
   *
   * @param isNext whether the client may have its turn now; if not, it keeps it. Default: each may.
   */
  shift(isNext: (client: string) => boolean = () => true): T | undefined {
    for (const [client, line] of this.#lines) {
      if (!isNext(client)) continue;
      for (const entry of line.entries) {
        line.entries.delete(entry);
        entry.count -= 1;
        if (entry.count > 0) line.entries.add(entry);
        this.#lines.delete(client);
        this.#lines.set(client, line);
        this.#add(client, line, -1);
        return entry;
      }
    }
    return undefined;
  }

  /**
   * Takes one item from the last entry of the longest line, where this client's line is shorter by
   * 2 or more. Returns that entry.
   */
  dropFor(client: string): T | undefined {
    const own = this.#lines.get(client)?.items ?? 0;
    let [longest, length] = ["", own + 1];
    for (const [each, { items }] of this.#lines)
      if (items > length) [longest, length] = [each, items];
    const last = [...(this.#lines.get(longest)?.entries ?? [])].at(-1);
    if (last) this.change(longest, last, last.count - 1);
    return last;
  }

  /** Takes an entry out of its line. False when the entry does not wait. */
  remove(client: string, entry: T): boolean {
    const line = this.#lines.get(client);
    if (!line?.entries.delete(entry)) return false;
    this.#add(client, line, -entry.count);
    return true;
  }

  /** Lets an entry wait for another number of items. It keeps its place, or joins, or leaves. */
  change(client: string, entry: T, count: number): void {
    const line = this.#lines.get(client);
    if (count > 0 && line?.entries.has(entry)) this.#add(client, line, count - entry.count);
    else this.remove(client, entry);
    const joins = entry.count === 0 && count > 0;
    entry.count = count;
    if (joins) this.push(client, entry);
  }

  /** Takes all entries out of their lines. */
  clear(): T[] {
    const entries = [...this.#lines.values()].flatMap((line) => [...line.entries]);
    for (const entry of entries) entry.count = 0;
    this.#lines.clear();
    this.#size = 0;
    return entries;
  }

  /**
   * The entries with their positions, 1 for the next, if no entry joins, changes or leaves. Entries
   * may come and go between two steps.
   */
  *inOrder(): Generator<[entry: T, position: number], void, undefined> {
    let lines = [...this.#lines.values()].map(({ entries, items }) => ({
      entries: entries.values(),
      items,
    }));
    let unseen = [...this.#lines.values()].reduce((sum, { entries }) => sum + entries.size, 0);
    for (
      let position = 1;
      unseen > 0 && lines.length > 0;
      lines = lines.filter(({ items }) => items > 0)
    )
      for (const line of lines) {
        line.items -= 1;
        const { value } = line.entries.next();
        if (value) {
          unseen -= 1;
          yield [value, position];
        }
        position += 1;
      }
  }

  /** The position of a client's entry; 0 for one that does not wait. */
  positionOf(client: string, entry: T): number {
    const own = this.#lines.get(client);
    if (!own?.entries.has(entry)) return 0;
    let turn = 0;
    for (const each of own.entries) {
      turn += 1;
      if (each === entry) break;
    }
    // The other clients have their turns before and after, as long as they wait.
    let position = 0;
    let before = 1;
    for (const line of this.#lines.values()) {
      if (line === own) before = 0;
      position += line === own ? turn : Math.min(line.items, turn - 1 + before);
    }
    return position;
  }

  #add(client: string, line: Line<T>, items: number): void {
    line.items += items;
    this.#size += items;
    if (line.items === 0) this.#lines.delete(client);
  }
}
