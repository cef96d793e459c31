/** Idempotency keys in memory, which the members of one process share. */
import { isExpired, type KeyEntry, type Keys } from "./keys.ts";

export class EmbeddedKeys implements Keys {
  /** In the order of their creation. */
  readonly #entries = new Map<string, KeyEntry>();

  async find(name: string): Promise<KeyEntry | undefined> {
    const entry = this.#entries.get(name);
    return entry && !isExpired(entry) ? entry : undefined;
  }

  async create(name: string, entry: KeyEntry): Promise<KeyEntry> {
    this.#forgetExpired();
    const kept = this.#entries.get(name);
    if (kept && !isExpired(kept)) return kept;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry;
  }

  async remove(name: string, child: string): Promise<void> {
    if (this.#entries.get(name)?.child === child) this.#entries.delete(name);
  }

  /** The oldest entries expire first, unless the members have different options. */
  #forgetExpired(): void {
    for (const [name, entry] of this.#entries) {
      if (!isExpired(entry)) return;
      this.#entries.delete(name);
    }
  }
}
