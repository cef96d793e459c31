/** The files of a child, from wherever they come, as the tar stream that its sandbox unpacks. */
import { Readable } from "node:stream";
import { type Pack, pack } from "tar-stream";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { Data } from "../../openapi/schemas/values.ts";
import type { Part } from "../../sdk/typescript/http/multipart.ts";
import { type FetchOptions, fetchFile } from "./fetching/fetch.ts";
import { Spool, type Spooled } from "./spool.ts";
import { type Archive, checkArchive, type Unpacked } from "./unpack.ts";

const FILE_MODE = "644";

type Files = NonNullable<ChildSpec["files"]>;

type Work = Pick<ChildSpec, "files" | "archive">;

interface Uploaded {
  readonly files: readonly Part[];
  /** The archive with files. */
  readonly archive?: Spooled | undefined;
}

export interface PackOptions extends FetchOptions {
  /** The parts that came beside the spec. */
  readonly uploads: Uploaded | undefined;
  /** A folder private to the server, where fetched files wait until the sandbox has them. */
  readonly folder: string;
}

/** The bytes that a caller wrote as text or base64. */
export function bytesOf(data: Data): Buffer {
  if (typeof data === "string") return Buffer.from(data);
  return "text" in data ? Buffer.from(data.text) : Buffer.from(data.base64, "base64");
}

/** A file of the spec itself. Its bytes are decoded when they are read. */
export function fileOf(name: string, data: Data, mode?: string): Part {
  return {
    name,
    mode,
    bytes:
      typeof data === "object" && "base64" in data
        ? Buffer.byteLength(data.base64, "base64")
        : bytesOf(data).length,
    async *read() {
      yield bytesOf(data);
    },
  };
}

interface NamedByUrl {
  readonly path: string;
  readonly url: string;
  readonly mode?: string | undefined;
}

/** Separates the files that the spec holds itself from those that it names by a URL. */
export function sortFiles(files: Files): {
  readonly inline: Part[];
  readonly remote: NamedByUrl[];
} {
  const inline: Part[] = [];
  const remote: NamedByUrl[] = [];
  for (const [path, data] of Object.entries(files)) {
    if (typeof data !== "object") inline.push(fileOf(path, data));
    else if ("url" in data) remote.push({ path, ...data });
    else inline.push(fileOf(path, data, data.mode));
  }
  return { inline, remote };
}

/** The place of the archive in messages about URLs. */
const ARCHIVE = "archive";

/** The URL of the archive, with the path that stands for it in messages. */
export function remoteArchive({ archive }: Work): NamedByUrl | undefined {
  return archive && "url" in archive ? { path: ARCHIVE, url: archive.url } : undefined;
}

/** Whether the start waits for URLs, or for the check of an archive. */
export function startsLate({ files = {}, archive }: Work, uploaded?: Spooled): boolean {
  const isRemote = Object.values(files).some((data) => typeof data === "object" && "url" in data);
  return isRemote || archive !== undefined || uploaded !== undefined;
}

/** The bytes of all parts together. */
export function bytesOfAll(parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Whether a child has files, from wherever they come. */
export function hasFiles({ files = {}, archive }: Work, uploads: Uploaded | undefined): boolean {
  const count = Object.keys(files).length + (uploads?.files.length ?? 0);
  return count > 0 || (archive ?? uploads?.archive) !== undefined;
}

/**
 * Fetches the files that the spec names by a URL, checks the archive, and packs all files.
 *
 * @param options `maxBytes` bounds all files together.
 * @throws {PoolError} see {@link fetchFile} and {@link checkArchive}.
 */
export async function packWorkspace(work: Work, options: PackOptions): Promise<Readable> {
  const { uploads, folder, maxBytes } = options;
  const { inline, remote } = sortFiles(work.files ?? {});
  const parts = [...(uploads?.files ?? []), ...inline];
  const spool = new Spool(folder);
  try {
    let remainingBytes = maxBytes - bytesOfAll(parts);
    for (const file of remote) {
      const content = await fetchFile(file, spool, { ...options, maxBytes: remainingBytes });
      remainingBytes -= content.bytes;
      parts.push({ name: file.path, mode: file.mode, ...content });
    }
    const content =
      uploads?.archive ?? (await archiveOf(work, spool, { ...options, maxBytes: remainingBytes }));
    const others = parts.map(({ name }) => name);
    const { signal } = options;
    const archive =
      content && (await checkArchive(content, { maxBytes: remainingBytes, others, signal }));
    const tar = packFiles(parts, archive);
    tar.once("close", () => void spool.close());
    return tar;
  } catch (error) {
    await spool.close();
    throw error;
  }
}

/** The archive that the spec has, or names by a URL. */
async function archiveOf(
  work: Work,
  spool: Spool,
  options: PackOptions,
): Promise<Spooled | undefined> {
  const remote = remoteArchive(work);
  if (remote) return fetchFile(remote, spool, options);
  const { archive } = work;
  return archive && "base64" in archive ? spool.add(fileOf(ARCHIVE, archive).read()) : undefined;
}

/** A tar stream of the files. They are read one after the other, as fast as the stream is read. */
export function packFiles(files: readonly Part[], archive?: Archive): Readable {
  return Readable.from(chunks(packed(files, archive)), { objectMode: false });
}

/** A file or a folder on its way into the tar stream. */
type Packed = Omit<Unpacked, "isFile">;

async function* packed(
  files: readonly Part[],
  archive: Archive | undefined,
): AsyncGenerator<Packed, void, undefined> {
  if (archive) yield* archive.entries();
  for (const { name, bytes, mode = FILE_MODE, read } of files)
    yield {
      path: name,
      bytes,
      isFolder: false,
      mode: Number.parseInt(mode, 8),
      body: read() as AsyncIterable<Buffer>,
    };
}

async function* chunks(files: AsyncIterable<Packed>): AsyncGenerator<Buffer, void, undefined> {
  const tar = pack();
  // A failure, or a reader that leaves, destroys the stream, which ends the loop below.
  void addAll(files, tar).catch((error: Error) => tar.destroy(error));
  try {
    for await (const chunk of tar) yield chunk as Buffer;
  } finally {
    tar.destroy();
  }
}

async function addAll(files: AsyncIterable<Packed>, tar: Pack): Promise<void> {
  for await (const { path: name, bytes, isFolder, mode, body } of files) {
    await new Promise<void>((resolve, reject) => {
      const type = isFolder ? "directory" : "file";
      const entry = tar.entry({ name, size: bytes, mode, type }, (error) =>
        error ? reject(error) : resolve(),
      );
      // The callback above gets the error too; without a listener it would end the server.
      entry.on("error", () => {});
      let writeMore = () => {};
      entry.on("drain", () => writeMore()).on("close", () => writeMore());
      const write = async () => {
        for await (const piece of body) {
          const room = new Promise<void>((more) => {
            writeMore = more;
          });
          if (!entry.write(piece) && !entry.destroyed) await room;
          if (entry.destroyed) return;
        }
        entry.end(null);
      };
      write().catch(reject);
    });
  }
  tar.finalize();
}
