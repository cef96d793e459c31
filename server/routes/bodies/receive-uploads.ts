/** Receives child specs that come with files, or with the child's input, beside them. */
import type { Readable } from "node:stream";
import type { MiddlewareHandler, Next } from "hono";
import { bodyKind, type Upload } from "../../../openapi/bodies.ts";
import { PoolError } from "../../../openapi/errors.ts";
import { MAX_FILES, tooManyFiles } from "../../../openapi/limits.ts";
import { isWorkspacePath } from "../../../openapi/paths.ts";
import type { ChildSpec } from "../../../openapi/schemas/spec.ts";
import { FileModeSchema } from "../../../openapi/schemas/values.ts";
import { isFilePart, SPEC_PART, STDIN_PART } from "../../../sdk/typescript/http/multipart.ts";
import { turns } from "../../../sdk/typescript/time/turns.ts";
import type { HeldBytes, Holding } from "../../http/bodies/held-bytes.ts";
import { LargeJson, type ParsedJson } from "../../http/bodies/large-json.ts";
import { giveJson, isLargeInSpec, type JsonVariables } from "../../http/bodies/receive-json.ts";
import { boundaryOf, type FormPart, MultipartError, readMultipart } from "../../http/multipart.ts";
import { bodyOf, type NodeContext, readWebHeaders } from "../../http/request.ts";
import { closeBehind, onOver } from "../../http/response.ts";
import { Spool } from "../../workspace/spool.ts";
import { Uploads } from "../../workspace/uploads.ts";
import { placeLargeValues, type SpecWithLargeValues } from "./large-values.ts";
import { refuseBeside, specBeside } from "./spec-beside.ts";

export interface UploadOptions {
  /** A private folder of the server. */
  readonly folder: string;
  /** The most bytes of one upload. */
  maxUploadBytes(): number;
  /** The most bytes of a spec. */
  maxBodyBytes(): number;
  /** The account of the memory that requests hold. */
  readonly heldBytes: HeldBytes;
  /** The account of the bytes that requests hold on disk. */
  readonly storedBytes: HeldBytes;
}

/** The context variables that a handler of a route with uploads finds. */
export interface UploadVariables extends JsonVariables {
  readonly uploads: Uploads | undefined;
  /** The unread input of a call whose whole body is that input. */
  readonly input: Readable | undefined;
}

/** Replaces the request by one whose body is the spec alone. */
function replaceBody(c: NodeContext, spec: LargeJson): void {
  const headers = new Headers(c.req.raw.headers);
  headers.set("content-type", "application/json");
  headers.delete("content-length");
  readWebHeaders(c);
  c.req.raw = new Request(c.req.url, { method: "POST", headers });
  giveJson(c, spec.parse());
}

function largeJson(text: string): LargeJson {
  const json = new LargeJson(isLargeInSpec);
  json.push(Buffer.from(text));
  return json;
}

/**
 * The spec of a call, with its input open if the body is that input.
 *
 * @throws {PoolError} `invalid_request` when the spec has an input too.
 */
export function fedBy<S extends Pick<ChildSpec, "stdin">>(input: Readable | undefined, spec: S): S {
  if (!input) return spec;
  if (spec.stdin !== undefined)
    throw PoolError.of(
      "invalid_request",
      "/stdin: expected it in the spec or as the body; got both",
    );
  return { ...spec, stdin: { open: true, once: true } };
}

export class UploadReceiver {
  readonly #options: UploadOptions;

  constructor(options: UploadOptions) {
    this.#options = options;
  }

  /** Receives the bodies of an operation that bring more than the spec. */
  receiving(upload: Upload): MiddlewareHandler {
    return (c, next) => {
      const { req } = c;
      const kind = upload.inputOnly ? "input" : bodyKind({ url: req.url, headers: req.header() });
      if (kind !== "input") refuseBeside(c);
      // The handler reads JSON itself.
      if (kind === "json") return next();
      const spec = kind === "input" ? specBeside(c, upload) : undefined;
      return spec !== undefined && upload.input === "streamed"
        ? this.#stream(c, next, spec)
        : this.#store(c, next, spec);
    };
  }

