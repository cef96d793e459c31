/** This member as the gateway: it places calls in the pool, on other members too. */
import { CHILD_HEADER, memberOfChild } from "../../openapi/names.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { Answer } from "../../sdk/typescript/http/client.ts";
import { openEvents } from "../../sdk/typescript/http/resume.ts";
import { sendStdin } from "../../sdk/typescript/http/send-stdin.ts";
import type { DirectAccess } from "../../sdk/typescript/placement/direct-access.ts";
import { type NodeContext, onClientGone } from "../http/request.ts";
import { Child } from "../supervisor/child.ts";
import type { KeyedStart } from "../supervisor/once/keyed-starts.ts";
import { startedChild, type ThisMember } from "../supervisor/this-member.ts";
import type { Trace } from "../tracing/tracing.ts";
import type { Uploads } from "../workspace/uploads.ts";
import { answerCall, type Call } from "./call.ts";
import { nameChild, withEarlyStream } from "./events.ts";
import { oncePerKey } from "./keyed.ts";
import { RemoteChild } from "./remote/remote-child.ts";
import { type OtherMembers, type Through, through } from "./remote/through.ts";
import { placingOf, spanOf, traceDelivery } from "./spans/traced.ts";

export interface GatewayOptions extends OtherMembers, ThisMember {
  logError(message: string): void;
}

/** A call in a pool. */
export interface PoolCall extends Call {
  readonly pool: string;
  /** The members of the pool, this one among them. */
  readonly access: DirectAccess<Child>;
  readonly uploads: Uploads | undefined;
  /** The start that the caller's key allows. */
  readonly keyed: KeyedStart | undefined;
  /** The trace of the request; its span is `place`. */
  readonly trace: Trace;
}

/** Places a call, and answers with the output of its child: here, or on another member. */
export async function callThrough(
  c: NodeContext,
  options: GatewayOptions,
  call: PoolCall,
): Promise<Response> {
  const { pool, spec, form, access, uploads, input, keyed, trace } = call;
  const { inFlight } = options;
  inFlight.handover.throwIfAborted();
  inFlight.add(c.env.outgoing);
  const way = wayOf(c, options, form);
  return withEarlyStream(c, options.logError, async (stream) => {
    const place = async () => {
      const placed = access.call(pool, spec, {
        ...placingOf(trace),
        signal: way.signal,
        leaving: inFlight.handover,
        parts: uploads?.parts,
        lines: way.lines,
        accept: form === "raw" ? "application/octet-stream" : undefined,
        onPosition:
          form === "stream" ? (position) => stream.write({ type: "queued", position }) : undefined,
      });
      const answer = await spanOf(trace.span, placed, childIdOf);
      traceDelivery(c, trace.span);
      if (answer instanceof Child)
        return answerCall(c, answer, { ...call, opened: stream.session });
      const id = answer.headers.get(CHILD_HEADER) ?? "";
      // The body can be sent only once, but placement may ask several members. So the input has a
      // connection of its own.
      if (input) void sendStdin(access.childUrl(id), input, { client: way.client }).catch(() => {});
      const held = { ...way, link: spec.link, input };
      return relay(c, held, { id, answer, form, opened: stream.session });
    };
    const attach = (id: string) =>
      answerStarted(c, options, { ...call, id, opened: stream.session });
    return oncePerKey(keyed, { place, attach, isContinued: call.after !== undefined });
  });
}

/**
 * Answers a call with a child that an earlier request has started: here, or on another member.
 *
 * @throws {PoolError} `child_not_found`; `events_expired`; as {@link RemoteChild} does.
 */
export async function answerStarted(
  c: NodeContext,
  options: GatewayOptions,
  { id, ...call }: Call & { readonly id: string },
): Promise<Response> {
  const { form, input, after = 0, opened } = call;
  // A caller whose output has expired asks for the ending by this id.
  nameChild(c, id);
  if (memberOfChild(id) === options.name) {
    const child = await startedChild(options, id);
    if (child.log.endsWith(after)) return c.body(null, 204);
    return answerCall(c, child, { ...call, isRepeat: true });
  }
  input?.destroy();
  const way = wayOf(c, options, form);
  if (call.spec.link) onClientGone(c, () => void stopChild(way, id));
  if (form === "raw") return new RemoteChild(c, id, way).stdout({});
  const answer = await openEvents(id, after, way);
  if (answer.status === 204) return c.body(null, 204);
  return relay(c, way, { id, answer, form, after, opened });
}

const childIdOf = (answer: Answer | Child) =>
  answer instanceof Child ? answer.id : (answer.headers.get(CHILD_HEADER) ?? undefined);

/** The way to other members, for an answer of this form: one of JSON leaves nothing out. */
function wayOf(c: NodeContext, options: GatewayOptions, form: Call["form"]): Through {
  const way = through(c, options);
  return form === "json" ? { ...way, lines: "long" } : way;
}

/** The child of an earlier request, as its member shows it. @throws as {@link answerStarted}. */
export async function startedInfo(
  c: NodeContext,
  options: GatewayOptions,
  id: string,
): Promise<ChildInfo> {
  if (memberOfChild(id) === options.name) return (await startedChild(options, id)).info;
  const { client, access } = through(c, options);
  return client.json<ChildInfo>(await access.childUrl(id));
}

/** Stops a child of another member. A child that cannot be reached is lost with its member. */
async function stopChild({ client, access }: Through, id: string): Promise<void> {
  await client.json(await access.childUrl(id), { method: "DELETE" }).catch(() => {});
}

interface Relayed extends Pick<Call, "form" | "after" | "opened"> {
  readonly id: string;
  /** The open answer of the child's member. */
  readonly answer: Answer;
}

/** Passes on the output of a child of another member. */
function relay(
  c: NodeContext,
  way: Through,
  { id, answer, form, after = 0, opened }: Relayed,
): Promise<Response> {
  nameChild(c, id);
  const child = new RemoteChild(c, id, way);
  if (form === "raw") return child.relayStdout(answer);
  if (form === "json") return child.relayWhole(answer);
  return child.relayEvents(answer, after, opened);
}
