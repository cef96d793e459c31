/** This member as the gateway: it places calls in the pool, on other members too. */
import { sendStdin } from "../../sdk/typescript/http/send-stdin.ts";
import type { DirectAccess } from "../../sdk/typescript/placement/direct-access.ts";
import type { NodeContext } from "../http/request.ts";
import { Child } from "../supervisor/child.ts";
import type { Uploads } from "../workspace/uploads.ts";
import { answerCall, type Call } from "./call.ts";
import { CHILD_HEADER, nameChild, withEarlyStream } from "./events.ts";
import { RemoteChild } from "./remote-child.ts";
import { type OtherMembers, through } from "./through.ts";

export interface GatewayOptions extends OtherMembers {
  logError(message: string): void;
}

/** A call in a pool. */
export interface PoolCall extends Call {
  readonly pool: string;
  /** The members of the pool, this one among them. */
  readonly access: DirectAccess<Child>;
  readonly uploads: Uploads | undefined;
}

/** Places a call, and answers with the output of its child: here, or on another member. */
export async function callThrough(
  c: NodeContext,
  options: GatewayOptions,
  call: PoolCall,
): Promise<Response> {
  const { pool, spec, form, access, uploads, input } = call;
  const { inFlight } = options;
  inFlight.handover.throwIfAborted();
  inFlight.add(c.env.outgoing);
  const way = through(c, options);
  return withEarlyStream(c, options.logError, async (stream) => {
    const answer = await access.call(pool, spec, {
      signal: way.signal,
      leaving: inFlight.handover,
      parts: uploads?.parts,
      accept: form === "raw" ? "application/octet-stream" : undefined,
      onPosition:
        form === "stream" ? (position) => stream.write({ type: "queued", position }) : undefined,
    });
    if (answer instanceof Child) return answerCall(c, answer, { ...call, opened: stream.session });
    const id = answer.headers.get(CHILD_HEADER) ?? "";
    nameChild(c, id);
    // The body can be sent only once, but placement may ask several members. So the input has a
    // connection of its own.
    if (input) void sendStdin(access.childUrl(id), input, { client: way.client }).catch(() => {});
    const child = new RemoteChild(c, id, { ...way, link: spec.link, input });
    if (form === "raw") return child.relayStdout(answer);
    if (form === "json") return child.relayWhole(answer);
    return child.relayEvents(answer, 0, stream.session);
  });
}
