/**
 * Caches the sources of functions, so that a caller may name a source by its hash the next time.
 */
import { LRUCache } from "lru-cache";
import { PoolError } from "../../openapi/errors.ts";
import { hashOf } from "../../sdk/typescript/node/hash.ts";

/** 512 bytes per entry are counted beside its source, so that many tiny sources are bounded too. */
const ENTRY_BYTES = 512;

interface NamedSource {
  readonly source?: string | undefined;
  readonly hash?: string | undefined;
}

/** An LRU cache that is bounded in bytes. */
export class SourceCache {
  /** The sources by caller and hash. */
  readonly #sources: LRUCache<string, string>;

  /**
   * @param maxBytes bytes of all sources in UTF-8, plus {@link ENTRY_BYTES} each; 0 caches nothing.
   */
  constructor(maxBytes: number) {
    this.#sources = new LRUCache({
      // The library takes 0 for no bound. No entry fits into 1 byte.
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: (source) => Buffer.byteLength(source) + ENTRY_BYTES,
    });
  }

  /** The bytes that the cache holds now, counted as its bound is. */
  get bytes(): number {
    return this.#sources.calculatedSize;
  }

  /**
   * Completes a spec whose function has only a hash with the source that the same caller sent
   * before. Caches the source of a function that has both.
   *
   * @param caller the name of the caller. It cannot name other callers' sources, because a hash is
   *   no secret.
   * @throws {PoolError} `source_unknown` if the spec has only the hash and its source is not
   *   cached; `invalid_request` if the hash is not that of the source.
   */
  complete<S extends { readonly function?: NamedSource | undefined }>(spec: S, caller: string): S {
    const { source, hash } = spec.function ?? {};
    if (hash === undefined) return spec;
    const key = `${caller} ${hash}`;
    if (source === undefined) {
      const cached = this.#sources.get(key);
      if (cached !== undefined) return { ...spec, function: { ...spec.function, source: cached } };
      throw PoolError.of(
        "source_unknown",
        `expected the source with its hash: ${hash} is not kept here for this caller`,
      );
    }
    const actual = hashOf(source);
    if (actual !== hash) {
      const message = `expected the hash of the source, ${actual}; got ${hash}`;
      throw PoolError.of("invalid_request", `/function/hash: ${message}`, {
        fields: [{ path: "/function/hash", message }],
      });
    }
    this.#sources.set(key, source);
    return spec;
  }
}
