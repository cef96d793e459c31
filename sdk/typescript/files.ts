/** The files and the input of a spec. Bytes, which JSON does not carry, travel beside the spec. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import { type Part, SPEC_PART, STDIN_PART } from "./http/multipart.ts";

type WireFile = NonNullable<ChildSpecInput["files"]>[string];

/** A file of this machine, by its path. */
type LocalFile = { readonly path: string };
/** Contents of a known size, which travel beside the spec. */
type Sized = Uint8Array | Blob | LocalFile;
/** Input of any length, which travels while the child runs. */
type Streamed = Readable | ReadableStream<Uint8Array>;
/**
 * A file for the child: text, `{ base64 }` or `{ url }` as in the contract; bytes; or `{ path }`, a
 * file of this machine, which is read while it is sent.
 */
export type FileInput = WireFile | Sized;
type FilesInput = Readonly<Record<string, FileInput>>;

/** A spec of the contract that may also have bytes, streams, and files of this machine. */
export interface SpecWithFiles extends Omit<ChildSpecInput, "files" | "stdin"> {
  /**
   * The child's standard input. Text, base64 and bytes arrive before the child starts. A call also
   * takes a stream of any length, or a file of this machine (`{ path }`); it is sent while the
   * output comes back, no faster than the child reads. The call destroys the stream at its end. A
   * stream that fails ends the call, and the child is stopped. A placed child gets a file whole,
   * and takes a stream by `child.write()`. Default: empty for a call, open for a placed child.
   */
  readonly stdin?: ChildSpecInput["stdin"] | Sized | Streamed | undefined;
  /** Files for the workspace, by their paths in it. Default: none. */
  readonly files?: FilesInput | undefined;
}

/**
 * Takes the streamed input out of the spec of a call.
 *
 * @throws {PoolError} `invalid_request` for a stream or a file that cannot be read.
 */
export async function splitInput({ stdin, ...rest }: SpecWithFiles) {
  const source = await sourceOf(stdin);
  return {
    spec: { ...rest, stdin: source ? ({ open: true, once: true } as const) : stdin },
    source,
  };
}

async function sourceOf(stdin: SpecWithFiles["stdin"]) {
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

/**
 * Takes the contents that JSON does not carry out of a spec.
 *
 * @throws {PoolError} `invalid_request` for a file that cannot be read.
 */
export async function splitFiles({ files = {}, stdin, ...rest }: SpecWithFiles) {
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
  if (file instanceof Uint8Array)
    return { name, bytes: file.byteLength, read: () => Readable.from([file]) };
  if (file instanceof Blob)
    return {
      name,
      bytes: file.size,
      read: () => Readable.fromWeb(file.stream()),
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
  // A file that grows while it is sent is cut at the size that was announced.
  return {
    name,
    bytes: found.size,
    read: () =>
      found.size === 0 ? Readable.from([]) : createReadStream(path, { end: found.size - 1 }),
  };
}
