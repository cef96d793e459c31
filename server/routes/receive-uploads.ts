/**
 * Child specs that come with files, or their input, beside them: kept on disk until they are in a workspace, or have been sent on. A call's
 * input that is all of the body is not kept.
 */
import type { Readable } from "node:stream";
import type { Context, MiddlewareHandler, Next } from "hono";
import { PoolError } from "../../openapi/errors.ts";
import { type ChildSpec, MAX_FILES } from "../../openapi/spec.ts";
import { isWorkspacePath } from "../../openapi/values.ts";
import { SPEC_PART, STDIN_PART } from "../../sdk/typescript/http/multipart.ts";
import { isRaw, SPEC_HEADER } from "../http/body-timeout.ts";
import {
  boundaryOf,
  type FormPart,
  isMultipart,
  MultipartError,
  readMultipart,
} from "../http/multipart.ts";
import { bodyOf, type NodeContext } from "../http/request.ts";
import { closeBehind } from "../http/response.ts";
import { Spool } from "../workspace/spool.ts";
import { Uploads } from "../workspace/uploads.ts";

export interface UploadOptions {
  /** A private folder of the server's. */
  readonly folder: string;
  /** Bytes of one upload. */
  maxUploadBytes(): number;
  /** Bytes of a spec. */
  maxBodyBytes(): number;
}

/** What a handler finds in the context of a route with uploads. */
export interface UploadVariables {
  readonly uploads: Uploads | undefined;
  /** The child's input as it comes, nothing of it read yet: of a call whose body is that. */
  readonly input: Readable | undefined;
}

/** A route whose body may have more than the spec. */
export function withUploads<R extends { path: string }>(route: R, receiver: UploadReceiver): R {
  const { middleware } = route as { middleware?: MiddlewareHandler };
  const receive: MiddlewareHandler = (c, next) => {
    const node = c as unknown as NodeContext;
    return hasRawBody(node) && route.path.endsWith("/call")
      ? receiver.stream(node, next)
      : receiver.receive(node, next);
  };
  return { ...route, middleware: middleware ? [middleware, receive] : receive };
}

const hasRawBody = ({ req }: NodeContext) => isRaw({ url: req.url, headers: req.header() });

/** The child spec beside a body that is the child's input. */
function specBeside(c: NodeContext): string {
  const inQuery = c.req.query("spec");
  const inHeader = c.req.header(SPEC_HEADER);
  if ((inQuery === undefined) === (inHeader === undefined)) {
    const got = inQuery === undefined ? "neither" : "both";
    throw refusal(
      `the child spec of a body that is the child's input in the query, ?spec=, or in the header ${SPEC_HEADER}; got ${got}`,
    );
  }
  if (inHeader !== undefined && /[^\t -~]/.test(inHeader))
    throw refusal(`JSON in ASCII in the header ${SPEC_HEADER}, other characters as \\u escapes`);
  return (inQuery ?? inHeader) as string;
}

/** Lets the request go on as one whose body is the spec alone. */
function goOnWith(c: NodeContext, spec: string): void {
  const headers = new Headers(c.req.raw.headers);
  headers.set("content-type", "application/json");
  headers.delete("content-length");
  c.req.raw = new Request(c.req.url, { method: "POST", headers, body: spec });
}

/** The spec of a call whose body is the child's input. @throws {PoolError} `invalid_request` when it names another. */
export function fedBy<S extends Pick<ChildSpec, "stdin">>(input: Readable | undefined, spec: S): S {
  if (!input) return spec;
  if (spec.stdin !== undefined)
    throw PoolError.of(
      "invalid_request",
      "/stdin: expected it in the spec or as the body; got both",
    );
  return { ...spec, stdin: { open: true, once: true } };
}

/** The uploads of a moment have room for 4 of the largest size. */
const ROOM = 4;

export class UploadReceiver {
  readonly #options: UploadOptions;
  #keptBytes = 0;

  constructor(options: UploadOptions) {
    this.#options = options;
  }

