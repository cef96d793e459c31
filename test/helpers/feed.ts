/** Readers of the feed: each keeps its events, and is closed when the test ends. */
import { onTestFinished } from "vitest";
import type { FeedEvent } from "../../openapi/schemas/state/feed.ts";
import { frames } from "../../sdk/typescript/http/read-events.ts";
import { within } from "./wait.ts";

const WAIT_MS = 20_000;

export type Seen = FeedEvent & { readonly id: string | undefined };
type Of<T extends FeedEvent["type"]> = Extract<Seen, { readonly type: T }>;

export interface FeedWish {
  /** The query, such as `type=child`. Default: none. */
  readonly query?: string;
  readonly token?: string | undefined;
  readonly lastId?: string | undefined;
}

export class Watcher {
  readonly events: Seen[] = [];
  /** The id of the last event that had one. */
  lastId: string | undefined;
  /** Resolves when the feed has ended, well or not. */
  readonly ended: Promise<void>;
  readonly #abort: AbortController;
  #wake: () => void = () => {};

  constructor(body: AsyncIterable<Uint8Array>, abort: AbortController) {
    this.#abort = abort;
    this.ended = this.#read(body).catch(() => {});
  }

  async #read(body: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const { data, id } of frames(body)) {
      this.lastId = id ?? this.lastId;
      this.events.push({ ...(JSON.parse(data) as FeedEvent), id });
      this.#wake();
    }
  }

  /** Waits for an event of this type that passes, among those that have come and that will. */
  async event<T extends FeedEvent["type"]>(
    type: T,
    passes: (event: Of<T>) => boolean = () => true,
  ): Promise<Of<T>> {
    const find = async () => {
      for (let next = 0; ; ) {
        for (; next < this.events.length; next++) {
          const event = this.events[next] as Of<T>;
          if (event.type === type && passes(event)) return event;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    const seen = () => JSON.stringify(this.events.map(({ type }) => type));
    return within(`an event ${type} ${passes}`, WAIT_MS, find()).catch((error) => {
      throw new Error(`${error.message}; seen: ${seen()}`);
    });
  }

  close(): Promise<void> {
    this.#abort.abort();
    return this.ended;
  }
}

export async function watch(url: string, wish: FeedWish = {}): Promise<Watcher> {
  const { query = "", token, lastId } = wish;
  const abort = new AbortController();
  const response = await fetch(`${url}/events?${query}`, {
    signal: abort.signal,
    headers: {
      accept: "text/event-stream",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(lastId !== undefined && { "last-event-id": lastId }),
    },
  });
  if (response.status !== 200 || !response.body)
    throw new Error(`expected a feed; got ${response.status}: ${await response.text()}`);
  const watcher = new Watcher(response.body, abort);
  onTestFinished(() => watcher.close());
  return watcher;
}
