/** Files of a spec as a program has them: what JSON does not carry travels in parts of its own. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { ChildSpecInput } from "../../openapi/schemas.ts";
import { messageOf, PoolError } from "./errors.ts";
import { type Part, SPEC_PART, STDIN_PART } from "./multipart.ts";

type WireFile = NonNullable<ChildSpecInput["files"]>[string];

/** What travels beside the spec. */
type Beside = Uint8Array | Blob | { readonly path: string };
/** A file for the child: text, base64 or a URL as in the contract; bytes; or a file of this machine, which is read as it is sent. */
export type FileInput = WireFile | Beside;
type FilesInput = Readonly<Record<string, FileInput>>;

/** A spec whose files have not been split yet. */
export interface SpecWithFiles extends Omit<ChildSpecInput, "files" | "stdin"> {
  /** What the child reads on its standard input. Bytes and a file of this machine are streamed. */
  readonly stdin?: ChildSpecInput["stdin"] | Beside | undefined;
  /** Files for the workspace, by their paths in it. Bytes and files of this machine are streamed. */
  readonly files?: FilesInput | undefined;
}

/** The spec with the files that JSON carries, and the others. @throws {PoolError} `invalid_request` for a file that cannot be read. */
export async function splitFiles({ files = {}, stdin, ...rest }: SpecWithFiles): Promise<{ spec: ChildSpecInput; parts: Part[] }> {
  const inSpec: [string, WireFile][] = [];
  const input = stdin === undefined ? undefined : await partOf(STDIN_PART, stdin);
  const parts = input ? [input] : [];
  const spec: ChildSpecInput = input ? rest : { ...rest, stdin: stdin as ChildSpecInput["stdin"] };
  for (const [name, file] of Object.entries(files)) {
    const part = await partOf(name, file);
    if (!part) inSpec.push([name, file as WireFile]);
    else if (name === SPEC_PART || name === STDIN_PART) throw PoolError.of("invalid_request", `files: expected text or base64 for a file called ${name}`);
    else parts.push(part);
  }
  return { spec: inSpec.length > 0 ? { ...spec, files: Object.fromEntries(inSpec) } : spec, parts };
}

async function partOf(name: string, file: FileInput | NonNullable<ChildSpecInput["stdin"]>): Promise<Part | undefined> {
  if (file instanceof Uint8Array) {
    const read = async function* () {
      yield file;
    };
    return { name, bytes: file.byteLength, read };
  }
  if (file instanceof Blob) return { name, bytes: file.size, read: () => file.stream() as unknown as AsyncIterable<Uint8Array> };
  if (typeof file === "string" || !("path" in file)) return undefined;
  const { path } = file;
  const found = await stat(path).catch((error: unknown) => {
    throw PoolError.of("invalid_request", `files: ${JSON.stringify(name)}: ${messageOf(error)}`, { cause: error });
  });
  if (!found.isFile()) throw PoolError.of("invalid_request", `files: ${JSON.stringify(name)}: expected a file; ${path} is something else`);
  // What the file grows by later is left out.
  return { name, bytes: found.size, read: () => (found.size === 0 ? nothing() : createReadStream(path, { end: found.size - 1 })) };
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
