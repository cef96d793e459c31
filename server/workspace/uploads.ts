/**
 * The parts that came beside a child spec, kept in a file without a name until their last holder
 * has released them.
 */
import { type Part, STDIN_PART } from "../../sdk/typescript/http/multipart.ts";
import type { Spool } from "./spool.ts";

export class Uploads {
  readonly #spool: Spool;
  readonly #onRelease: () => void;
  readonly #parts = new Map<string, Part>();
  #holders = 0;

  /**
   * @param onRelease is called when the last holder has released the parts. The spool is closed
   *   then.
   */
  constructor(spool: Spool, onRelease: () => void) {
    this.#spool = spool;
    this.#onRelease = onRelease;
  }

  /** Every part, the input included, to be sent to another member. */
  get parts(): readonly Part[] {
    return [...this.#parts.values()];
  }

  /** The child's input, where it came as a part. */
  get stdin(): Part | undefined {
    return this.#parts.get(STDIN_PART);
  }

  /** The files for the workspace. */
  get files(): readonly Part[] {
    return this.parts.filter((part) => part !== this.stdin);
  }

  /** Keeps a part. The caller is a holder, and keeps one part at a time. */
  async keep(name: string, body: AsyncIterable<Buffer>): Promise<void> {
    this.#parts.set(name, { name, ...(await this.#spool.add(body)) });
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
      this.#onRelease();
      void this.#spool.close();
    };
  }
}
