/** Reads a child's stream over cuts of the connection: no event is lost, and none comes twice. */
import { errorFor, PoolError, type Problem } from "../../../openapi/errors.ts";
import { HEARTBEAT_MS, isTerminal } from "../../../openapi/events.ts";
import type { ChildReference } from "../../../openapi/types.gen.ts";
import { pause } from "../time/pause.ts";
import type { Answer, Client, Lines } from "./client.ts";
import { neverSent } from "./faults.ts";
import { type NumberedEvent, type ParseEvent, readEvents } from "./read-events.ts";

/** After a cut, a child counts as lost once the stream could not be reopened 6 times in a row. */
const TRIES = 6;
/** 100 ms pass before the first try, give or take a half; each further pause is twice as long. */
const FIRST_PAUSE_MS = 100;

/** Where to ask for a child. */
export interface ChildLocator {
  /**
   * Whether a child's own member is asked for it. If so, a refused connection means that the child
   * is gone with its member; a gateway that refuses one says nothing about the child.
   */
  readonly asksOwners: boolean;
  /** The URL of the child, at its own member or at the gateway. */
  childUrl(id: string): Promise<string>;
  /**
   * The URL of a child at its own member, for a stream that a gateway handed over; undefined where
   * the URL may not be followed.
   */
  directUrl?(child: ChildReference): string | undefined;
}

export interface ResumeOptions {
  /** Parses the data of events. Default `JSON.parse`. */
  readonly parse?: ParseEvent | undefined;
  readonly client: Client;
  readonly access: ChildLocator;
  readonly signal?: AbortSignal | undefined;
  /** The lines of the events. Default `long`. */
  readonly lines?: Lines | undefined;
}

/** A request for a child's events. */
interface OpenOptions extends ResumeOptions {
  /** The URL of the child. Default: that of `access`. */
  readonly childUrl?: string | undefined;
}

/** A stream that can be reopened where a cut ended it. `T` is one piece of it. */
interface Resumable<T> extends Pick<ResumeOptions, "access" | "signal"> {
  /** The pieces of one answer, up to the end of the child or to the cut. */
  read(answer: Answer): AsyncIterable<T> | Iterable<T>;
  /** Notes where the stream resumes after this piece. Only pieces that move it are progress. */
  advance(piece: T): boolean;
  /** Whether an answer that was read to its end was the whole rest. Default: it always is. */
  isComplete?(answer: Answer): boolean;
  /** Whether it is known where the stream resumes. Default: it always is. */
  canReopen?(): boolean;
  /** Opens the stream behind the last piece that was noted. */
  reopen(): Promise<Answer>;
}

/**
 * The pieces of a stream, from its first answer on and over every cut. Each cut is followed by up
 * to 6 tries to reopen the stream, with pauses that double from 100 ms. Progress resets the tries.
 *
 * @throws what cut the stream, once the tries are used up or the child's member is gone; the
 *   problem that came instead of the stream; the reason of the signal.
 */
export async function* resumed<T>(first: Answer, stream: Resumable<T>) {
  const { access, signal } = stream;
  let tries = 0;
  for (let answer: Answer | undefined = first; answer; ) {
    const openedAt = performance.now();
    let cut: unknown = new Error("the stream ended before the end of the child");
    try {
      for await (const piece of stream.read(answer)) {
        if (stream.advance(piece)) tries = 0;
        yield piece;
      }
      if (stream.isComplete?.(answer) ?? true) return tellEnd(first);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      cut = error;
    }
    if (stream.canReopen?.() === false) throw cut;
    // A child may be silent for longer than any connection lasts.
    if (performance.now() - openedAt > HEARTBEAT_MS) tries = 0;
    for (answer = undefined; !answer; tries++) {
      if (tries === TRIES) throw cut;
      await pause(FIRST_PAUSE_MS * 2 ** tries * (0.5 + Math.random()), signal);
      answer = await stream.reopen().catch((error: unknown) => {
        if (signal?.aborted) throw signal.reason;
        if (error instanceof PoolError && !mayPass(error)) throw error;
        // A member whose port is closed took its children along.
        if (access.asksOwners && neverSent(error)) throw cut;
        return undefined;
      });
    }
  }
}

