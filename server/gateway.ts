/** This member as a client of the others: places calls and forwards what concerns another member's child. */
import type { Readable } from "node:stream";
import type { Context } from "hono";
import { type ChildInfo, type ChildSpecInput, memberOfChild } from "../openapi/schemas.ts";
import type { Answer, Client, RequestOptions } from "../sdk/typescript/client.ts";
import type { DirectAccess } from "../sdk/typescript/direct.ts";
import { messageOf, PoolError } from "../sdk/typescript/errors.ts";
import { type FollowOptions, followEvents, openEvents } from "../sdk/typescript/follow.ts";
import type { Part } from "../sdk/typescript/multipart.ts";
import type { Form } from "./app.ts";
import { type RelayedRaw, relayRaw } from "./raw.ts";
import { type Relayed, relayStream } from "./relay.ts";
import { CHILD_HEADER, type NodeContext, sendFile, whileClientIsThere } from "./stream.ts";
import { answerAtEnd, withWaiting } from "./waiting.ts";

export interface GatewayOptions {
  readonly client: Client;
  readonly access: DirectAccess;
  logError(message: string): void;
}

/** The pools as the caller reaches them: what it shows is shown to the other members too, for this one has no token of its own. */
export function accessFor(c: Context, { access }: GatewayOptions): DirectAccess {
  return access.as(c.req.header("authorization"));
}

function clientFor(c: Context, { client }: GatewayOptions): Client {
  return client.as(c.req.header("authorization"));
}

/** A call as it came. */
interface Call {
  readonly pool: string;
  readonly spec: ChildSpecInput;
  readonly parts: readonly Part[] | undefined;
}

/** Places a call and passes its stream on, or answers at its end. */
export async function callThrough(c: NodeContext, options: GatewayOptions, { pool, spec, parts }: Call, form: Form): Promise<Response> {
  const { signal, client, access } = through(c, options);
  const placing = { signal, parts };
  if (form === "raw") {
    const answer = await access.call(pool, spec, { ...placing, accept: "application/octet-stream" });
    return relayRaw(c, { answer, ...rawOf(childOf(c, answer), { signal, client, access }) });
  }
  if (form === "json") return answerAtEnd(c, followEvents(await access.call(pool, spec, placing), { client, access, signal }));
  return withWaiting(c, options.logError, async (stream) => {
    const answer = await access.call(pool, spec, { ...placing, onPosition: (position) => stream.say({ type: "queued", position }) });
    return relayStream(c, { body: answer.body, ...eventsOf(childOf(c, answer), { signal, client, access }) }, stream.session);
  });
}

/** Where a reader begins. */
export interface From {
  /** Behind the event of this id. */
  readonly after?: number | undefined;
  /** With this byte of stdout. */
  readonly stdoutFrom?: number | undefined;
}

/** Attaches to another member's child. */
export async function forwardEvents(c: NodeContext, options: GatewayOptions, id: string, after: number | undefined): Promise<Response> {
  const how = through(c, options);
  const answer = await reach(id, () => openEvents(id, after, how));
  return relayStream(c, { body: answer.body, ...eventsOf(id, how) });
}

/** Attaches to the stdout of another member's child. */
export async function forwardRaw(c: NodeContext, options: GatewayOptions, id: string, { after, stdoutFrom }: From): Promise<Response> {
  const how = through(c, options);
  const answer = await reach(id, () => openRaw(id, { after, stdoutFrom }, how));
  c.env.outgoing.setHeader(CHILD_HEADER, id);
  const relayed = { answer, from: stdoutFrom, ...rawOf(id, how) };
  if (after === undefined) return relayRaw(c, relayed);
  // Which byte comes behind an event its member knows alone.
  return relayRaw(c, {
    ...relayed,
    reopen: (byte) => Promise.reject(PoolError.of("member_lost", `${byte} bytes behind event ${after} the connection was cut`)),
  });
}

