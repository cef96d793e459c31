/** A set from which different items are drawn at random. */

/** An item that knows its place in the list; -1 while it is in none. */
interface Listed {
  index: number;
}

/** To add, to remove and to draw an item take the same time in any list. */
export class DrawList<T extends Listed> {
  readonly #items: T[] = [];

  /** Puts the item into the list, or takes it out. */
  set(item: T, isIn: boolean): void {
    if (isIn === item.index >= 0) return;
    if (isIn) item.index = this.#items.push(item) - 1;
    else {
      this.#swap(item, this.#items.at(-1) as T);
      this.#items.pop();
      item.index = -1;
    }
  }

  /**
   * Up to `count` different items that pass, in random order.
   *
   * @param random returns a number in [0, 1).
   */
  draw(count: number, random: () => number, passes: (item: T) => boolean): T[] {
    const drawn: T[] = [];
    for (let rest = this.#items.length; rest > 0 && drawn.length < count; rest--) {
      const item = this.#items[Math.floor(random() * rest)] as T;
      this.#swap(item, this.#items[rest - 1] as T);
      if (passes(item)) drawn.push(item);
    }
    return drawn;
  }

  #swap(one: T, other: T): void {
    [one.index, other.index] = [other.index, one.index];
    this.#items[one.index] = one;
    this.#items[other.index] = other;
  }
}
