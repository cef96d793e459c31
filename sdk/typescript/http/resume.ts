/** A child's events over cuts of the connection: read on after the last one that came, so that none is lost and none comes twice. */
import { PoolError } from "../../../openapi/errors.ts";
import { HEARTBEAT_MS } from "../../../openapi/events.ts";
import { pause } from "../time/pause.ts";
import type { ChildLocator } from "./child-locator.ts";
import { type Answer, type Client, neverSent } from "./client.ts";
import { type NumberedEvent, readEvents } from "./read-events.ts";

/** So many tries after a cut until the child counts as lost. */
const TRIES = 6;
/** The pause before the first try, in milliseconds; each further one is twice as long, give or take a half. */
const FIRST_PAUSE_MS = 100;

/** A child, and the last of its events that was read. */
export interface Position {
  readonly id?: string | undefined;
  readonly after?: number | undefined;
}

export interface ResumeOptions {
  readonly client: Client;
  readonly access: ChildLocator;
  readonly signal?: AbortSignal | undefined;
}

/** Opens a child's events after one of them; the answer is a 204 where that was the terminal one. @throws {PoolError} the problem that came back; the transport's own error. */
export async function openEvents(
  id: string,
  after: number | undefined,
  { client, access, signal }: ResumeOptions,
): Promise<Answer> {
  const answer = await client.send(`${await access.childUrl(id)}/events`, {
    accept: "text/event-stream",
    signal,
    ...(after === undefined ? {} : { headers: { "last-event-id": String(after) } }),
  });
  if (answer.statusCode >= 400) throw await client.problem(answer);
  return answer;
}

/** Opens a child's stream anew after a cut: a few times, with pauses that grow. */
export class Reconnect {
  readonly #open: () => Promise<Answer>;
  readonly #options: Pick<ResumeOptions, "access" | "signal">;
  #tries = 0;
  #openedAt = performance.now();

  /** @param open opens the stream where the reading was cut. */
  constructor(open: () => Promise<Answer>, options: Pick<ResumeOptions, "access" | "signal">) {
    this.#open = open;
    this.#options = options;
  }

  /** An event, or output, has come: the tries begin anew. */
  progressed(): void {
    this.#tries = 0;
  }

  /**
   * The stream, opened anew.
   *
   * @throws what cut it, when it has been tried often enough or its member is gone; the problem that came instead; the signal's reason.
   */
  async after(cut: unknown): Promise<Answer> {
    const { access, signal } = this.#options;
    // A child may be silent for longer than any connection lasts.
    if (performance.now() - this.#openedAt > HEARTBEAT_MS) this.#tries = 0;
    while (this.#tries < TRIES) {
      await pause(FIRST_PAUSE_MS * 2 ** this.#tries * (0.5 + Math.random()), signal);
      this.#tries += 1;
      try {
        const answer = await this.#open();
        this.#openedAt = performance.now();
        return answer;
      } catch (error) {
        if (signal?.aborted || (error instanceof PoolError && !error.retryable)) throw error;
        // A member whose port is closed took its children along.
        if (access.asksOwners && neverSent(error)) throw cut;
      }
    }
    throw cut;
  }
}

/**
 * The events of an answer, and where it is cut, of the child that it told of, up to and with the terminal one. What placed the child is
 * never sent again.
 *
 * @param known the child and the last event that was read, where the answer does not begin with them.
 * @throws {PoolError} `member_lost` when the stream was cut and cannot be gone on with; `events_expired` when what is missing is no longer kept.
 */
export async function* resumeEvents(
  answer: Answer,
  options: ResumeOptions,
  known: Position = {},
): AsyncGenerator<NumberedEvent, void, undefined> {
  let { id, after } = known;
  const reopening = new Reconnect(() => openEvents(id as string, after, options), options);
  for (let opened = answer; opened.statusCode !== 204; ) {
    let cut: unknown;
    try {
      for await (const event of readEvents(opened.body)) {
        reopening.progressed();
        if (event.type === "placed") id = event.child.id;
        after = event.id ?? after;
        yield event;
      }
      return;
    } catch (error) {
      if (options.signal?.aborted) throw error;
      cut = error;
    }
    if (id === undefined) throw cut;
    opened = await reopening.after(cut);
  }
}
