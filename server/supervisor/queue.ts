/**
 * A queue that serves each client in the order of its requests, and clients in turn: no client can
 * hold up the others.
 */

export class Queue<T> {
  /** Waiting items by client. The map's order is the order of the clients' next turns. */
  readonly #lines = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Puts an item at the end of its client's line. */
  push(client: string, item: T): void {
    const line = this.#lines.get(client);
    if (line) line.push(item);
    else this.#lines.set(client, [item]);
    this.#size += 1;
  }

  /**
   * Takes the next item. Its client's next turn comes after those of the other clients.
   *
   * @param isNext whether the client may have its turn now; if not, it keeps it. Default: each may.
   */
  shift(isNext: (client: string) => boolean = () => true): T | undefined {
    for (const [client, line] of this.#lines) {
      if (!isNext(client)) continue;
      const item = line.shift();
      this.#lines.delete(client);
      if (line.length > 0) this.#lines.set(client, line);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  /** Takes the last item of the longest line, where this client's line is shorter by 2 or more. */
  dropFor(client: string): T | undefined {
    let longest = this.#lines.get(client) ?? [];
    const own = longest.length;
    for (const line of this.#lines.values()) if (line.length > longest.length) longest = line;
    if (longest.length < own + 2) return undefined;
    this.#size -= 1;
    return longest.pop();
  }

  /** Takes an item out of its line. False when the item does not wait. */
  remove(client: string, item: T): boolean {
    const line = this.#lines.get(client);
    const index = line?.indexOf(item) ?? -1;
    if (!line || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) this.#lines.delete(client);
    this.#size -= 1;
    return true;
  }

  /** The waiting items, in the order in which they are served if no item joins or leaves. */
  *inOrder(): Generator<T, void, undefined> {
    let lines = [...this.#lines.values()];
    for (let turn = 0; lines.length > 0; turn++) {
      lines = lines.filter((line) => turn < line.length);
      for (const line of lines) yield line[turn] as T;
    }
  }
}
