/** A part of the feed that readers share: that of this member, or that of the others. */
import type { FeedEntry } from "../../supervisor/feed/entry.ts";
import type { FeedLog } from "../../supervisor/feed/log.ts";

export interface FeedSource {
  readonly log: FeedLog;
  /** Names the log, so that a position is found in no other one. */
  readonly epoch: string;
  /** Begins to keep events. @returns a function that ends it, to be called once. */
  watch(): () => void;
  /** Resolves when the state is as complete as it can be. */
  settled(): Promise<unknown>;
  /** The state of now. It may be read bit by bit, while changes happen. */
  state(): Iterable<FeedEntry>;
}

/** The sources of a reader, and the key of what it sees of them: letters and digits. */
interface Seen {
  readonly sources: readonly FeedSource[];
  readonly key: string;
}

/** Positions in the logs of these sources as an id, which {@link positionsIn} reads. */
export function idOf({ sources, key }: Seen, positions: readonly number[]): string {
  return [...sources.map(({ epoch }, index) => `${epoch}.${positions[index]}`), key].join("-");
}

/**
 * The positions in an id. Undefined for one that another member gave, that a reader with another
 * key has, or that is too old.
 */
export function positionsIn(id: string | undefined, { sources, key }: Seen): number[] | undefined {
  const parts = id?.split("-") ?? [];
  if (parts.pop() !== key || parts.length !== sources.length) return undefined;
  const positions = sources.map(({ epoch, log }, index) => {
    const [, named, digits] = /^(\w+)\.(\d{1,15})$/.exec(parts[index] as string) ?? [];
    return named === epoch && log.has(Number(digits)) ? Number(digits) : undefined;
  });
  return positions.every((each) => each !== undefined) ? positions : undefined;
}
