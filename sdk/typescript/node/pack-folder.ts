/** A folder of this machine as a tar stream, which is read while it is sent. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { PoolError } from "../../../openapi/errors.ts";
import type { Part } from "../http/multipart.ts";

const BLOCK = 512;
/** GNU tar's name for an entry that holds the name of the next one. */
const LONG_NAME = "././@LongLink";
const MAX_SHORT_BYTES = 100;
/** 8 GiB: what 11 octal digits can say. */
const MAX_OCTAL = 8 ** 11;
const PERMISSIONS = 0o777;

interface Entry {
  /** Its path in the folder; that of a folder ends with a slash. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
}

/**
 * The files and folders below a folder. Links to files become files.
 *
 * @throws {PoolError} `invalid_request` for anything else, such as a link to a folder.
 */
export async function packFolder(name: string, folder: string): Promise<Part> {
  const entries = await entriesOf(folder);
  const bytes = entries.reduce(
    (sum, entry) => sum + headersOf(entry).length + padded(entry.bytes),
    2 * BLOCK,
  );
  return { name, bytes, read: () => tarOf(entries) };
}

async function entriesOf(folder: string): Promise<Entry[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const entries = found.map(async (each): Promise<Entry> => {
    const path = join(each.parentPath, each.name);
    const { size, mode, ...kind } = await statOf(path);
    const isFolder = each.isDirectory();
    if (!isFolder && !kind.isFile)
      throw PoolError.of(
        "invalid_request",
        `archive: expected files, folders and links to files; ${path} is something else`,
      );
    const name = path.slice(join(folder, "/").length).replaceAll(sep, "/");
    return {
      name: isFolder ? `${name}/` : name,
      path,
      bytes: isFolder ? 0 : size,
      mode: mode & PERMISSIONS,
    };
  });
  return (await Promise.all(entries)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function statOf(path: string) {
  const found = await stat(path).catch((cause: Error) => {
    throw PoolError.of("invalid_request", `archive: ${cause.message}`, { cause });
  });
  return { size: found.size, mode: found.mode, isFile: found.isFile() };
}

const padded = (bytes: number) => Math.ceil(bytes / BLOCK) * BLOCK;

function headersOf({ name, bytes, mode }: Entry): Buffer {
  const type = name.endsWith("/") ? "5" : "0";
  const raw = Buffer.from(name);
  const own = header({ name: raw.subarray(0, MAX_SHORT_BYTES), bytes, mode, type });
  if (raw.length <= MAX_SHORT_BYTES) return own;
  const long = Buffer.alloc(padded(raw.length + 1));
  raw.copy(long);
  const longName = { name: Buffer.from(LONG_NAME), bytes: raw.length + 1, mode: 0, type: "L" };
  return Buffer.concat([header(longName), long, own]);
}

interface Header {
  readonly name: Buffer;
  readonly bytes: number;
  readonly mode: number;
  readonly type: string;
}

/** A header in GNU tar's format. Its checksum counts its own field as spaces. */
function header({ name, bytes, mode, type }: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  name.copy(block);
  block.write(`${octal(mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100);
  if (bytes < MAX_OCTAL) block.write(octal(bytes, 11), 124);
  else {
    // A larger size is a binary number behind this byte.
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(bytes), 128);
  }
  block.write(octal(0, 11), 136);
  block.write(`        ${type}`, 148);
  block.write("ustar  \0", 257, "latin1");
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte),
      6,
    )}\0 `,
    148,
  );
  return block;
}

const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");

async function* tarOf(entries: readonly Entry[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const entry of entries) {
    yield headersOf(entry);
    let sent = 0;
    // A file that grows while it is sent is cut at the size that was announced.
    if (entry.bytes > 0)
      for await (const piece of createReadStream(entry.path, { end: entry.bytes - 1 })) {
        sent += (piece as Buffer).length;
        yield piece as Buffer;
      }
    if (sent < entry.bytes) throw new Error(`${entry.path} became shorter while it was sent`);
    yield Buffer.alloc(padded(sent) - sent);
  }
  yield Buffer.alloc(2 * BLOCK);
}
