/** Who is next: first come, first served for each client, in turns between clients, so that none of them can hold up the others. */

export class Queue<T> {
  /** Those that wait by client; the map's order is that of the clients' next turns. */
  readonly #lines = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Puts one at the end of its client's line. */
  push(client: string, item: T): void {
    const line = this.#lines.get(client);
    if (line) line.push(item);
    else this.#lines.set(client, [item]);
    this.#size += 1;
  }

  /** Takes the next one; its client's next turn comes after the others'. */
  shift(): T | undefined {
    for (const [client, line] of this.#lines) {
      const item = line.shift();
      this.#lines.delete(client);
      if (line.length > 0) this.#lines.set(client, line);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  /** Takes one out of its place. False when it does not wait. */
  remove(client: string, item: T): boolean {
    const line = this.#lines.get(client);
    const index = line?.indexOf(item) ?? -1;
    if (!line || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) this.#lines.delete(client);
    this.#size -= 1;
    return true;
  }

  /** Those that wait, in the order in which they will be served if nobody joins or leaves. */
  *inOrder(): Generator<T, void, undefined> {
    let lines = [...this.#lines.values()];
    for (let turn = 0; lines.length > 0; turn++) {
      lines = lines.filter((line) => turn < line.length);
      for (const line of lines) yield line[turn] as T;
    }
  }
}
