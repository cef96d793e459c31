/**
 * Keeps bytes that are too many for memory in a file without a name, and gives them out by range.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";

export const READ_BYTES = 65_536;

/** Some of the bytes, by their offset in the file. */
export interface SpoolRange {
  readonly start: number;
  readonly bytes: number;
}

/**
 * A file without a name, made when the first bytes come. The system removes it however the process
 * ends.
 */
export class Spool {
  /** The number of bytes in it. */
  end = 0;
  readonly #folder: string;
  #file: FileHandle | undefined;

  /** @param folder a folder private to the server. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Adds bytes at the end. The caller waits for one call before the next. */
  async append(piece: Uint8Array): Promise<void> {
    this.#file ??= await this.#create();
    for (let written = 0; written < piece.length; ) {
      const { bytesWritten } = await this.#file.write(
        piece,
        written,
        piece.length - written,
        this.end,
      );
      written += bytesWritten;
      this.end += bytesWritten;
    }
  }

  async *read({ start, bytes }: SpoolRange): AsyncGenerator<Buffer, void, undefined> {
    for (let offset = start; offset < start + bytes; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, start + bytes - offset));
      const read = await this.#file?.read(buffer, 0, buffer.length, offset);
      if (!read?.bytesRead) throw new Error("the content ends too early");
      offset += read.bytesRead;
      yield buffer.subarray(0, read.bytesRead);
    }
  }

  /** Removes the bytes. Idempotent. */
  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #create(): Promise<FileHandle> {
    const path = join(this.#folder, randomUUID());
    const file = await open(path, "wx+", 0o600);
    await unlink(path);
    return file;
  }
}
