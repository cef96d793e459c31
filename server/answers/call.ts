/** Answers a call whose child runs on this member, in the form that the caller accepts. */
import type { Readable } from "node:stream";
import type { PoolEvent } from "../../openapi/events.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import { type NodeContext, onClientGone } from "../http/request.ts";
import type { Child } from "../supervisor/child.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";
import type { Form } from "./accept.ts";
import { nameChild, type Session, sendEvents } from "./events.ts";
import { sendStdout } from "./stdout.ts";
import { answerWhole } from "./whole.ts";

export interface Call {
  readonly spec: ChildSpec;
  readonly form: Form;
  /** The child's input, sent while the child runs; undefined when the spec has the input. */
  readonly input: Readable | undefined;
  /** Whether an earlier request started the child, and gave it its input. Default false. */
  readonly isRepeat?: boolean | undefined;
  /** The event behind which the stream of a repeated call begins. Default: all events. */
  readonly after?: number | undefined;
  /** The session of an answer that told positions before there was a child. */
  readonly opened?: Promise<Session> | undefined;
}

/**
 * Reads the child's log from its first event on, lossless: a slow caller slows the child down.
 *
 * @throws {PoolError} `events_expired` for a repeated call that would miss a part of the output; a
 *   stream tells of it by a `gap` instead.
 */
export function answerCall(
  c: NodeContext,
  child: Child,
  { spec: { link }, form, input, isRepeat = false, after = 0, opened }: Call,
): Promise<Response> {
  if (isRepeat) input?.destroy();
  // When the input breaks off, the child is stopped, and its ending says so.
  else if (input)
    void child.stdin
      .write(input, true)
      .catch(() => {})
      .finally(() => input.destroy());
  const repeat = isRepeat ? { after, whole: form !== "stream" } : {};
  nameChild(c, child.id);
  const reader = child.log.read({ lossless: true, ...repeat });
  onClientGone(c, () => {
    if (link || form === "json") reader.close();
    if (link) child.stop("cancelled", "the caller that the child was linked to went away");
  });
  if (form === "stream") return sendEvents(c, reader, opened);
  if (form === "raw") return sendStdout(c, reader);
  return answerWhole(c, eventsOf(reader));
}

function eventsOf(reader: LogReader): AsyncIterable<PoolEvent> {
  return {
    [Symbol.asyncIterator]() {
      const entries = reader[Symbol.asyncIterator]();
      return {
        async next() {
          const { done, value } = await entries.next();
          return done ? { done, value: undefined } : { value: value.event };
        },
        async return() {
          reader.end();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
