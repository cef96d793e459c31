/** This member as the gateway: it places calls in the pool, on other members too. */
import type { Readable } from "node:stream";
import type { ChildSpec } from "../../openapi/spec.ts";
import type { Answer, Client } from "../../sdk/typescript/http/client.ts";
import { requireWhole } from "../../sdk/typescript/http/read-events.ts";
import { resumeEvents } from "../../sdk/typescript/http/resume.ts";
import { sendStdin } from "../../sdk/typescript/http/send-stdin.ts";
import type { DirectAccess } from "../../sdk/typescript/placement/direct-access.ts";
import { type NodeContext, whileClientIsThere } from "../http/request.ts";
import { Child } from "../supervisor/child.ts";
import type { Uploads } from "../workspace/uploads.ts";
import type { Form } from "./accept.ts";
import { answerCall } from "./call.ts";
import { CHILD_HEADER, withEarlyStream } from "./events.ts";
import { relayEvents } from "./relay-events.ts";
import { relayStdout } from "./relay-stdout.ts";
import { answerWhole } from "./whole.ts";

export interface GatewayOptions {
  readonly client: Client;
  readonly access: DirectAccess;
  logError(message: string): void;
}

/** The other members, as one caller reaches them. */
export interface Through {
  readonly client: Client;
  readonly access: DirectAccess;
  /** Aborts when the caller goes before its answer has been sent. */
  readonly signal: AbortSignal;
}

/** The other members are shown what the caller shows: this member has no token of its own. */
export function through(c: NodeContext, { client, access }: GatewayOptions): Through {
  const authorization = c.req.header("authorization");
  return {
    client: client.as(authorization),
    access: access.as(authorization),
    signal: whileClientIsThere(c),
  };
}

/** A call as it came. */
export interface PoolCall {
  readonly pool: string;
  readonly spec: ChildSpec;
  readonly form: Form;
  /** The members of the pool, this one among them. */
  readonly access: DirectAccess<Child>;
  readonly uploads: Uploads | undefined;
  /** The child's input as it comes. */
  readonly input: Readable | undefined;
}

/** Places a call, and answers with what its child does: here, or on another member. */
export function callThrough(
  c: NodeContext,
  options: GatewayOptions,
  { pool, spec, form, access, uploads, input }: PoolCall,
): Promise<Response> {
  const way = through(c, options);
  const { signal, client } = way;
  return withEarlyStream(c, options.logError, async (stream) => {
    const answer = await access.call(pool, spec, {
      signal,
      parts: uploads?.parts,
      ...(form === "raw" ? { accept: "application/octet-stream" } : {}),
      ...(form === "stream"
        ? { onPosition: (position) => stream.write({ type: "queued", position }) }
        : {}),
    });
    if (answer instanceof Child)
      return answerCall(c, answer, { form, link: spec.link, input, stream });
    const childId = childOf(c, answer);
    // The body can be sent only once, but placement may ask several members: so the input has a
    // connection of its own.
    if (input) void sendStdin(access.childUrl(childId), input, { client }).catch(() => {});
    if (form === "raw") return relayStdout(c, { childId, answer, start: {}, through: way });
    if (form === "json")
      return answerWhole(c, requireWhole(resumeEvents(answer, way, { id: childId, after: 0 })));
    const { session: opened } = stream;
    return relayEvents(c, { childId, answer, after: 0, through: way, opened });
  });
}

/**
 * The child of a call, named in the head of its member's answer, and in the head of ours if still
 * possible.
 */
function childOf({ env: { outgoing } }: NodeContext, answer: Answer): string {
  const id = String(answer.headers[CHILD_HEADER] ?? "");
  if (!outgoing.headersSent) outgoing.setHeader(CHILD_HEADER, id);
  return id;
}
