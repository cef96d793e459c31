/** Asks members for their load: all of some members, or a random sample of many. */
import type { Load } from "../../../openapi/errors.ts";
import type { Member } from "./members.ts";

/** 5 members in the first sample. */
export const SAMPLE = 5;
/** 250 ms for a member to tell its load. */
export const PROBE_TIMEOUT_MS = 250;

/** Asks a member for its load in the pool. Rejects when the member does not answer. */
export type Probe = (member: Member, signal: AbortSignal) => Promise<Load>;

/** A random sample of the members, with the loads of those that answer in time. */
export async function sample(members: readonly Member[], probe: Probe) {
  return (await probeAll(take(shuffled(members), SAMPLE), PROBE_TIMEOUT_MS, probe)).answered;
}

/** Asks all of `members` at once. Tells slow members from those that fail at once. */
export async function probeAll(members: readonly Member[], timeoutMs: number, probe: Probe) {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  const answered: { member: Member; load: Load }[] = [];
  const slow: Member[] = [];
  let lastError: unknown;
  await Promise.all(
    members.map(async (member) => {
      try {
        answered.push({ member, load: await probe(member, timeout.signal) });
      } catch (error) {
        lastError = error;
        if (timeout.signal.aborted) slow.push(member);
      }
    }),
  );
  clearTimeout(timer);
  return { answered, slow, lastError };
}

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
