/** One reader of the feed: the state, then the changes, no faster than the client takes them. */
import { pause } from "../../../sdk/typescript/time/pause.ts";
import { turns } from "../../../sdk/typescript/time/turns.ts";
import { within } from "../../../sdk/typescript/time/within.ts";
import { type FeedEntry, markEntry } from "../../supervisor/feed/entry.ts";
import { type FeedSource, idOf, positionsIn } from "./source.ts";

/** 100 ms pass after a batch that was not full. */
const BATCH_MS = 100;
/** 65,536 characters: a longer batch is written in pieces. */
const PIECE_CHARS = 65_536;
/** 2 seconds for the other members to tell their state. Later state follows as a change. */
const SETTLE_MS = 2_000;
/** No position has this id. A reader that was cut before its state was complete begins again. */
const NO_POSITION = "none";

/** The part of the feed that one reader may see, and asks for. */
export interface Sight {
  /** Names the part. A reader whose key changes gets the state again. */
  readonly key: string;
  passes(entry: FeedEntry): boolean;
  /** The event's JSON for this reader. */
  jsonOf(entry: FeedEntry): string;
}

export interface ReaderOptions {
  readonly sources: readonly FeedSource[];
  readonly sight: Sight;
  /** The id of the last event that the client has. Default: none. */
  readonly lastId: string | undefined;
  /** Ends the feed. */
  readonly signal: AbortSignal;
}

export class FeedReader {
  readonly #options: ReaderOptions;
  /** The key of the part that the client has. */
  #key: string;
  #positions: number[] | undefined;
  #wake: () => void = () => {};

  constructor(options: ReaderOptions) {
    this.#options = options;
    const { sources, sight, lastId, signal } = options;
    this.#key = sight.key;
    this.#positions = positionsIn(lastId, { sources, key: this.#key });
    signal.addEventListener("abort", () => this.#wake());
  }

  /** Looks again at the key of its sight. */
  look(): void {
    this.#wake();
  }

  /**
   * The feed in pieces of text, until the signal aborts. A reader that takes them slowly holds no
   * memory for it: it finds later that its position is gone, and gets the state again.
   */
  async *pieces(): AsyncGenerator<string, void, undefined> {
    const { sources, signal } = this.#options;
    const stops = sources.map((source) => source.watch());
    try {
      while (!signal.aborted) {
        const text = this.#takeChanges();
        if (text === undefined) yield* this.#state();
        else if (text === "") await this.#changed();
        else {
          yield text;
          if (text.length < PIECE_CHARS) await pause(BATCH_MS, signal).catch(() => {});
        }
      }
      const last = this.#takeChanges();
      if (last) yield last;
    } finally {
      for (const stop of stops) stop();
    }
  }

  /**
   * The changes behind the positions, which it moves. The last one has the id of them all.
   * Undefined where they are not kept, or where the client may see another part than before.
   */
  #takeChanges(): string | undefined {
    const { sources, sight } = this.#options;
    const positions = this.#positions;
    const isKept = (position: number, index: number) => sources[index]?.log.has(position);
    if (this.#key !== sight.key || !positions?.every(isKept)) return undefined;
    let text = "";
    let last: FeedEntry | undefined;
    for (const [index, { log }] of sources.entries()) {
      let position = positions[index] as number;
      for (; text.length < PIECE_CHARS; position++) {
        const entry = log.at(position);
        if (!entry) break;
        if (!sight.passes(entry)) continue;
        if (last) text += this.#frame(last);
        last = entry;
      }
      positions[index] = position;
    }
    return last ? text + this.#frame(last, this.#idOf(positions)) : text;
  }

  /** The state, and the positions of the changes that follow. */
  async *#state(): AsyncGenerator<string, void, undefined> {
    const { sources, sight } = this.#options;
    const positions: number[] = [];
    this.#key = sight.key;
    const turn = turns();
    let text = this.#frame(markEntry("reset"), NO_POSITION);
    for (const source of sources) {
      yield text;
      text = "";
      await within(SETTLE_MS, source.settled());
      positions.push(source.log.end);
      for (const entry of source.state()) {
        if (sight.passes(entry)) text += this.#frame(entry);
        if (text.length >= PIECE_CHARS) {
          yield text;
          text = "";
        }
        await turn();
      }
    }
    this.#positions = positions;
    yield text + this.#frame(markEntry("synced"), this.#idOf(positions));
  }

  #idOf(positions: readonly number[]): string {
    return idOf({ sources: this.#options.sources, key: this.#key }, positions);
  }

  #frame(entry: FeedEntry, id?: string): string {
    const head = id === undefined ? "" : `id: ${id}\n`;
    return `event: ${entry.type}\n${head}data: ${this.#options.sight.jsonOf(entry)}\n\n`;
  }

  /** Waits for a change, or for the end. */
  async #changed(): Promise<void> {
    const change = Promise.withResolvers<void>();
    this.#wake = change.resolve;
    const stops = this.#options.sources.map(({ log }) => log.onChange(change.resolve));
    await change.promise;
    for (const stop of stops) stop();
  }
}
