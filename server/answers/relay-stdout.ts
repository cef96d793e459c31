/** The raw form of another member's child: passed on as it comes, over cuts of the connection to it. */
import type { Readable } from "node:stream";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Answer } from "../../sdk/typescript/http/client.ts";
import { Reconnect, type ResumeOptions } from "../../sdk/typescript/http/resume.ts";
import type { NodeContext } from "../http/request.ts";
import { cutOff, drained } from "../http/response.ts";
import { headOnly } from "./events.ts";
import { ENDING_TRAILER, headersFor, open, statusFor } from "./stdout.ts";

/** Stdout of another member's child, which is passed on. */
export interface RelayedRaw {
  readonly answer: Answer;
  /** The byte of stdout that was asked for. */
  readonly from?: number | undefined;
  /** Opens it anew at a byte. @throws {PoolError} where there is nothing more to be had. */
  reopen(from: number): Promise<Answer>;
  /** Where the pools are, and what ends the waiting. */
  readonly options: Pick<ResumeOptions, "access" | "signal">;
}

/** Passes another member's raw answer on, over cuts, its ending too. */
export function relayRaw(c: NodeContext, { answer, from, reopen, options }: RelayedRaw): Response {
  const { outgoing } = c.env;
  if (c.req.method === "HEAD") return headOnly(answer.body, headersFor(from), statusFor(from));
  open(outgoing, from);
  let at = from ?? 0;
  const reopening = new Reconnect(() => reopen(at), options);
  void (async () => {
    for (let source = answer; ; ) {
      let cut: unknown = new Error("the child's ending is missing");
      try {
        for await (const chunk of source.body as Readable) {
          reopening.progressed();
          at += chunk.length;
          outgoing.write(chunk);
          if (!(await drained(outgoing))) return;
        }
        const ending = (source.trailers as Record<string, string>)[ENDING_TRAILER];
        if (ending !== undefined) {
          outgoing.addTrailers({ [ENDING_TRAILER]: ending });
          outgoing.end();
          return;
        }
      } catch (error) {
        cut = error;
      }
      source = await reopening.after(cut);
    }
  })().catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}
