/** The relay: another member's stream, passed on as bytes, whole frames only, so that one that is cut can go on where it was. */
import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { messageOf, PoolError, problem } from "../../openapi/errors.ts";
import { isTerminalType } from "../../openapi/events.ts";
import { memberOfChild } from "../../openapi/names.ts";
import type { Answer } from "../../sdk/typescript/http/client.ts";
import { Reconnect, type ResumeOptions } from "../../sdk/typescript/http/resume.ts";
import type { NodeContext } from "../http/request.ts";
import { cutOff, drained } from "../http/response.ts";
import { headOnly, openSession, type Session, STREAM_TYPE } from "./events.ts";

/** A frame is never longer: a result of 16 MiB with each of its bytes escaped. */
const MAX_FRAME_BYTES = 128 * 1024 * 1024;
const HEARTBEAT = ":\n\n";
const NEWLINE = 10;
const FRAME_END = Buffer.from("\n\n");

/** A stream of another member that is passed on. */
export interface Relayed {
  readonly childId: string;
  /** The id of the event behind which it begins; undefined where it begins with the first one kept. */
  readonly after: number | undefined;
  readonly body: Readable;
  /** Opens the stream anew, behind the event of this id; undefined for what is kept. */
  reopen(after: number | undefined): Promise<Answer>;
  /** Where the pools are, and what ends the waiting. */
  readonly options: Pick<ResumeOptions, "access" | "signal">;
}

/**
 * Passes another member's stream on as bytes, whole frames only: so one that is cut goes on where it was, and where it cannot, it ends with a
 * `failed` of its own: `member_lost`, or `events_expired`. `opened` is the stream where one has been opened already.
 */
export async function relayStream(
  c: NodeContext,
  relayed: Relayed,
  opened?: Promise<Session>,
): Promise<Response> {
  if (c.req.method === "HEAD") return headOnly(relayed.body, STREAM_TYPE);
  const { outgoing } = c.env;
  // The heartbeats of the other side pass through.
  const session = await (opened ?? openSession(c, null));
  void relay(session, outgoing, relayed).catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}

async function relay(
  session: Session,
  outgoing: ServerResponse,
  { childId, after, body, reopen, options }: Relayed,
): Promise<void> {
  let last: { readonly id: number | undefined; readonly type: string } = { id: after, type: "" };
  const reopening = new Reconnect(() => {
    if (session.isConnected) outgoing.write(HEARTBEAT);
    return reopen(last.id);
  }, options);
  try {
    for (let source = body; ; ) {
      let cut: unknown = new Error("its stream ended before the terminal event");
      try {
        for await (const frames of wholeFrames(source)) {
          if (frames.last) reopening.progressed();
          last = frames.last ?? last;
          for (const piece of frames.pieces) outgoing.write(piece);
          if (!(await drained(outgoing))) return;
        }
      } catch (error) {
        cut = error;
      }
      if (isTerminalType(last.type)) break;
      source = (await reopening.after(cut)).body;
    }
  } catch (why) {
    if (!session.isConnected) return;
    const expired =
      why instanceof PoolError && why.code === "events_expired" ? why.problem : undefined;
    const lost = problem(
      "member_lost",
      `member ${memberOfChild(childId)} was lost while the child ran: ${messageOf(why)}`,
    );
    session.push(
      JSON.stringify({ type: "failed", problem: expired ?? lost }),
      "failed",
      String((last.id ?? 0) + 1),
    );
  }
  outgoing.end();
}

interface Frames {
  /** Whole frames, in pieces: to join them would cost more than all the rest. */
  readonly pieces: readonly Buffer[];
  /** The last event among them; undefined when there are only comments. */
  readonly last: { readonly id: number; readonly type: string } | undefined;
}

/** Runs of whole frames. */
export async function* wholeFrames(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Frames, void, undefined> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const bytes of body) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const found = chunk.lastIndexOf(FRAME_END);
    const end = found >= 0 ? found + 2 : isSplitEnd(pending, chunk) ? 1 : 0;
    if (end === 0) {
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes > MAX_FRAME_BYTES) throw new Error("a frame of its stream has no end");
      continue;
    }
    const frames = chunk.subarray(0, end);
    const last = lastFrame(pending, frames);
    const pieces = [...pending, frames];
    pending = end < chunk.length ? [chunk.subarray(end)] : [];
    pendingBytes = chunk.length - end;
    yield { pieces, last };
  }
}

/** A frame's type and id stand in so many of its first bytes. */
const HEAD_BYTES = 64;

/** Whether the end of a frame is split over what came before a chunk and the chunk. */
function isSplitEnd(pending: readonly Buffer[], chunk: Buffer): boolean {
  return pending.at(-1)?.at(-1) === NEWLINE && chunk[0] === NEWLINE;
}

/** Type and id of the last event in a run of whole frames, the first of which begins in `pending`. */
function lastFrame(pending: readonly Buffer[], frames: Buffer): Frames["last"] {
  const split = isSplitEnd(pending, frames);
  for (let end = frames.length; ; ) {
    const before = end >= 4 ? frames.lastIndexOf(FRAME_END, end - 4) : -1;
    const start = before >= 0 ? before + 2 : split && end > 1 ? 1 : 0;
    const head =
      start === 0
        ? Buffer.concat([...pending, frames], HEAD_BYTES)
        : frames.subarray(start, Math.min(start + HEAD_BYTES, end));
    const match = /^event: ?(\w+)\nid: ?(\d+)\n/.exec(head.toString("latin1"));
    if (match) return { type: match[1] as string, id: Number(match[2]) };
    if (start === 0) return undefined;
    end = start;
  }
}
