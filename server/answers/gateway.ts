/** This member as a client of the others: places calls and forwards what concerns another member's child. */
import type { Readable } from "node:stream";
import type { Context } from "hono";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { memberOfChild } from "../../openapi/names.ts";
import type { ChildInfo } from "../../openapi/resources.ts";
import type { ChildSpecInput } from "../../openapi/spec.ts";
import type { Answer, Client, RequestOptions } from "../../sdk/typescript/http/client.ts";
import type { Part } from "../../sdk/typescript/http/multipart.ts";
import { requireWhole } from "../../sdk/typescript/http/read-events.ts";
import { openEvents, type ResumeOptions, resumeEvents } from "../../sdk/typescript/http/resume.ts";
import { sendStdin } from "../../sdk/typescript/http/send-stdin.ts";
import type { PlaceOptions } from "../../sdk/typescript/placement/access.ts";
import type { DirectAccess } from "../../sdk/typescript/placement/direct-access.ts";
import { type NodeContext, whileClientIsThere } from "../http/request.ts";
import type { Form } from "./accept.ts";
import { CHILD_HEADER, sendFile } from "./events.ts";
import { type Relayed, relayStream } from "./relay-events.ts";
import { type RelayedRaw, relayRaw } from "./relay-stdout.ts";
import { answerAtEnd, withWaiting } from "./whole.ts";

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
  /** What the child is fed with while its answer is passed on. */
  readonly input: Readable | undefined;
}

/** Places a call and passes its stream on, or answers at its end. */
export async function callThrough(
  c: NodeContext,
  options: GatewayOptions,
  { pool, spec, parts, input }: Call,
  form: Form,
): Promise<Response> {
  const how = through(c, options);
  const { signal, client, access } = how;
  const place = async (more: PlaceOptions = {}) => {
    const answer = await access.call(pool, spec, { signal, parts, ...more });
    const id = childOf(c, answer);
    // On a connection of its own: placing stays free to ask one member after the other, as the body can be sent only once.
    if (input) void sendStdin(access.childUrl(id), input, { client }).catch(() => {});
    return { answer, id };
  };
  if (form === "raw") {
    const { answer, id } = await place({ accept: "application/octet-stream" });
    return relayRaw(c, { answer, ...rawOf(id, how) });
  }
  if (form === "json") {
    const { answer, id } = await place();
    return answerAtEnd(c, requireWhole(resumeEvents(answer, how, { id, after: 0 })));
  }
  return withWaiting(c, options.logError, async (stream) => {
    const { answer, id } = await place({
      onPosition: (position) => stream.say({ type: "queued", position }),
    });
    return relayStream(c, { after: 0, body: answer.body, ...eventsOf(id, how) }, stream.session);
  });
}

/** Where a reader begins. */
interface From {
  /** Behind the event of this id. */
  readonly after?: number | undefined;
  /** With this byte of stdout. */
  readonly stdoutFrom?: number | undefined;
}

/** Attaches to another member's child. */
export async function forwardEvents(
  c: NodeContext,
  options: GatewayOptions,
  id: string,
  after: number | undefined,
): Promise<Response> {
  const how = through(c, options);
  const answer = await reach(id, () => openEvents(id, after, how));
  if (answer.statusCode === 204) return c.body(null, 204);
  return relayStream(c, { after, body: answer.body, ...eventsOf(id, how) });
}

/** Attaches to the stdout of another member's child. */
export async function forwardRaw(
  c: NodeContext,
  options: GatewayOptions,
  id: string,
  { after, stdoutFrom }: From,
): Promise<Response> {
  const how = through(c, options);
  const answer = await reach(id, () => openRaw(id, { after, stdoutFrom }, how));
  c.env.outgoing.setHeader(CHILD_HEADER, id);
  const relayed = { answer, from: stdoutFrom, ...rawOf(id, how) };
  if (after === undefined) return relayRaw(c, relayed);
  // Which byte comes behind an event its member knows alone.
  return relayRaw(c, {
    ...relayed,
    reopen: (byte) =>
      Promise.reject(
        PoolError.of("member_lost", `${byte} bytes behind event ${after} the connection was cut`),
      ),
  });
}

