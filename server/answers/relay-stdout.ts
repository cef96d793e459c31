/** Passes on the raw form of another member's child, over cuts of the connection to that member. */
import type { Readable } from "node:stream";
import { PoolError } from "../../openapi/errors.ts";
import type { ChildInfo } from "../../openapi/resources.ts";
import type { Answer } from "../../sdk/typescript/http/client.ts";
import { type ResumeOptions, resumed } from "../../sdk/typescript/http/resume.ts";
import type { NodeContext } from "../http/request.ts";
import { discard, send } from "./send.ts";
import { ENDING_TRAILER, stdoutHead } from "./stdout.ts";

/** Where a reader of stdout begins. */
export interface StdoutStart {
  /** Behind the event of this id. */
  readonly after?: number | undefined;
  /** With this byte of stdout. */
  readonly stdoutFrom?: number | undefined;
}

/** The stdout of another member's child. */
export interface StdoutRelay {
  readonly childId: string;
  readonly answer: Answer;
  readonly start: StdoutStart;
  readonly through: ResumeOptions;
}

/**
 * Opens a child's stdout. @throws {PoolError} the problem that came back; the transport's own
 * error.
 */
export async function openStdout(
  childId: string,
  { after, stdoutFrom }: StdoutStart,
  { client, access, signal }: ResumeOptions,
): Promise<Answer> {
  const answer = await client.send(`${await access.childUrl(childId)}/events`, {
    accept: "application/octet-stream",
    headers: {
      ...(after === undefined ? {} : { "last-event-id": String(after) }),
      ...(stdoutFrom === undefined ? {} : { range: `bytes=${stdoutFrom}-` }),
    },
    signal,
  });
  if (answer.statusCode >= 400) throw await client.problem(answer);
  return answer;
}

/** Passes on stdout and the child's ending. */
export function relayStdout(c: NodeContext, relay: StdoutRelay): Promise<Response> {
  const { childId, answer, start, through } = relay;
  let at = start.stdoutFrom ?? 0;
  return send<Buffer>(c, {
    ...stdoutHead(start.stdoutFrom),
    pieces: resumed(answer, {
      ...through,
      read: ({ body }) => body as Readable as AsyncIterable<Buffer>,
      advance: (chunk) => {
        at += chunk.length;
        return true;
      },
      isComplete: ({ trailers }) => {
        const ending = (trailers as Record<string, string>)[ENDING_TRAILER];
        if (ending !== undefined) c.env.outgoing.addTrailers({ [ENDING_TRAILER]: ending });
        return ending !== undefined;
      },
      // Only the child's member knows which byte comes behind an event.
      canReopen: () => start.after === undefined,
      reopen: () => reopenStdout(childId, at, through),
    }),
    discard: () => discard(answer.body),
    write: (outgoing, chunk) => outgoing.write(chunk),
  });
}

/**
 * Opens a child's stdout again at a byte. Rejects where the stream was cut because the child
 * failed.
 */
async function reopenStdout(
  childId: string,
  stdoutFrom: number,
  through: ResumeOptions,
): Promise<Answer> {
  const { client, access, signal } = through;
  const answer = await client.send(await access.childUrl(childId), { signal });
  if (answer.statusCode >= 400) throw await client.problem(answer);
  const { code, exitCode } = (await answer.body.json()) as ChildInfo;
  if (code !== null || (exitCode ?? 0) !== 0)
    throw PoolError.of("worker_crashed", `child ${childId} has failed`);
  return openStdout(childId, { stdoutFrom }, through);
}
