/**
 * Passes on the events of another member's child as bytes, over cuts of the connection to that
 * member.
 */
import { messageOf, PoolError, problem } from "../../openapi/errors.ts";
import { isTerminalType } from "../../openapi/events.ts";
import { memberOfChild } from "../../openapi/names.ts";
import type { Answer } from "../../sdk/typescript/http/client.ts";
import { openEvents, type ResumeOptions, resumed } from "../../sdk/typescript/http/resume.ts";
import type { NodeContext } from "../http/request.ts";
import { isOver } from "../http/response.ts";
import { EVENTS_TYPE, openSession, type Session } from "./events.ts";
import { type Frames, wholeFrames } from "./frames.ts";
import { discard, send } from "./send.ts";

const HEARTBEAT = ":\n\n";

/** The events of another member's child. */
export interface EventsRelay {
  readonly childId: string;
  readonly answer: Answer;
  /**
   * The id of the event behind which the answer begins; undefined where the first one kept comes
   * first.
   */
  readonly after: number | undefined;
  readonly through: ResumeOptions;
  /** The session of a stream that is open already. */
  readonly opened?: Promise<Session> | undefined;
}

/**
 * Passes on whole frames only, so that a cut stream resumes behind the last one. Where it cannot
 * resume,
 * it ends with a `failed` event of the gateway's own: `member_lost`, or `events_expired`.
 */
export function relayEvents(c: NodeContext, relay: EventsRelay): Promise<Response> {
  const { childId, answer, after, through, opened } = relay;
  const { outgoing } = c.env;
  let last: { readonly id: number | undefined; readonly type: string } = { id: after, type: "" };
  return send<Frames>(c, {
    headers: EVENTS_TYPE,
    pieces: resumed(answer, {
      ...through,
      read: ({ body }) => wholeFrames(body),
      advance: (frames) => {
        last = frames.last ?? last;
        return frames.last !== undefined;
      },
      isComplete: () => isTerminalType(last.type),
      reopen: () => {
        if (!isOver(outgoing)) outgoing.write(HEARTBEAT);
        return openEvents(childId, last.id, through);
      },
    }),
    discard: () => discard(answer.body),
    // The heartbeats of the other member pass through.
    open: () => opened ?? openSession(c, null),
    write: (_, { pieces }) => {
      for (const piece of pieces) outgoing.write(piece);
    },
    failed: (_, why) => {
      const failure =
        why instanceof PoolError && why.code === "events_expired"
          ? why.problem
          : problem(
              "member_lost",
              `member ${memberOfChild(childId)} was lost while the child ran: ${messageOf(why)}`,
            );
      const data = JSON.stringify({ type: "failed", problem: failure });
      outgoing.write(`event: failed\nid: ${(last.id ?? 0) + 1}\ndata: ${data}\n\n`);
    },
  });
}
