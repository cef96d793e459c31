/** What came beside a child spec in its own parts, kept in a file without a name until nobody needs it any more. */
import type { Part } from "../../sdk/typescript/multipart.ts";
import type { Place, Spool } from "./spool.ts";

export class Uploads {
  readonly files: readonly Part[];
  readonly stdin: Part | undefined;
  readonly #spool: Spool;
  #holders = 0;

  /** @param spool is closed when the last holder has let go. */
  constructor(spool: Spool, files: ReadonlyMap<string, Place>, stdin: Place | undefined) {
    const partOf = (name: string, place: Place): Part => ({ name, bytes: place.bytes, read: () => spool.read(place) });
    this.#spool = spool;
    this.files = [...files].map(([name, place]) => partOf(name, place));
    this.stdin = stdin && partOf("stdin", stdin);
  }

  /** Everything, to be sent on. */
  get parts(): readonly Part[] {
    return this.stdin ? [...this.files, this.stdin] : this.files;
  }

  /** Keeps the bytes until what it returns is called. */
  hold(): () => void {
    this.#holders += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holders -= 1;
      if (this.#holders === 0) void this.#spool.close();
    };
  }
}
