/**
 * Reads a tar stream from a stranger: the formats `gnu` (of GNU tar), plain `ustar` and, where the
 * caller asks for it, `pax`. Anything else ends the reading.
 *
 * A pax header is bounded, belongs to one entry, and gives its path and size alone. The library
 * tar-stream 3.2 keeps whatever comes: after one large global header, each 1.5 KiB block the event
 * loop for 0.2 s.
 */
import { type PaxFields, paxFields } from "./pax.ts";

const BLOCK = 512;
/** 8 KiB: twice the longest path of Linux, so that `./` and the final NUL fit. */
const MAX_LONG_NAME_BYTES = 8_192;

/** One entry. The caller has to read `body` to its end before it asks for the next entry. */
export interface Entry {
  /** Undefined when the name is not UTF-8. */
  readonly name: string | undefined;
  /** True for a regular file; false for a folder, link, device or pipe, which has no content. */
  readonly isFile: boolean;
  readonly isFolder: boolean;
  /** Its permissions, without setuid, setgid and sticky bits. */
  readonly mode: number;
  /** The size that the header gives. `body` gives as many bytes, or throws. */
  readonly bytes: number;
  readonly body: AsyncIterable<Buffer>;
}

/** The stream is not a whole tar stream of the expected format; the message says why. */
export class ArchiveError extends Error {}

/** The bits of a mode that are permissions. */
export const PERMISSIONS = 0o777;

/** Reads a stream by counts of bytes. */
class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `count` bytes, in pieces as they come. */
  async *pieces(count: number): AsyncGenerator<Buffer, void, undefined> {
    for (let missing = count; missing > 0; ) {
      if (this.#buffered.length === 0) {
        const { value, done } = await this.#source.next();
        if (done) throw new ArchiveError("it ends too early");
        this.#buffered = value;
      }
      const piece = this.#buffered.subarray(0, missing);
      this.#buffered = this.#buffered.subarray(piece.length);
      missing -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  /** The next `count` bytes as one buffer. They are held in memory, so they have to be few. */
  async whole(count: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.pieces(count)) pieces.push(piece);
    return Buffer.concat(pieces);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** 64 KiB: eight times the longest path that is read. */
const MAX_PAX_BYTES = 65_536;

/** The text up to the first NUL; undefined when it is not UTF-8. */
function textOf(bytes: Buffer): string | undefined {
  const end = bytes.indexOf(0);
  try {
    return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end));
  } catch {
    return undefined;
  }
}

/**
 * @throws {ArchiveError} when the header's checksum is not the sum of its bytes, its own field
 *   counted as spaces.
 */
function checkSum(header: Buffer): void {
  const expected = Number.parseInt(header.toString("latin1", 148, 156).replace(/\0.*$/s, ""), 8);
  const summed = Buffer.from(header).fill(" ", 148, 156);
  if (expected !== summed.reduce((sum, byte) => sum + byte))
    throw new ArchiveError("a header has a wrong checksum");
}

function sizeOf(header: Buffer): number {
  const field = header.toString("latin1", 124, 136);
  // From 8 GiB on, GNU tar writes the size as a binary number.
  if (field.startsWith("\x80")) return Number.parseInt(header.toString("hex", 125, 136), 16);
  if (!/^[0-7]{11}[\0 ]$/.test(field)) throw new ArchiveError("a header has a size that is none");
  return Number.parseInt(field, 8);
}

/** @throws {ArchiveError} */
function readPax(header: Buffer): PaxFields {
  const fields = paxFields(header);
  if (!fields || fields.isSparse) throw new ArchiveError("a pax header cannot be read");
  return fields;
}

function modeOf(header: Buffer): number {
  return Number.parseInt(header.toString("latin1", 100, 108).trim(), 8) & PERMISSIONS;
}

/** @param magic of the header. */
function shortName(header: Buffer, magic: string): string | undefined {
  const short = textOf(header.subarray(0, 100));
  const prefix = magic === USTAR ? textOf(header.subarray(345, 500)) : "";
  if (short === undefined || prefix === undefined) return undefined;
  return prefix ? `${prefix}/${short}` : short;
}

const GNU = "ustar  \0";
const USTAR = "ustar\x0000";

export interface ReadOptions {
  /** Whether pax headers are read. Default: they end the reading. */
  readonly pax?: boolean;
}

/**
 * The entries up to the end of the archive. Bytes behind it are not read. A long name is part of
 * the entry it belongs to.
 */
export async function* readArchive(
  source: AsyncIterable<Buffer>,
  { pax = false }: ReadOptions = {},
): AsyncGenerator<Entry, void, undefined> {
  const bytes = new ByteReader(source);
  const padding = (count: number) => bytes.whole((BLOCK - (count % BLOCK)) % BLOCK);
  const longNames = new Map<string, string | undefined>();
  let longSize: number | undefined;
  for (;;) {
    const header = await bytes.whole(BLOCK);
    if (header.every((byte) => byte === 0)) return;
    checkSum(header);
    const magic = header.toString("latin1", 257, 265);
    if (magic !== GNU && magic !== USTAR)
      throw new ArchiveError("a header is of an unknown format");
    const type = String.fromCharCode(header[156] ?? 0);
    const size = longSize ?? sizeOf(header);
    // A pax header of the next entry (x), or of all (g), which names none.
    if (pax && (type === "x" || type === "g")) {
      if (size > MAX_PAX_BYTES || longNames.has("L"))
        throw new ArchiveError("a pax header is too long");
      const fields = readPax(await bytes.whole(size));
      await padding(size);
      if (type === "g") continue;
      if (fields.path !== undefined) longNames.set("L", fields.path);
      longSize = fields.size;
      continue;
    }
    // The long name of the next entry (L), or of the target of its link (K).
    if (type === "L" || type === "K") {
      if (size > MAX_LONG_NAME_BYTES || longNames.has(type))
        throw new ArchiveError("a name is too long");
      longNames.set(type, textOf(await bytes.whole(size)));
      await padding(size);
      continue;
    }
    const isFile = type === "0" || type === "\0";
    if (!isFile && !/^[1-6]$/.test(type)) throw new ArchiveError("an entry is of an unknown kind");
    if (!isFile && size > 0) throw new ArchiveError("an entry that is not a file has content");
    const name = longNames.has("L") ? longNames.get("L") : shortName(header, magic);
    longNames.clear();
    longSize = undefined;
    const isFolder = type === "5";
    yield { name, isFile, isFolder, mode: modeOf(header), bytes: size, body: bytes.pieces(size) };
    await padding(size);
  }
}
