/** Files of a spec as a program has them: what JSON does not carry travels in parts of its own. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { ChildSpecInput } from "../../openapi/spec.ts";
import { type Part, SPEC_PART, STDIN_PART } from "./http/multipart.ts";

type WireFile = NonNullable<ChildSpecInput["files"]>[string];

/** A file of this machine. */
type LocalFile = { readonly path: string };
/** What travels beside the spec. */
type Beside = Uint8Array | Blob | LocalFile;
/** What travels while the child runs. */
type Streamed = Readable | ReadableStream<Uint8Array>;
/** A file for the child: text, base64 or a URL as in the contract; bytes; or a file of this machine, which is read as it is sent. */
export type FileInput = WireFile | Beside;
type FilesInput = Readonly<Record<string, FileInput>>;

/** A spec whose files have not been split yet. */
export interface SpecWithFiles extends Omit<ChildSpecInput, "files" | "stdin"> {
  /**
   * What the child reads on its standard input: text, base64, or bytes, whole before it starts. A call takes a stream too, of any length, which
   * goes to the child while its output comes back, and a file of this machine (`{path}`) is sent so. The stream is read no faster than the
   * child reads, and destroyed when the call is over; when it fails, the call does, and the child is stopped. A placed child gets
   * a file whole, and takes a stream by `child.write()`.
   */
  readonly stdin?: ChildSpecInput["stdin"] | Beside | Streamed | undefined;
  /** Files for the workspace, by their paths in it. Bytes and files of this machine are streamed. */
  readonly files?: FilesInput | undefined;
}

/** The spec of a call without what is streamed to its child, and that. @throws {PoolError} `invalid_request` for what cannot be read. */
export async function splitInput({
  stdin,
  ...rest
}: SpecWithFiles): Promise<{ spec: SpecWithFiles; source: Readable | undefined }> {
  const source = await sourceOf(stdin);
  return { spec: { ...rest, stdin: source ? { open: true, once: true } : stdin }, source };
}

async function sourceOf(stdin: SpecWithFiles["stdin"]): Promise<Readable | undefined> {
  if (isStreamed(stdin)) {
    if (stdin instanceof Readable ? !stdin.readable || stdin.readableFlowing : stdin.locked)
      throw PoolError.of(
        "invalid_request",
        "stdin: expected a stream that nobody else reads, and that has not ended",
      );
    return stdin instanceof Readable ? stdin : Readable.fromWeb(stdin);
  }
  if (!isLocalFile(stdin)) return undefined;
  const part = await partOf(STDIN_PART, stdin);
  return part && Readable.from(part.read(), { objectMode: false });
}

function isStreamed(stdin: SpecWithFiles["stdin"]): stdin is Streamed {
  return stdin instanceof Readable || stdin instanceof globalThis.ReadableStream;
}

function isLocalFile(file: FileInput | SpecWithFiles["stdin"]): file is LocalFile {
  return typeof file === "object" && "path" in file;
}

/** The spec with the files that JSON carries, and the others. @throws {PoolError} `invalid_request` for a file that cannot be read. */
export async function splitFiles({
  files = {},
  stdin,
  ...rest
}: SpecWithFiles): Promise<{ spec: ChildSpecInput; parts: Part[] }> {
  if (isStreamed(stdin))
    throw PoolError.of(
      "invalid_request",
      "stdin: expected no stream for a placed child: child.write() takes one",
    );
  const inSpec: [string, WireFile][] = [];
  const input = stdin === undefined ? undefined : await partOf(STDIN_PART, stdin);
  const parts = input ? [input] : [];
  const spec: ChildSpecInput = input ? rest : { ...rest, stdin: stdin as ChildSpecInput["stdin"] };
  for (const [name, file] of Object.entries(files)) {
    const part = await partOf(name, file);
    if (!part) inSpec.push([name, file as WireFile]);
    else if (name === SPEC_PART || name === STDIN_PART)
      throw PoolError.of(
        "invalid_request",
        `files: expected text or base64 for a file called ${name}`,
      );
    else parts.push(part);
  }
  return { spec: inSpec.length > 0 ? { ...spec, files: Object.fromEntries(inSpec) } : spec, parts };
}

async function partOf(
  name: string,
  file: FileInput | NonNullable<ChildSpecInput["stdin"]>,
): Promise<Part | undefined> {
  if (file instanceof Uint8Array) {
    const read = async function* () {
      yield file;
    };
    return { name, bytes: file.byteLength, read };
  }
  if (file instanceof Blob)
    return {
      name,
      bytes: file.size,
      read: () => file.stream() as unknown as AsyncIterable<Uint8Array>,
    };
  if (!isLocalFile(file)) return undefined;
  const { path } = file;
  const found = await stat(path).catch((error: unknown) => {
    throw PoolError.of("invalid_request", `files: ${JSON.stringify(name)}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (!found.isFile())
    throw PoolError.of(
      "invalid_request",
      `files: ${JSON.stringify(name)}: expected a file; ${path} is something else`,
    );
  // What the file grows by later is left out.
  return {
    name,
    bytes: found.size,
    read: () => (found.size === 0 ? nothing() : createReadStream(path, { end: found.size - 1 })),
  };
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
