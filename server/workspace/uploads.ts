/** What came beside a child spec in parts of its own, kept in a file without a name until nobody needs it any more. */
import { type Part, STDIN_PART } from "../../sdk/typescript/http/multipart.ts";
import type { Spool } from "./spool.ts";

export class Uploads {
  readonly #spool: Spool;
  readonly #released: () => void;
  readonly #parts = new Map<string, Part>();
  #holders = 0;

  /** @param released is called when the last holder has let go, after which the spool is closed. */
  constructor(spool: Spool, released: () => void) {
    this.#spool = spool;
    this.#released = released;
  }

  /** Everything, to be sent on. */
  get parts(): readonly Part[] {
    return [...this.#parts.values()];
  }

  get stdin(): Part | undefined {
    return this.#parts.get(STDIN_PART);
  }

  get files(): readonly Part[] {
    return this.parts.filter((part) => part !== this.stdin);
  }

  /** Keeps a part. One at a time; to be called by a holder. */
  async keep(name: string, body: AsyncIterable<Buffer>): Promise<void> {
    const start = this.#spool.end;
    for await (const piece of body) await this.#spool.append(piece);
    const place = { start, bytes: this.#spool.end - start };
    this.#parts.set(name, { name, bytes: place.bytes, read: () => this.#spool.read(place) });
  }

  /** Keeps all of it until what it returns is called. */
  hold(): () => void {
    this.#holders += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holders -= 1;
      if (this.#holders > 0) return;
      this.#released();
      void this.#spool.close();
    };
  }
}
