/** Sources that callers sent along with their hashes, so that they can name them the next time. */
import { PoolError } from "../../openapi/errors.ts";
import { hashOf } from "../../sdk/typescript/http/send-spec.ts";

/** What an entry takes beside its source, so that many small ones are bounded too. */
const ENTRY_BYTES = 512;

interface Named {
  readonly source?: string | undefined;
  readonly hash?: string | undefined;
}

/** At most so many bytes; those that were used last stay. */
export class SourceCache {
  readonly #maxBytes: number;
  /** By caller and hash, the least recently used first. */
  readonly #held = new Map<string, string>();
  #bytes = 0;

  /** @param maxBytes of the sources in UTF-8, with {@link ENTRY_BYTES} for each. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What is held now, as it is counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A spec whose function has its source: the one that it was sent with, which is kept if it has a hash, or the one that the
   * same caller sent before.
   *
   * @param caller who may name what it sent, and nobody else: a hash is no secret.
   * @throws {PoolError} `source_unknown` when only the hash is given and nothing is kept under it; `invalid_request` when the two do not match.
   */
  complete<S extends { readonly function?: Named | undefined }>(spec: S, caller: string): S {
    const { source, hash } = spec.function ?? {};
    if (hash === undefined) return spec;
    const key = `${caller} ${hash}`;
    if (source === undefined)
      return { ...spec, function: { ...spec.function, source: this.#find(key, hash) } };
    const actual = hashOf(source);
    if (actual !== hash) {
      const message = `expected the hash of the source, ${actual}; got ${hash}`;
      throw PoolError.of("invalid_request", `/function/hash: ${message}`, {
        fields: [{ path: "/function/hash", message }],
      });
    }
    this.#keep(key, source);
    return spec;
  }

  #find(key: string, hash: string): string {
    const source = this.#held.get(key);
    if (source === undefined)
      throw PoolError.of(
        "source_unknown",
        `expected the source with its hash: ${hash} is not kept here for this caller`,
      );
    // Used last, so evicted last.
    this.#held.delete(key);
    this.#held.set(key, source);
    return source;
  }

  #keep(key: string, source: string): void {
    this.#drop(key);
    const bytes = sizeOf(source);
    if (bytes > this.#maxBytes) return;
    for (const oldest of this.#held.keys()) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
    this.#held.set(key, source);
    this.#bytes += bytes;
  }

  #drop(key: string): void {
    const source = this.#held.get(key);
    if (source === undefined) return;
    this.#held.delete(key);
    this.#bytes -= sizeOf(source);
  }
}

function sizeOf(source: string): number {
  return Buffer.byteLength(source) + ENTRY_BYTES;
}
