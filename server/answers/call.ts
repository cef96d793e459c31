/** Answers a call whose child runs on this member, in the form that the caller accepts. */
import type { Readable } from "node:stream";
import type { PoolEvent } from "../../openapi/events.ts";
import { type NodeContext, onClientGone } from "../http/request.ts";
import type { Child } from "../supervisor/child.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";
import type { Form } from "./accept.ts";
import { CHILD_HEADER, type EarlyStream, sendEvents } from "./events.ts";
import { sendStdout } from "./stdout.ts";
import { answerWhole } from "./whole.ts";

/** The form of answer, and the parts of the request that concern the stream. */
export interface CallAnswer {
  readonly form: Form;
  /** Whether the child stops when the caller goes. */
  readonly link: boolean;
  /** The child's input as it comes. */
  readonly input: Readable | undefined;
  /** Where the caller may have read positions of a queue already. */
  readonly stream: EarlyStream;
}

/** Reads the child's log from its first event on, lossless: a slow caller slows the child down. */
export function answerCall(c: NodeContext, child: Child, call: CallAnswer): Promise<Response> {
  const { form, link, input, stream } = call;
  const { outgoing } = c.env;
  // Where the input breaks off, the child's ending says so.
  if (input)
    void child.stdin
      .write(input, true)
      .catch(() => {})
      .finally(() => input.destroy());
  const reader = child.log.read({ lossless: true });
  const gone = () => {
    if (link || form === "json") reader.close();
    if (link) child.stop("cancelled", "the caller that the child was linked to went away");
  };
  if (!outgoing.headersSent) outgoing.setHeader(CHILD_HEADER, child.id);
  if (form === "stream") return sendEvents(c, reader, { gone, opened: stream.session });
  if (form === "raw") return sendStdout(c, reader, { gone });
  onClientGone(c, gone);
  return answerWhole(c, eventsOf(reader));
}

async function* eventsOf(reader: LogReader): AsyncGenerator<PoolEvent, void, undefined> {
  for await (const { event } of reader) yield event;
}
