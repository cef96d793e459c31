/**
 * Checks an archive with files for a child, before anything of it goes into the sandbox. It is read
 * twice: once to be checked whole, and once to be sent.
 */
import { createGunzip } from "node:zlib";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { MAX_ARCHIVE_ENTRIES } from "../../openapi/limits.ts";
import { isWorkspacePath } from "../../openapi/paths.ts";
import { turns } from "../../sdk/typescript/time/turns.ts";
import { type Entry, readArchive } from "./archive.ts";
import type { Spooled } from "./spool.ts";

/** 4 MiB of paths and of the folders above them, which are held in memory for the check. */
const MAX_PATH_BYTES = 4 * 1024 * 1024;
/** 4 KiB for the headers of each entry of a tar stream, beside the contents. */
const HEADER_BYTES = 4_096;

/** A file or a folder of an archive, by its path in the workspace. */
export interface Unpacked extends Omit<Entry, "name"> {
  readonly path: string;
}

export interface UnpackOptions {
  /** Bytes of all files together. */
  readonly maxBytes: number;
  /** The paths of the files that come beside the archive. */
  readonly others: readonly string[];
  readonly signal: AbortSignal;
}

/** An archive that has been checked. */
export interface Archive {
  /** Bytes of all files together. */
  readonly bytes: number;
  entries(): AsyncGenerator<Unpacked, void, undefined>;
}

/**
 * Reads an archive to its end.
 *
 * @throws {PoolError} `invalid_request` for an archive that cannot be read, has anything but files
 *   and folders in the workspace, has a path twice, or has too many; `payload_too_large` for more
 *   than `maxBytes`.
 */
export async function checkArchive(content: Spooled, options: UnpackOptions): Promise<Archive> {
  const { maxBytes } = options;
  try {
    const open = await reader(content, maxBytes);
    const paths = new Paths(options.others);
    let bytes = 0;
    for await (const entry of open()) {
      options.signal.throwIfAborted();
      paths.add(entry);
      bytes += entry.bytes;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      for await (const _ of entry.body);
    }
    return { bytes, entries: open };
  } catch (error) {
    if (error instanceof PoolError || options.signal.aborted) throw error;
    throw refusal(`a tar archive, plain or in gzip, or a zip archive: ${messageOf(error)}`);
  }
}

/** Finds out the format by the first bytes. */
async function reader(content: Spooled, maxBytes: number) {
  const head: Buffer[] = [];
  for await (const piece of content.slice(0, 4)) head.push(piece);
  const magic = Buffer.concat(head).toString("latin1");
  const limit = maxBytes + MAX_ARCHIVE_ENTRIES * HEADER_BYTES;
  // A tar archive may begin with PKGBUILD.
  if (/^PK[^ -~]/.test(magic)) return () => unpacked(readZip(content));
  const isGzip = magic.startsWith("\x1f\x8b");
  const stream = () => (isGzip ? inflated(content) : content.slice(0, content.bytes));
  return () => unpacked(readTar(bounded(stream(), limit)));
}

/** Loads the reader of zip archives once there is one: it takes 0.4 MB. */
async function* readZip(content: Spooled): AsyncGenerator<Entry, void, undefined> {
  yield* (await import("./zip.ts")).readZip(content);
}

async function* readTar(source: AsyncGenerator<Buffer>): AsyncGenerator<Entry, void, undefined> {
  try {
    yield* readArchive(source, { pax: true });
    // The checksum of gzip comes behind the end of the archive.
    for await (const _ of source);
  } finally {
    await source.return(undefined);
  }
}

/** @throws {PoolError} `payload_too_large`. */
async function* bounded(
  source: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    yield piece;
  }
}

async function* inflated(content: Spooled): AsyncGenerator<Buffer, void, undefined> {
  const gunzip = createGunzip();
  const feed = async () => {
    for await (const piece of content.slice(0, content.bytes)) {
      if (gunzip.destroyed) return;
      if (gunzip.write(piece)) continue;
      await new Promise((more) => gunzip.once("drain", more).once("close", more));
    }
    gunzip.end();
  };
  feed().catch((error: Error) => gunzip.destroy(error));
  yield* gunzip as AsyncIterable<Buffer>;
}

/** The files and folders, by their paths in the workspace. The workspace itself is left out. */
async function* unpacked(entries: AsyncIterable<Entry>): AsyncGenerator<Unpacked, void, undefined> {
  // Entries without content come from memory, many thousand in a row.
  const turn = turns();
  for await (const { name, ...entry } of entries) {
    await turn();
    const shown = JSON.stringify(name?.slice(0, 255));
    if (!entry.isFile && !entry.isFolder)
      throw refusal(`files and folders; got a link or a device at ${shown}`);
    // The search begins at the first of some slashes only: there may be 64 KiB of them.
    const path = name?.replace(/^(\.\/+)+/, "").replace(entry.isFolder ? /(?<!\/)\/+$/ : /$^/, "");
    if (entry.isFolder && (path === "" || path === ".")) continue;
    if (path === undefined || !isWorkspacePath(path))
      throw refusal(`paths in the workspace, without . and .., in UTF-8; got ${shown}`);
    yield { ...entry, path };
  }
}

/** The paths of an archive, each of which is there once. */
class Paths {
  readonly #files: Set<string>;
  readonly #folders = new Set<string>();
  #count = 0;
  #bytes = 0;

  constructor(others: readonly string[]) {
    this.#files = new Set(others);
    for (const path of others) this.#addFolders(path);
  }

  add({ path, isFolder }: Unpacked): void {
    this.#count += 1;
    if (this.#count > MAX_ARCHIVE_ENTRIES)
      throw refusal(`at most ${MAX_ARCHIVE_ENTRIES} files and folders; got more`);
    this.#hold(path);
    const isTwice = this.#files.has(path) || (!isFolder && this.#folders.has(path));
    if (isTwice) throw refusal(`each path once; got ${JSON.stringify(path)} twice`);
    (isFolder ? this.#folders : this.#files).add(path);
    this.#addFolders(path);
  }

  #hold(path: string): void {
    this.#bytes += path.length;
    if (this.#bytes > MAX_PATH_BYTES)
      throw refusal(
        `paths, with the folders above them, of together at most ${MAX_PATH_BYTES} characters; ` +
          "got more",
      );
  }

  #addFolders(path: string): void {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const folder = path.slice(0, end);
      if (this.#files.has(folder))
        throw refusal(`each path once; got ${JSON.stringify(folder)} as a file and a folder`);
      // The folders above it are known already.
      if (this.#folders.has(folder)) return;
      this.#hold(folder);
      this.#folders.add(folder);
    }
  }
}

function refusal(expected: string): PoolError {
  const message = `expected ${expected}`;
  return PoolError.of("invalid_request", `/archive: ${message}`, {
    fields: [{ path: "/archive", message }],
  });
}

function tooLarge(maxBytes: number): PoolError {
  return PoolError.of(
    "payload_too_large",
    `/archive: expected files of together at most ${maxBytes} bytes; it has more`,
  );
}
