/** The files of a child, from wherever they come, as the tar stream that is unpacked in its workspace. */
import type { Readable } from "node:stream";
import type { ChildSpec } from "../../openapi/spec.ts";
import type { Part } from "../../sdk/typescript/http/multipart.ts";
import { type FetchOptions, fetchFile } from "./fetch.ts";
import { fileOf, packFiles } from "./files.ts";
import { Spool } from "./spool.ts";

export interface WorkspaceOptions extends FetchOptions {
  /** Files that came beside the spec. */
  readonly uploaded: readonly Part[];
  /** Where what is fetched is kept until it has gone in; private to the server. */
  readonly folder: string;
}

/**
 * Fetches what has to be fetched, and packs all of it. Undefined when there are no files.
 *
 * @param options `maxBytes` bounds all files together.
 * @throws {PoolError} see {@link fetchFile}.
 */
export async function packWorkspace(
  files: NonNullable<ChildSpec["files"]>,
  options: WorkspaceOptions,
): Promise<Readable | undefined> {
  const { uploaded, folder, maxBytes } = options;
  const parts = [...uploaded];
  const urls: [path: string, url: string][] = [];
  for (const [path, data] of Object.entries(files)) {
    if (typeof data === "object" && "url" in data) urls.push([path, data.url]);
    else parts.push(fileOf(path, data));
  }
  if (parts.length + urls.length === 0) return undefined;
  const spool = new Spool(folder);
  try {
    let left = maxBytes - parts.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const [name, url] of urls) {
      const place = await fetchFile(name, url, spool, { ...options, maxBytes: left });
      left -= place.bytes;
      parts.push({ name, bytes: place.bytes, read: () => spool.read(place) });
    }
    const tar = packFiles(parts);
    tar.once("close", () => void spool.close());
    return tar;
  } catch (error) {
    await spool.close();
    throw error;
  }
}