/** Tells once that the end of the child has been read. */
function tellEnd(answer: Answer): void {
  answer.onEnd?.();
  answer.onEnd = undefined;
}

/** Whether another try may get the stream: behind the same URL, another gateway may answer. */
const mayPass = ({ code, retryable }: PoolError) => retryable || code === "draining";

/**
 * Opens a child's events behind one of them. The answer is a 204 where that one was the terminal
 * event.
 *
 * @param after the id of the last event that was read; undefined for all that the member still
 *   keeps.
 * @throws {PoolError} the problem that came back; the transport's own error.
 */
export async function openEvents(
  id: string,
  after: number | undefined,
  { client, access, signal, childUrl, lines }: OpenOptions,
): Promise<Answer> {
  const answer = await client.send(`${childUrl ?? (await access.childUrl(id))}/events`, {
    accept: "text/event-stream",
    lines,
    signal,
    ...(after !== undefined && { headers: { "last-event-id": String(after) } }),
  });
  if (answer.status >= 400) throw await client.problem(answer);
  return answer;
}

/**
 * The events of an answer. A gateway that is about to leave ends its answer with an event that
 * names the child, which runs on.
 *
 * @param handedOver receives that child. The event itself is thrown as an error.
 */
async function* untilHandedOver(
  events: AsyncIterable<NumberedEvent>,
  handedOver: (child: ChildReference) => void,
) {
  for await (const event of events) {
    if (event.type === "failed" && event.problem.code === "draining" && event.child) {
      handedOver(event.child);
      throw errorFor(event.problem as Problem);
    }
    yield event;
  }
}

/**
 * The events of a child up to and with the terminal one, from an answer that has been opened. After
 * a cut, and after a handover, they are read from the child; the request that placed the child is
 * never sent again.
 *
 * @param known the child and its last event that was read, where the answer does not begin with
 *   them.
 * @throws {PoolError} `member_lost` when the stream was cut and cannot resume; `events_expired`
 *   when the member no longer keeps the events that are missing.
 */
export async function* resumeEvents(
  answer: Answer,
  options: ResumeOptions,
  known?: { readonly id: string; readonly after: number | undefined },
) {
  let { id, after } = known ?? {};
  /** The URL of the child at its own member, as long as that answers. */
  let childUrl: string | undefined;
  const handedOver = (child: ChildReference) => {
    id = child.id;
    childUrl = options.access.directUrl?.(child);
  };
  const events = resumed(answer, {
    ...options,
    read: ({ status, body }) =>
      status === 204 ? [] : untilHandedOver(readEvents(body, options.parse), handedOver),
    advance: (event) => {
      if (event.type === "placed") id = event.child.id;
      if (isTerminal(event)) tellEnd(answer);
      after = event.id ?? after;
      return true;
    },
    canReopen: () => id !== undefined,
    reopen: async () => {
      const open = () => openEvents(id as string, after, { ...options, childUrl });
      if (childUrl === undefined) return open();
      return open().catch(() => {
        childUrl = undefined;
        return open();
      });
    },
  });
  try {
    yield* events;
  } catch (error) {
    throw id === undefined ? error : whileAdmitted(error);
  }
}

/** The same error of a stream that was cut, of a child that has certainly been admitted. */
function whileAdmitted(error: unknown): unknown {
  if (!(error instanceof PoolError)) return error;
  // A gateway of another version may hand a stream over without a word on the child.
  const isUnknown = error.code === "draining" && error.admitted === undefined;
  if (error.code !== "member_lost" && !isUnknown) return error;
  return errorFor({ ...error.problem, admitted: true }, { cause: error });
}
