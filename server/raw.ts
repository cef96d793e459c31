/**
 * The raw form of a call: the child's stdout as it is, in a body that ends as the child did. Its ending is in a trailer; where it is no
 * success the connection is broken instead, so that a program that knows nothing of trailers, such as curl, does not take a part for the whole.
 */
import type { Readable } from "node:stream";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { PoolEvent } from "../openapi/events.ts";
import type { Answer } from "../sdk/typescript/client.ts";
import { cutOff, drained } from "./outgoing.ts";
import { type NodeContext, onClientGone } from "./stream.ts";
import type { LogReader } from "./supervisor/output.ts";

/** The terminal event as JSON, without a function's value. */
export const ENDING_TRAILER = "pool-ending";

function open({ env: { outgoing } }: NodeContext): void {
  outgoing.writeHead(200, { "content-type": "application/octet-stream", "x-content-type-options": "nosniff", trailer: ENDING_TRAILER });
  outgoing.flushHeaders();
}

/** Headers are ASCII. */
const ascii = (json: string) => json.replaceAll(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

const isSuccess = (event: PoolEvent) => event.type === "result" && (event.exitCode ?? 0) === 0;

/** Sends a child's stdout, to its end. `gone` runs if the reader leaves before. */
export function streamRaw(c: NodeContext, reader: LogReader, gone?: () => void): Response {
  const { outgoing } = c.env;
  onClientGone(c, () => {
    reader.close();
    gone?.();
  });
  open(c);
  void (async () => {
    for await (const entry of reader) {
      // What is missing cannot be said here.
      if (entry.type === "gap") throw new Error("the reader fell behind");
      if (entry.type === "stdout") {
        outgoing.write(entry.bytes);
        if (!(await drained(outgoing))) return;
      }
      if (entry.type !== "result" && entry.type !== "failed") continue;
      const { event } = entry;
      if (!isSuccess(event)) throw new Error("the child failed");
      const { value: _, ...ending } = event as PoolEvent & { value?: unknown };
      outgoing.addTrailers({ [ENDING_TRAILER]: ascii(JSON.stringify(ending)) });
      outgoing.end();
    }
  })().catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}

/** Passes another member's raw answer on, its ending too. */
export function relayRaw(c: NodeContext, answer: Answer): Response {
  const { outgoing } = c.env;
  open(c);
  void (async () => {
    for await (const chunk of answer.body as Readable) {
      outgoing.write(chunk);
      if (!(await drained(outgoing))) return;
    }
    const ending = (answer.trailers as Record<string, string>)[ENDING_TRAILER];
    if (ending === undefined) throw new Error("the child's ending is missing");
    outgoing.addTrailers({ [ENDING_TRAILER]: ending });
    outgoing.end();
  })().catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}
