/** Keeps bytes that are too many for memory in a file without a name. */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Part } from "../../sdk/typescript/http/multipart.ts";

export const READ_BYTES = 65_536;

/** Bytes in the spool, as long as it is open. */
export interface Spooled extends Omit<Part, "name"> {
  /** The bytes from one place to another. */
  slice(start: number, end: number): AsyncIterable<Buffer>;
}

/**
 * A file without a name, made when the first bytes come. The system removes it however the process
 * ends.
 */
export class Spool {
  readonly #folder: string;
  #end = 0;
  #file: FileHandle | undefined;

  /** @param folder a folder private to the server. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Adds a body at the end. The caller waits for one call before the next. */
  async add(body: AsyncIterable<Uint8Array>): Promise<Spooled> {
    const start = this.#end;
    for await (const piece of body) {
      this.#file ??= await this.#create();
      await this.#file.appendFile(piece);
      this.#end += piece.length;
    }
    const end = this.#end;
    return {
      bytes: end - start,
      read: () => this.#read(start, end),
      slice: (from, to) => this.#read(start + from, Math.min(start + to, end)),
    };
  }

  /** Removes the bytes. Idempotent. */
  async close(): Promise<void> {
    await this.#file?.close();
  }

  async *#read(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    for (let offset = start; offset < end; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - offset));
      const read = await this.#file?.read(buffer, 0, buffer.length, offset);
      if (!read?.bytesRead) throw new Error("the content ends too early");
      offset += read.bytesRead;
      yield buffer.subarray(0, read.bytesRead);
    }
  }

  async #create(): Promise<FileHandle> {
    const path = join(this.#folder, randomUUID());
    const file = await open(path, "wx+", 0o600);
    await unlink(path);
    return file;
  }
}
