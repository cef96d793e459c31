/** The cache of sources: by caller and hash, bounded in bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashOf } from "../../sdk/typescript/node/hash.ts";
import { SourceCache } from "../../server/routes/source-cache.ts";

const give = (sources: SourceCache, source: string, caller = "ann") =>
  sources.complete({ function: { source, hash: hashOf(source) } }, caller);
const ask = (sources: SourceCache, source: string, caller = "ann") =>
  sources.complete({ function: { hash: hashOf(source), args: [1] } }, caller).function;

describe("SourceCache", () => {
  test("adds a source that was sent before, and changes nothing else in the spec", () => {
    const sources = new SourceCache(10_000);
    give(sources, "() => 1");
    expect(ask(sources, "() => 1")).toEqual({
      hash: hashOf("() => 1"),
      args: [1],
      source: "() => 1",
    });
    const command = { command: ["true"] };
    expect(
      sources.complete<{ function?: { source: string }; command: string[] }>(command, "ann"),
    ).toBe(command);
  });

  test("caches no source that comes without a hash", () => {
    const sources = new SourceCache(10_000);
    sources.complete({ function: { source: "() => 1" } }, "ann");
    expect(sources.bytes).toBe(0);
  });

  test("keeps the sources of each caller from all others", () => {
    const sources = new SourceCache(10_000);
    give(sources, "() => 1", "ann");
    expect(() => ask(sources, "() => 1", "bob")).toThrow(
      expect.objectContaining({ code: "source_unknown" }),
    );
  });

  test("takes the hash of the UTF-8 bytes", () => {
    // The value comes from sha256sum, over the bytes of "() => 'ü'".
    expect(hashOf("() => 'ü'")).toBe(
      "sha256:c0275c6685d6d1fe245b5d2415f40ae14b58837c6af35145be546e9c906c4bb0",
    );
  });

  test("evicts the source used longest ago, and stays within its bytes", () => {
    const source = fc.string({ maxLength: 3_000, unit: fc.constantFrom("a", "ü", "鳥") });
    const uses = fc.array(
      fc.record({ source, caller: fc.constantFrom("ann", "bob"), send: fc.boolean() }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(uses, fc.integer({ min: 0, max: 12_000 }), (sequence, maxBytes) => {
        const sources = new SourceCache(maxBytes);
        const size = (text: string) => Buffer.byteLength(text) + 512;
        /** The entries that the cache should hold, the latest first. */
        let model: { key: string; source: string }[] = [];
        for (const { source, caller, send } of sequence) {
          const key = `${caller} ${source}`;
          const known = model.some((entry) => entry.key === key);
          if (send) give(sources, source, caller);
          else if (known) expect(ask(sources, source, caller)).toMatchObject({ source });
          else
            expect(() => ask(sources, source, caller)).toThrow(
              expect.objectContaining({ code: "source_unknown" }),
            );
          if (known || (send && size(source) <= maxBytes))
            model = [{ key, source }, ...model.filter((entry) => entry.key !== key)];
          while (model.reduce((sum, entry) => sum + size(entry.source), 0) > maxBytes) model.pop();
          expect(sources.bytes).toBe(model.reduce((sum, entry) => sum + size(entry.source), 0));
          expect(sources.bytes).toBeLessThanOrEqual(maxBytes);
        }
      }),
    );
  });
});
