/** The files of a child, from wherever they come, as the tar stream that its sandbox unpacks. */
import { Readable } from "node:stream";
import { type Pack, pack } from "tar-stream";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { Data } from "../../openapi/schemas/values.ts";
import type { Part } from "../../sdk/typescript/http/multipart.ts";
import { type FetchOptions, fetchFile } from "./fetch.ts";
import { Spool } from "./spool.ts";

const FILE_MODE = 0o644;

type Files = NonNullable<ChildSpec["files"]>;

export interface PackOptions extends FetchOptions {
  /** The files that came beside the spec. */
  readonly uploaded: readonly Part[];
  /** A folder private to the server, where fetched files wait until the sandbox has them. */
  readonly folder: string;
}

/** The bytes that a caller wrote as text or base64. */
export function bytesOf(data: Data): Buffer {
  if (typeof data === "string") return Buffer.from(data);
  return "text" in data ? Buffer.from(data.text) : Buffer.from(data.base64, "base64");
}

/** A file of the spec itself. Its bytes are decoded when they are read. */
export function fileOf(name: string, data: Data): Part {
  return {
    name,
    bytes:
      typeof data === "object" && "base64" in data
        ? Buffer.byteLength(data.base64, "base64")
        : bytesOf(data).length,
    async *read() {
      yield bytesOf(data);
    },
  };
}

/** Separates the files that the spec holds itself from those that it names by a URL. */
export function sortFiles(files: Files): {
  readonly inline: Part[];
  readonly remote: { readonly path: string; readonly url: string }[];
} {
  const inline: Part[] = [];
  const remote: { path: string; url: string }[] = [];
  for (const [path, data] of Object.entries(files)) {
    if (typeof data === "object" && "url" in data) remote.push({ path, url: data.url });
    else inline.push(fileOf(path, data));
  }
  return { inline, remote };
}

/** Whether the spec names a file by a URL. */
export function fetches({ files = {} }: Pick<ChildSpec, "files">): boolean {
  return Object.values(files).some((data) => typeof data === "object" && "url" in data);
}

/** The bytes of all parts together. */
export function bytesOfAll(parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Fetches the files that the spec names by a URL, and packs all files. Undefined when there are
 * none.
 *
 * @param options `maxBytes` bounds all files together.
 * @throws {PoolError} see {@link fetchFile}.
 */
export async function packWorkspace(
  files: Files,
  options: PackOptions,
): Promise<Readable | undefined> {
  const { uploaded, folder, maxBytes } = options;
  const { inline, remote } = sortFiles(files);
  const parts = [...uploaded, ...inline];
  if (parts.length + remote.length === 0) return undefined;
  const spool = new Spool(folder);
  try {
    let remainingBytes = maxBytes - bytesOfAll(parts);
    for (const file of remote) {
      const content = await fetchFile(file, spool, { ...options, maxBytes: remainingBytes });
      remainingBytes -= content.bytes;
      parts.push({ name: file.path, ...content });
    }
    const tar = packFiles(parts);
    tar.once("close", () => void spool.close());
    return tar;
  } catch (error) {
    await spool.close();
    throw error;
  }
}

/** A tar stream of the files. They are read one after the other, as fast as the stream is read. */
export function packFiles(files: readonly Part[]): Readable {
  return Readable.from(chunks(files), { objectMode: false });
}

async function* chunks(files: readonly Part[]): AsyncGenerator<Buffer, void, undefined> {
  const tar = pack();
  // A failure, or a reader that leaves, destroys the stream, which ends the loop below.
  void addAll(files, tar).catch((error: Error) => tar.destroy(error));
  try {
    for await (const chunk of tar) yield chunk as Buffer;
  } finally {
    tar.destroy();
  }
}

async function addAll(files: readonly Part[], tar: Pack): Promise<void> {
  for (const { name, bytes, read } of files) {
    await new Promise<void>((resolve, reject) => {
      const entry = tar.entry({ name, size: bytes, mode: FILE_MODE }, (error) =>
        error ? reject(error) : resolve(),
      );
      // The callback above gets the error too; without a listener it would end the server.
      entry.on("error", () => {});
      let writeMore = () => {};
      entry.on("drain", () => writeMore()).on("close", () => writeMore());
      const write = async () => {
        for await (const piece of read()) {
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
