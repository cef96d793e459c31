/** Members in random order, and in batches. */
import type { Member } from "../members.ts";

/** Each further batch is 4 times as large as the last one. */
const GROWTH = 4;

/**
 * The items in random order. Each is made as it is drawn: k of them take time in proportion to k.
 * This is the Fisher-Yates shuffle on a sparse copy, which holds only the items that it swapped.
 *
 * @param random returns a number in [0, 1). Default `Math.random`.
 */
export function* shuffled<T>(
  items: readonly T[],
  random: () => number = Math.random,
): Generator<T, void, undefined> {
  const moved = new Map<number, T>();
  const at = (index: number) => moved.get(index) ?? (items[index] as T);
  for (let index = 0; index < items.length; index++) {
    const other = index + Math.floor(random() * (items.length - index));
    const chosen = at(other);
    moved.set(other, at(index));
    yield chosen;
  }
}

/**
 * The members in batches, each larger than the last one. Sick members come when no other is left.
 *
 * @param size of the first batch.
 */
export function* batches(
  draw: Iterable<Member>,
  size: number,
  mayTry: (member: Member) => boolean,
): Generator<Member[], void, undefined> {
  const sick: Member[] = [];
  const well = function* () {
    for (const member of draw)
      if (mayTry(member)) yield member;
      else sick.push(member);
  };
  for (const group of [well(), sick.values()]) {
    let count = size;
    for (let batch = take(group, count); batch.length > 0; batch = take(group, count)) {
      yield batch;
      count *= GROWTH;
    }
  }
}

/** The next `count` items of an iterator, which can be read on afterwards. */
export function take<T>(draw: Iterator<T, void>, count: number): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const next = draw.next();
    if (next.done) break;
    taken.push(next.value);
  }
  return taken;
}