/** How a caller's streams are opened. */
type Through = ResumeOptions & { readonly access: DirectAccess; readonly signal: AbortSignal };

function through(c: NodeContext, options: GatewayOptions): Through {
  return {
    signal: whileClientIsThere(c),
    client: clientFor(c, options),
    access: accessFor(c, options),
  };
}

function eventsOf(childId: string, options: Through): Omit<Relayed, "body" | "after"> {
  return { childId, reopen: (after) => openEvents(childId, after, options), options };
}

function rawOf(childId: string, options: Through): Omit<RelayedRaw, "answer"> {
  const reopen = async (stdoutFrom: number) => {
    const { client, access, signal } = options;
    const answer = await client.send(await access.childUrl(childId), { signal });
    if (answer.statusCode >= 400) throw await client.problem(answer);
    const { code, exitCode } = (await answer.body.json()) as ChildInfo;
    // Its stream was broken off because it failed.
    if (code !== null || (exitCode ?? 0) !== 0)
      throw PoolError.of("worker_crashed", `child ${childId} has failed`);
    return openRaw(childId, { stdoutFrom }, options);
  };
  return { reopen, options };
}

async function openRaw(
  id: string,
  { after, stdoutFrom }: From,
  { client, access, signal }: Through,
): Promise<Answer> {
  const headers = {
    ...(after === undefined ? {} : { "last-event-id": String(after) }),
    ...(stdoutFrom === undefined ? {} : { range: `bytes=${stdoutFrom}-` }),
  };
  const answer = await client.send(`${await access.childUrl(id)}/events`, {
    accept: "application/octet-stream",
    headers,
    signal,
  });
  if (answer.statusCode >= 400) throw await client.problem(answer);
  return answer;
}

/** Asks another member about its child and passes the answer on. */
export async function forwardJson(
  c: Context,
  options: GatewayOptions,
  id: string,
  request: RequestOptions & { path?: string } = {},
): Promise<Response> {
  const { path = "", ...rest } = request;
  const answer = await send(
    clientFor(c, options),
    id,
    `${await options.access.childUrl(id)}${path}`,
    rest,
  );
  return c.json((await answer.body.json()) as object, answer.statusCode as 200);
}

/** Passes a body on to the input of another member's child, no faster than that takes it. It breaks off there as it does here. */
export function forwardStdin(
  c: NodeContext,
  options: GatewayOptions,
  id: string,
  body: Readable,
  end: string,
): Promise<Response> {
  // The child may leave the body unread for as long as it lives.
  return forwardJson(c, options, id, {
    method: "POST",
    path: `/stdin?end=${end}`,
    body,
    timeoutMs: 0,
  });
}

const FILE_HEADERS = ["content-type", "content-length", "content-disposition"] as const;

/** Passes the bytes of an artifact of another member's child on. */
export async function forwardFile(
  c: NodeContext,
  options: GatewayOptions,
  id: string,
  path: string,
): Promise<Response> {
  const url = `${await options.access.childUrl(id)}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
  const answer = await send(clientFor(c, options), id, url, {
    accept: "application/octet-stream",
    signal: whileClientIsThere(c),
  });
  const headers = FILE_HEADERS.flatMap((name) =>
    typeof answer.headers[name] === "string" ? [[name, answer.headers[name]] as const] : [],
  );
  return sendFile(c, answer.body as Readable, Object.fromEntries(headers), answer.statusCode);
}

/** The answer of a child's member, or the problem that there is none. */
async function reach(id: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PoolError) throw error;
    throw PoolError.of(
      "member_lost",
      `member ${memberOfChild(id)} does not answer: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function send(
  client: Client,
  id: string,
  url: string,
  options: RequestOptions,
): Promise<Answer> {
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
