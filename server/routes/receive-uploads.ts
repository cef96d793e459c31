/** Receives child specs that come with files, or with the child's input, beside them. */
import type { Readable } from "node:stream";
import type { MiddlewareHandler, Next } from "hono";
import { bodyKind, SPEC_HEADER, type Upload } from "../../openapi/bodies.ts";
import { PoolError } from "../../openapi/errors.ts";
import { type ChildSpec, MAX_FILES } from "../../openapi/schemas/spec.ts";
import { isWorkspacePath } from "../../openapi/schemas/values.ts";
import { SPEC_PART, STDIN_PART } from "../../sdk/typescript/http/multipart.ts";
import { boundaryOf, type FormPart, MultipartError, readMultipart } from "../http/multipart.ts";
import { bodyOf, type NodeContext } from "../http/request.ts";
import { closeBehind } from "../http/response.ts";
import { Spool } from "../workspace/spool.ts";
import { Uploads } from "../workspace/uploads.ts";

export interface UploadOptions {
  /** A private folder of the server. */
  readonly folder: string;
  /** The most bytes of one upload. */
  maxUploadBytes(): number;
  /** The most bytes of a spec. */
  maxBodyBytes(): number;
}

/** The context variables that a handler of a route with uploads finds. */
export interface UploadVariables {
  readonly uploads: Uploads | undefined;
  /** The unread input of a call whose whole body is that input. */
  readonly input: Readable | undefined;
}

/**
 * The child spec beside a body that is the child's input: a command in the query, where every body
 * is the input, or a whole spec.
 */
function specBeside(c: NodeContext, { inputOnly }: Upload): string {
  // The router leaves such an escape as it is, which would be another argument.
  if (!isEscaped(new URL(c.req.url).search))
    throw refusal("a query in UTF-8, each byte of it that is escaped as % and two digits");
  const command = inputOnly ? c.req.queries("command") : undefined;
  const pool = inputOnly ? c.req.query("pool") : undefined;
  const inQuery = c.req.query("spec");
  const inHeader = c.req.header(SPEC_HEADER);
  const given = [command, inQuery, inHeader].filter((each) => each !== undefined).length;
  if (given !== 1 || (pool !== undefined && !command)) {
    const places = `${inputOnly ? "?command=, in " : ""}?spec= or in the header ${SPEC_HEADER}`;
    const got = given === 0 ? "none" : given > 1 ? "more than one" : "?pool= beside a whole spec";
    throw refusal(
      `the child spec beside a body that is the child's input, in ${places}; got ${got}`,
    );
  }
  if (inHeader !== undefined && /[^\t -~]/.test(inHeader))
    throw refusal(`JSON in ASCII in the header ${SPEC_HEADER}, other characters as \\u escapes`);
  return inQuery ?? inHeader ?? JSON.stringify({ pool, command });
}

function isEscaped(query: string): boolean {
  try {
    decodeURIComponent(query);
    return true;
  } catch {
    return false;
  }
}

/** @throws {PoolError} `invalid_request` for a spec beside a body that has one itself. */
function refuseBeside(c: NodeContext): void {
  if (c.req.query("spec") === undefined && c.req.header(SPEC_HEADER) === undefined) return;
  throw refusal(
    "the child spec in the body, or beside a body that is the child's input; " +
      `got it beside one that is ${c.req.header("content-type")}`,
  );
}

/** Replaces the request by one whose body is the spec alone. */
function replaceBody(c: NodeContext, spec: string): void {
  const headers = new Headers(c.req.raw.headers);
  headers.set("content-type", "application/json");
  headers.delete("content-length");
  c.req.raw = new Request(c.req.url, { method: "POST", headers, body: spec });
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

/** All uploads together may take as much as this many of the largest. */
const MAX_LARGEST_UPLOADS = 4;

export class UploadReceiver {
  readonly #options: UploadOptions;
  #storedBytes = 0;

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
    replaceBody(c, spec);
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
   * @throws {PoolError} `invalid_request`, `payload_too_large`; `too_many_requests` when all
   * uploads together are too large.
   */
  async #store(c: NodeContext, next: Next, spec: string | undefined): Promise<void> {
    const { uploads, count } = this.#open(Number(c.req.header("content-length")));
    const release = uploads.hold();
    const body = bodyOf(c);
    try {
      const arriving = counted(body, count);
      if (spec !== undefined) await uploads.keep(STDIN_PART, arriving);
      const boundary = () => boundaryOf(c.req.header("content-type"));
      const parts = () => readMultipart(arriving, boundary());
      replaceBody(c, spec ?? (await this.#readParts(parts(), uploads)));
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

  /** Makes room for an upload. `count` counts its bytes as they arrive, and throws at a limit. */
  #open(announcedBytes: number): { uploads: Uploads; count(more: number): void } {
    const maxBytes = this.#options.maxUploadBytes();
    const tooLarge = () =>
      PoolError.of("payload_too_large", `expected an upload of at most ${maxBytes} bytes`);
    if (announcedBytes > maxBytes) throw tooLarge();
    let bytes = 0;
    const uploads = new Uploads(new Spool(this.#options.folder), () => {
      this.#storedBytes -= bytes;
    });
    const count = (more: number) => {
      bytes += more;
      this.#storedBytes += more;
      if (bytes > maxBytes) throw tooLarge();
      const maxTotalBytes = MAX_LARGEST_UPLOADS * maxBytes;
      if (this.#storedBytes > maxTotalBytes)
        throw PoolError.of(
          "too_many_requests",
          `expected all uploads at a time to have at most ${maxTotalBytes} bytes; ` +
            "others take the room",
        );
    };
    return { uploads, count };
  }

  /** Stores the parts. Returns the text of the spec. */
  async #readParts(parts: AsyncIterable<FormPart>, uploads: Uploads): Promise<string> {
    const names = new Set<string>();
    let spec: string | undefined;
    for await (const { name, body } of parts) {
      const shown = JSON.stringify(name.slice(0, 255));
      const isFile = name !== SPEC_PART && name !== STDIN_PART;
      if (isFile && !isWorkspacePath(name))
        throw refusal(`a part's name is spec, stdin, or a path in the workspace; got ${shown}`);
      if (names.has(name)) throw refusal(`a part of each name; got ${shown} twice`);
      names.add(name);
      // The spec and the input are no files.
      if (names.size > MAX_FILES + 2) throw refusal(`at most ${MAX_FILES} files`);
      if (name === SPEC_PART) spec = await this.#readText(body);
      else await uploads.keep(name, body);
    }
    if (spec === undefined) throw refusal("a part `spec`, the child spec as JSON; got none");
    return spec;
  }

  async #readText(body: AsyncIterable<Buffer>): Promise<string> {
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
