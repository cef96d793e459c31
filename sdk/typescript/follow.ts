/** A child's events over cuts of the connection: read on after the last one that came, so that none is lost and none comes twice. */
import type { Access } from "./access.ts";
import { type Answer, type Client, neverSent } from "./client.ts";
import { PoolError } from "./errors.ts";
import { type NumberedEvent, readEvents } from "./events.ts";
import { pause } from "./pause.ts";

/** So many tries after a cut until the child counts as lost; each event that comes begins the count anew. */
const TRIES = 6;
/** The pause before the first try, in milliseconds; each further one is twice as long, give or take a half. */
const FIRST_PAUSE_MS = 100;

/** A child, and the last of its events that was read. */
export interface Position {
  readonly id?: string | undefined;
  readonly after?: number | undefined;
}

export interface FollowOptions {
  readonly client: Client;
  readonly access: Access;
  readonly signal?: AbortSignal | undefined;
}

/** Opens a child's events after one of them. @throws {PoolError} the problem that came back; the transport's own error. */
export async function openEvents(id: string, after: number | undefined, { client, access, signal }: FollowOptions): Promise<Answer> {
  const answer = await client.send(`${await access.childUrl(id)}/events`, {
    accept: "text/event-stream",
    signal,
    ...(after === undefined ? {} : { headers: { "last-event-id": String(after) } }),
  });
  if (answer.statusCode !== 200) throw await client.problem(answer);
  return answer;
}

/**
 * The events of an answer, and where it is cut, of the child that it told of, up to and with the terminal one. What placed the child is
 * never sent again.
 *
 * @param known the child and the last event that was read, where the answer does not begin with them.
 * @throws {PoolError} `member_lost` when the stream was cut and cannot be gone on with; `events_expired` when what is missing is no longer kept.
 */
export async function* followEvents(answer: Answer, options: FollowOptions, known: Position = {}): AsyncGenerator<NumberedEvent, void, undefined> {
  let { id, after } = known;
  let body: Answer["body"] | undefined = answer.body;
  let cut: unknown;
  for (let tries = 0; ; tries++) {
    try {
      if (body) {
        for await (const event of readEvents(body)) {
          tries = 0;
          if (event.type === "placed") id = event.child.id;
          after = event.id ?? after;
          yield event;
        }
        return;
      }
    } catch (error) {
      if (options.signal?.aborted) throw error;
      cut = error;
    }
    if (id === undefined || tries === TRIES) throw cut;
    await pause(FIRST_PAUSE_MS * 2 ** tries * (0.5 + Math.random()), options.signal);
    try {
      body = (await openEvents(id, after, options)).body;
    } catch (error) {
      // A problem is an answer; and a member whose port is closed took its children along.
      if (error instanceof PoolError || options.signal?.aborted) throw error;
      if (options.access.asksOwners && neverSent(error)) throw cut;
      body = undefined;
    }
  }
}
