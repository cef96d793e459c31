/** Bytes that are too many to hold: kept in a file without a name, given out by place. */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";

export const READ_BYTES = 65_536;

/** Where some of the bytes are. */
export interface SpoolRange {
  readonly start: number;
  readonly bytes: number;
}

/** A file without a name, made when the first bytes come: nothing of it is left, however the process ends. */
export class Spool {
  /** How many bytes it has. */
  end = 0;
  readonly #folder: string;
  #file: FileHandle | undefined;

  /** @param folder private to the server. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Adds bytes at the end. One at a time. */
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
    for (let at = start; at < start + bytes; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, start + bytes - at));
      const read = await this.#file?.read(buffer, 0, buffer.length, at);
      if (!read?.bytesRead) throw new Error("the content ends too early");
      at += read.bytesRead;
      yield buffer.subarray(0, read.bytesRead);
    }
  }

  /** Lets go of the bytes. Idempotent. */
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