/** How a caller's streams are opened. */
type Through = FollowOptions & { readonly access: DirectAccess; readonly signal: AbortSignal };

function through(c: NodeContext, options: GatewayOptions): Through {
  return { signal: whileClientIsThere(c), client: clientFor(c, options), access: accessFor(c, options) };
}

function eventsOf(childId: string, options: Through): Omit<Relayed, "body"> {
  return { childId, reopen: (after) => openEvents(childId, after, options), options };
}

function rawOf(childId: string, options: Through): Omit<RelayedRaw, "answer"> {
  const reopen = async (stdoutFrom: number) => {
    const { code, exitCode } = await options.client.json<ChildInfo>(await options.access.childUrl(childId), { signal: options.signal });
    // Its stream was broken off because it failed.
    if (code !== null || (exitCode ?? 0) !== 0) throw PoolError.of("worker_crashed", `child ${childId} has failed`);
    return openRaw(childId, { stdoutFrom }, options);
  };
  return { reopen, options };
}

async function openRaw(id: string, { after, stdoutFrom }: From, { client, access, signal }: Through): Promise<Answer> {
  const headers = {
    ...(after === undefined ? {} : { "last-event-id": String(after) }),
    ...(stdoutFrom === undefined ? {} : { range: `bytes=${stdoutFrom}-` }),
  };
  const answer = await client.send(`${await access.childUrl(id)}/events`, { accept: "application/octet-stream", headers, signal });
  if (answer.statusCode >= 400) throw await client.problem(answer);
  return answer;
}

/** Asks another member about its child and passes the answer on. */
export async function forwardJson(c: Context, options: GatewayOptions, id: string, request: RequestOptions & { path?: string } = {}): Promise<Response> {
  const { path = "", ...rest } = request;
  const answer = await send(clientFor(c, options), id, `${await options.access.childUrl(id)}${path}`, rest);
  return c.json((await answer.body.json()) as object, answer.statusCode as 200);
}

/** Passes a body on to the input of another member's child, no faster than that takes it. */
export function forwardStdin(c: NodeContext, options: GatewayOptions, id: string, body: Readable, end: string): Promise<Response> {
  // The child may leave the body unread for as long as it lives.
  return forwardJson(c, options, id, { method: "POST", path: `/stdin?end=${end}`, body, signal: whileClientIsThere(c), timeoutMs: 0 });
}

const FILE_HEADERS = ["content-type", "content-length", "content-disposition"] as const;

/** Passes the bytes of an artifact of another member's child on. */
export async function forwardFile(c: NodeContext, options: GatewayOptions, id: string, path: string): Promise<Response> {
  const url = `${await options.access.childUrl(id)}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
  const answer = await send(clientFor(c, options), id, url, { accept: "application/octet-stream", signal: whileClientIsThere(c) });
  const headers = FILE_HEADERS.flatMap((name) => (typeof answer.headers[name] === "string" ? [[name, answer.headers[name]] as const] : []));
  return sendFile(c, answer.body as Readable, Object.fromEntries(headers), answer.statusCode);
}

/** The answer of a child's member, or the problem that there is none. */
async function reach(id: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PoolError) throw error;
    throw PoolError.of("member_lost", `member ${memberOfChild(id)} does not answer: ${messageOf(error)}`, { cause: error });
  }
}

async function send(client: Client, id: string, url: string, options: RequestOptions): Promise<Answer> {
  const answer = await reach(id, () => client.send(url, options));
  if (answer.statusCode >= 400) throw await client.problem(answer);
  return answer;
}

/** The child of a call, which its member names in the head of the answer; named in the head of ours too, while that can be. */
function childOf({ env: { outgoing } }: NodeContext, answer: Answer): string {
  const id = String(answer.headers[CHILD_HEADER] ?? "");
  if (!outgoing.headersSent) outgoing.setHeader(CHILD_HEADER, id);
  return id;
}