  /** Leaves the body to the call as its input. The handler sees a request with the spec alone. */
  async #stream(c: NodeContext, next: Next, spec: string): Promise<void> {
    const body = bodyOf(c);
    c.set("input", body);
    this.#held(c);
    replaceBody(c, largeJson(spec));
    const keepOpen = closeBehind(c.env.incoming, c.env.outgoing);
    await next();
    if (c.res.status < 400) return;
    // A refusal does not cost the client its connection.
    keepOpen();
    body.destroy();
  }

  /**
   * Stores a multipart body, or one that is the child's input, on disk. The handler sees a request
   * with the spec alone.
   *
   * @param spec the spec beside the body; undefined for a multipart body, which has it.
   * @throws {PoolError} `invalid_request`, `payload_too_large`; see {@link Holding.grow}.
   */
  async #store(c: NodeContext, next: Next, spec: string | undefined): Promise<void> {
    const maxBytes = this.#options.maxUploadBytes();
    if (Number(c.req.header("content-length")) > maxBytes) throw tooLarge(maxBytes);
    const uploads = this.#open(c);
    const release = uploads.hold();
    const body = bodyOf(c);
    try {
      const arriving = bounded(body, maxBytes);
      if (spec !== undefined) await uploads.keep(STDIN_PART, arriving);
      const boundary = () => boundaryOf(c.req.header("content-type"));
      const parts = () => readMultipart(arriving, boundary());
      replaceBody(
        c,
        spec === undefined ? await this.#readParts(parts(), uploads) : largeJson(spec),
      );
      c.set("uploads", uploads);
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

  /** Makes a handler see the large values of its child spec, data among them as uploads. */
  withLargeValues<C extends NodeContext>(handler: (c: C) => unknown): (c: C) => unknown {
    return (c) => {
      const json: ParsedJson | undefined = c.get("json");
      return json && json.large.size > 0 ? this.#place(c, json, handler) : handler(c);
    };
  }

  async #place<C extends NodeContext>(c: C, json: ParsedJson, handler: (c: C) => unknown) {
    const uploads: Uploads = c.get("uploads") ?? this.#open(c);
    const release = uploads.hold();
    try {
      await placeLargeValues(specOf(c), json, uploads);
      c.set("uploads", uploads);
      // The parts on disk are no longer held in memory. Arguments share one buffer with the rest.
      c.set("json", undefined);
      const hasArguments = [...json.large.values()].some(({ path }) => path.at(-1) === "args");
      if (!hasArguments) uploads.memory?.set(json.restBytes);
    } catch (error) {
      release();
      throw error;
    }
    return (async () => handler(c))().finally(release);
  }

  /** Opens a store for the parts of a request. */
  #open(c: NodeContext): Uploads {
    const { folder, storedBytes } = this.#options;
    return new Uploads(new Spool(folder), storedBytes.open(c.get("caller").name), this.#held(c));
  }

  /** The memory that a request holds, its answer included. */
  #held(c: NodeContext): Holding {
    const given: Holding | undefined = c.get("held");
    if (given) return given;
    const held = this.#options.heldBytes.open(c.get("caller").name);
    c.set("held", held);
    onOver(c.env.outgoing, () => held.release());
    return held;
  }

  /** Stores the parts. Returns the spec. */
  async #readParts(parts: AsyncIterable<FormPart>, uploads: Uploads): Promise<LargeJson> {
    const names = new Set<string>();
    let spec: LargeJson | undefined;
    let files = 0;
    for await (const { name, mode, body } of parts) {
      const shown = JSON.stringify(name.slice(0, 255));
      const isFile = isFilePart(name);
      if (isFile && !isWorkspacePath(name))
        throw refusal(
          `a part's name is spec, stdin, archive, or a path in the workspace; got ${shown}`,
        );
      if (isFile && !FileModeSchema.safeParse(mode).success)
        throw refusal(`mode=755 or other octal digits in the type of part ${shown}`);
      if (names.has(name)) throw refusal(`a part of each name; got ${shown} twice`);
      names.add(name);
      if (isFile && ++files > MAX_FILES)
        throw PoolError.of("invalid_request", tooManyFiles("more"));
      if (name === SPEC_PART) spec = await this.#readSpec(body, uploads);
      else await uploads.keep(name, body, isFile ? mode : undefined);
    }
    if (spec === undefined) throw refusal("a part `spec`, the child spec as JSON; got none");
    return spec;
  }

  async #readSpec(body: AsyncIterable<Buffer>, { memory }: Uploads): Promise<LargeJson> {
    const maxBodyBytes = this.#options.maxBodyBytes();
    const json = new LargeJson(isLargeInSpec);
    const turn = turns();
    for await (const piece of body) {
      memory?.grow(piece.length);
      json.push(piece);
      await turn();
      if (json.bytes > maxBodyBytes)
        throw PoolError.of("payload_too_large", `expected a spec of at most ${maxBodyBytes} bytes`);
    }
    return json;
  }
}

/** The child spec that the route has validated. */
function specOf({ req }: NodeContext): SpecWithLargeValues {
  return (req as { valid(target: "json"): unknown }).valid("json") as SpecWithLargeValues;
}

function refusal(expected: string): PoolError {
  return PoolError.of("invalid_request", `expected ${expected}`);
}

function tooLarge(maxBytes: number): PoolError {
  return PoolError.of("payload_too_large", `expected an upload of at most ${maxBytes} bytes`);
}

/** @throws {PoolError} `payload_too_large`. */
async function* bounded(
  body: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    yield piece;
  }
}