  /** Leaves a body that is a call's input to the call, and lets the request go on as one whose body is the spec alone. */
  async stream(c: NodeContext, next: Next): Promise<void> {
    const spec = specBeside(c);
    const body = bodyOf(c);
    (c as unknown as Context<{ Variables: UploadVariables }>).set("input", body);
    goOnWith(c, spec);
    const undo = closeBehind(c.env.incoming, c.env.outgoing);
    await next();
    if (c.res.status < 400) return;
    // A refusal ends no connection whose client sends no more than it has.
    undo();
    body.destroy();
  }

  /**
   * Receives a multipart body, or one that is the child's input with its spec beside it, and lets the request go on as one whose body
   * is the spec alone. Other requests go on as they are.
   *
   * @throws {PoolError} `invalid_request`, `payload_too_large`; `too_many_requests` when others' uploads take the room.
   */
  async receive(c: NodeContext, next: Next): Promise<void> {
    const type = c.req.header("content-type");
    const raw = hasRawBody(c);
    if (!raw) {
      if (c.req.query("spec") !== undefined || c.req.header(SPEC_HEADER) !== undefined)
        throw refusal(
          `the child spec in the body, or beside a body that is the child's input; got it beside one that is ${type}`,
        );
      if (!isMultipart(type)) return next();
    }
    const beside = raw ? specBeside(c) : undefined;
    const { folder } = this.#options;
    const maxUploadBytes = this.#options.maxUploadBytes();
    const tooLarge = () =>
      PoolError.of("payload_too_large", `expected an upload of at most ${maxUploadBytes} bytes`);
    if (Number(c.req.header("content-length")) > maxUploadBytes) throw tooLarge();
    let bytes = 0;
    const uploads = new Uploads(new Spool(folder), () => {
      this.#keptBytes -= bytes;
    });
    const count = (more: number) => {
      bytes += more;
      this.#keptBytes += more;
      if (bytes > maxUploadBytes) throw tooLarge();
      if (this.#keptBytes > ROOM * maxUploadBytes)
        throw PoolError.of(
          "too_many_requests",
          `expected all uploads at a time to have at most ${ROOM * maxUploadBytes} bytes; others take the room`,
        );
    };
    const release = uploads.hold();
    const body = bodyOf(c);
    try {
      const arriving = counted(body, count);
      if (beside !== undefined) await uploads.keep(STDIN_PART, arriving);
      goOnWith(c, beside ?? (await this.#read(readMultipart(arriving, boundaryOf(type)), uploads)));
      (c as unknown as Context<{ Variables: UploadVariables }>).set("uploads", uploads);
      await next();
    } catch (error) {
      if (error instanceof MultipartError)
        throw PoolError.of("invalid_request", `expected multipart/form-data: ${error.message}`);
      throw error;
    } finally {
      release();
      body.destroy();
    }
  }

  /** Keeps the parts. Answers the spec's text. */
  async #read(parts: AsyncIterable<FormPart>, uploads: Uploads): Promise<string> {
    const names = new Set<string>();
    let spec: string | undefined;
    for await (const { name, body } of parts) {
      const shown = JSON.stringify(name.slice(0, 255));
      const isFile = name !== SPEC_PART && name !== STDIN_PART;
      if (isFile && !isWorkspacePath(name))
        throw refusal(`a part's name is spec, stdin, or a path in the workspace; got ${shown}`);
      if (names.has(name)) throw refusal(`a part of each name; got ${shown} twice`);
      names.add(name);
      // The other two are no files.
      if (names.size > MAX_FILES + 2) throw refusal(`at most ${MAX_FILES} files`);
      if (name === SPEC_PART) spec = await this.#text(body);
      else await uploads.keep(name, body);
    }
    if (spec === undefined) throw refusal("a part `spec`, the child spec as JSON; got none");
    return spec;
  }

  async #text(body: AsyncIterable<Buffer>): Promise<string> {
    const maxBodyBytes = this.#options.maxBodyBytes();
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of body) {
      bytes += piece.length;
      if (bytes > maxBodyBytes)
        throw PoolError.of("payload_too_large", `expected a spec of at most ${maxBodyBytes} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString("utf8");
  }
}

function refusal(expected: string): PoolError {
  return PoolError.of("invalid_request", `expected ${expected}`);
}

async function* counted(
  body: AsyncIterable<Buffer>,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of body) {
    count(piece.length);
    yield piece;
  }
}
