/** Reads a zip archive from a stranger, entry by entry, from its list at the end. */
import { isUtf8 } from "node:buffer";
import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import {
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
  RandomAccessReader,
  type Entry as ZipEntry,
} from "yauzl";
import { messageOf } from "../../openapi/errors.ts";
import { ArchiveError, type Entry, PERMISSIONS } from "./archive.ts";
import type { Spooled } from "./spool.ts";

/** Systems that write Unix's modes: Unix itself and macOS. */
const UNIX = [3, 19];
const KIND = 0o170000;
const FILE_KIND = 0o100000;
const FOLDER_KIND = 0o040000;
/** The flag of a name in UTF-8. */
const UTF8 = 0x800;

/** 64 KiB are read at once, because the library asks for a few bytes at a time. */
const WINDOW_BYTES = 65_536;

interface Window {
  readonly start: number;
  readonly bytes: Buffer;
}

class SpoolReader extends RandomAccessReader {
  readonly #content: Spooled;
  /** Two: the list at the end and the heads of the entries are read in turns. The last is first. */
  #windows: readonly Window[] = [];

  constructor(content: Spooled) {
    super();
    this.#content = content;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.#content.slice(start, end), { objectMode: false });
  }

  override read(
    ...[buffer, offset, length, position, callback]: Parameters<RandomAccessReader["read"]>
  ): void {
    this.#window(position, length).then(({ start, bytes }) => {
      const copied = bytes.copy(buffer, offset, position - start, position - start + length);
      callback(copied === length ? null : new Error("it ends too early"));
    }, callback);
  }

  /** The window with these bytes, as far as there are as many. */
  async #window(position: number, length: number): Promise<Window> {
    const known = this.#windows.find(
      ({ start, bytes }) => start <= position && position + length <= start + bytes.length,
    );
    const window = known ?? { start: position, bytes: await this.#bytes(position, length) };
    this.#windows = [window, ...this.#windows.filter((each) => each !== window)].slice(0, 2);
    return window;
  }

  async #bytes(start: number, length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const end = start + Math.max(length, WINDOW_BYTES);
    for await (const piece of this.#content.slice(start, end)) pieces.push(piece);
    return Buffer.concat(pieces);
  }
}

/**
 * The entries of the archive.
 *
 * @throws {ArchiveError} when it is no whole zip archive, has a part in another file, or has a name
 *   that leads out of the folder.
 */
export async function* readZip(content: Spooled): AsyncGenerator<Entry, void, undefined> {
  try {
    const zip = await fromRandomAccessReaderPromise(new SpoolReader(content), content.bytes, {
      decodeStrings: false,
    });
    let packedBytes = 0;
    try {
      for await (const entry of zip.eachEntry()) {
        // The same bytes under many names would be inflated again and again.
        packedBytes += entry.compressedSize;
        if (packedBytes > content.bytes)
          throw new ArchiveError("its entries overlap, or end behind it");
        if (!entry.canDecodeFileData())
          throw new ArchiveError(
            "an entry is encrypted, or compressed by another way than deflate",
          );
        const open = () => zip.openReadStreamPromise(entry);
        yield { ...entryOf(entry), body: checked(entry, open) };
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    throw error instanceof ArchiveError ? error : new ArchiveError(messageOf(error));
  }
}

/**
 * The name of an entry. Many programs write UTF-8 without the flag for it. Windows separates names
 * by backslashes.
 */
function nameOf(entry: ZipEntry, isUnix: boolean): string {
  const { fileNameRaw: raw, generalPurposeBitFlag: flags, extraFields } = entry;
  const name = getFileNameLowLevel(isUtf8(raw) ? flags | UTF8 : flags, raw, extraFields, true);
  return isUnix ? name : name.replaceAll("\\", "/");
}

function entryOf(entry: ZipEntry): Omit<Entry, "body"> {
  const isUnix = UNIX.includes(entry.versionMadeBy >> 8);
  const name = nameOf(entry, isUnix);
  const mode = isUnix ? entry.externalFileAttributes >>> 16 : 0;
  const looksLikeFolder = name.endsWith("/");
  const kind = mode & KIND || (looksLikeFolder ? FOLDER_KIND : FILE_KIND);
  return {
    name,
    isFile: kind === FILE_KIND && !looksLikeFolder,
    isFolder: kind === FOLDER_KIND && looksLikeFolder,
    mode: mode & PERMISSIONS || (looksLikeFolder ? 0o755 : 0o644),
    bytes: entry.uncompressedSize,
  };
}

/** The content of an entry. Its length is checked by the library, its checksum here. */
async function* checked(
  entry: ZipEntry,
  open: () => Promise<Readable>,
): AsyncGenerator<Buffer, void, undefined> {
  let sum = 0;
  for await (const piece of (await open()) as AsyncIterable<Buffer>) {
    sum = crc32(piece, sum);
    yield piece;
  }
  if (sum !== entry.crc32) throw new ArchiveError("an entry has a wrong checksum");
}
