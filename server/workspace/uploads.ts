/**
 * The parts that came beside a child spec, kept in a file without a name until their last holder
 * has released them.
 */

import { PoolError } from "../../openapi/errors.ts";
import {
  ARCHIVE_PART,
  isFilePart,
  type Part,
  STDIN_PART,
} from "../../sdk/typescript/http/multipart.ts";
import type { Holding } from "../http/bodies/held-bytes.ts";
import type { Spool, Spooled } from "./spool.ts";

export class Uploads {
  /** The memory that the request holds. The child is a holder too, to its end. */
  readonly memory: Holding | undefined;
  readonly #spool: Spool;
  /** The bytes on disk. */
  readonly #stored: Holding;
  readonly #parts = new Map<string, Part & Spooled>();
  #holders = 0;

  /** @param stored the account of the bytes on disk. The parts release it. */
  constructor(spool: Spool, stored: Holding, memory?: Holding) {
    this.#spool = spool;
    this.#stored = stored;
    this.memory = memory;
  }

  /** Every part, the input included, to be sent to another member. */
  get parts(): readonly Part[] {
    return [...this.#parts.values()];
  }

  /** The child's input, where it came as a part. */
  get stdin(): Part | undefined {
    return this.#parts.get(STDIN_PART);
  }

  /** The archive with files for the workspace, where one came. */
  get archive(): Spooled | undefined {
    return this.#parts.get(ARCHIVE_PART);
  }

  /** The files for the workspace. */
  get files(): readonly Part[] {
    return this.parts.filter(({ name }) => isFilePart(name));
  }

  /**
   * Keeps a part. The caller is a holder, and keeps one part at a time.
   *
   * @param mode the permissions of a file, as octal digits.
   * @throws {PoolError} see {@link Holding.grow}; `overloaded` when the disk is full.
   */
  async keep(name: string, body: AsyncIterable<Buffer>, mode?: string): Promise<void> {
    const spooled = await this.#spool.add(this.#counted(body)).catch((cause) => {
      if (cause.code !== "ENOSPC" && cause.code !== "EDQUOT") throw cause;
      const detail = "expected room for the upload; the member's disk is full";
      throw PoolError.of("overloaded", detail, { admitted: false, cause });
    });
    this.#parts.set(name, { name, mode, ...spooled });
  }

  async *#counted(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of body) {
      this.#stored.grow(piece.length);
      yield piece;
    }
  }

  /** Makes the caller a holder until it calls the returned function. */
  hold(): () => void {
    this.#holders += 1;
    let isHolder = true;
    return () => {
      if (!isHolder) return;
      isHolder = false;
      this.#holders -= 1;
      if (this.#holders > 0) return;
      this.#stored.release();
      void this.#spool.close();
    };
  }
}
