/** The files and the input of a spec. Bytes, which JSON does not carry, travel beside the spec. */
import { PoolError } from "../../openapi/errors.ts";
import { ARCHIVE_PART, isFilePart, type Part, STDIN_PART } from "./http/multipart.ts";
import type { ChildSpecInput } from "./http/send-spec.ts";
import { isStreamed, type Streamed } from "./http/source.ts";

type WireFile = NonNullable<ChildSpecInput["files"]>[string];

/** A file of this machine, by its path. */
type LocalFile = { readonly path: string };
/** Contents of a known size, which travel beside the spec. */
type Sized = Uint8Array | Blob | LocalFile;
/** Contents with the permissions of a file, as octal digits such as `755`. */
type WithMode =
  | { readonly content: Uint8Array | Blob; readonly mode?: string | undefined }
  | (LocalFile & { readonly mode?: string | undefined });
/**
 * A file for the child: text, `{ text }`, `{ base64 }` or `{ url }` as in the contract; bytes; a
 * `Blob`; `{ content }`, which is one of these two; or, with the entry `./node`, `{ path }`, a file
 * of this machine, which is read while it is sent. Each object takes a `mode`, such as `"755"`.
 * Default: `644`, and `755` for a file of this machine that its owner can execute.
 */
export type FileInput = WireFile | Sized | WithMode;
type FilesInput = Readonly<Record<string, FileInput>>;

/** A spec of the contract that may also have bytes, streams, and files of this machine. */
export interface SpecWithFiles extends Omit<ChildSpecInput, "archive" | "files" | "stdin"> {
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
  /**
   * A tar archive, plain or in gzip, or a zip archive, with files for the workspace: bytes, a
   * `Blob`, `{ base64 }` or `{ url }`; or, with the entry `./node`, `{ path }`, an archive or a
   * folder of this machine. Permissions are kept. Links and devices are refused. Default: none.
   */
  readonly archive?: ChildSpecInput["archive"] | Sized | undefined;
}

/**
 * Opens a file of this machine as a part of a request.
 *
 * @throws {PoolError} `invalid_request` for a file that cannot be read.
 */
export type LocalFiles = (name: string, path: string) => Promise<Part>;

/** The local files of the portable entry, which has none. */
export const noLocalFiles: LocalFiles = async (name) => {
  throw PoolError.of(
    "invalid_request",
    `files: ${JSON.stringify(name)}: expected bytes or a Blob; ` +
      "got a path, which only @distributed-pool/sdk/node reads",
  );
};

/**
 * Takes the streamed input out of the spec of a call.
 *
 * @throws {PoolError} `invalid_request` for a file that cannot be read.
 */
export async function splitInput({ stdin, ...rest }: SpecWithFiles, localFiles: LocalFiles) {
  const source = isStreamed(stdin)
    ? stdin
    : isLocalFile(stdin) && (await localFiles(STDIN_PART, stdin.path)).read();
  return source ? { spec: rest, source } : { spec: { ...rest, stdin }, source: undefined };
}

function isLocalFile(file: unknown): file is LocalFile {
  return typeof file === "object" && file !== null && "path" in file;
}

/**
 * Takes the contents that JSON does not carry out of a spec.
 *
 * @throws {PoolError} `invalid_request` for a file that cannot be read.
 */
export async function splitFiles(
  { files = {}, stdin, archive, ...fields }: SpecWithFiles,
  localFiles: LocalFiles,
) {
  if (isStreamed(stdin))
    throw PoolError.of(
      "invalid_request",
      "stdin: expected no stream for a placed child: child.write() takes one",
    );
  const inSpec: [string, WireFile][] = [];
  const input = stdin === undefined ? undefined : await partOf(STDIN_PART, stdin, localFiles);
  const packed = archive && (await partOf(ARCHIVE_PART, archive, localFiles));
  const parts = [input, packed].filter((part) => part !== undefined);
  const rest: ChildSpecInput =
    archive && !packed ? { ...fields, archive: archive as ChildSpecInput["archive"] } : fields;
  const spec: ChildSpecInput = input ? rest : { ...rest, stdin: stdin as ChildSpecInput["stdin"] };
  for (const [name, file] of Object.entries(files)) {
    const part = await partOf(name, file, localFiles);
    if (!part) inSpec.push([name, file as WireFile]);
    else if (!isFilePart(name))
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
  given: FileInput | NonNullable<ChildSpecInput["stdin"] | ChildSpecInput["archive"]>,
  localFiles: LocalFiles,
): Promise<Part | undefined> {
  const mode = typeof given === "object" && "mode" in given ? { mode: given.mode } : {};
  if (isLocalFile(given)) return { ...(await localFiles(name, given.path)), ...mode };
  const file = typeof given === "object" && "content" in given ? given.content : given;
  const isBytes = file instanceof Uint8Array;
  if (!isBytes && !(file instanceof Blob)) return undefined;
  const blob = isBytes ? new Blob([file as Uint8Array<ArrayBuffer>]) : file;
  const read = isBytes
    ? async function* () {
        yield file;
      }
    : () => blob.stream() as unknown as AsyncIterable<Uint8Array>;
  return { name, ...mode, bytes: blob.size, blob, read };
}
