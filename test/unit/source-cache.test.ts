import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashOf } from "../../sdk/typescript/http/send-spec.ts";
import { SourceCache } from "../../server/routes/source-cache.ts";

const give = (sources: SourceCache, source: string, caller = "ann") =>
  sources.complete({ function: { source, hash: hashOf(source) } }, caller);
const ask = (sources: SourceCache, source: string, caller = "ann") =>
  sources.complete({ function: { hash: hashOf(source), args: [1] } }, caller).function;

describe("SourceCache", () => {
  test("completes a spec with the source of its hash, and changes nothing else in it", () => {
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

  test("does not keep a source without a hash", () => {
    const sources = new SourceCache(10_000);
    sources.complete({ function: { source: "() => 1" } }, "ann");
    expect(sources.bytes).toBe(0);
  });

  test("gives a source to the caller that sent it, and to no other", () => {
    const sources = new SourceCache(10_000);
    give(sources, "() => 1", "ann");
    expect(() => ask(sources, "() => 1", "bob")).toThrow(
      expect.objectContaining({ code: "source_unknown" }),
    );
  });

  test("hashes the UTF-8 bytes of a source", () => {
    // sha256sum of the bytes of "() => 'ü'".
    expect(hashOf("() => 'ü'")).toBe(
      "sha256:c0275c6685d6d1fe245b5d2415f40ae14b58837c6af35145be546e9c906c4bb0",
    );
  });

  test("keeps the sources that were used last, and never more than its limit", () => {
    const source = fc.string({ maxLength: 3_000, unit: fc.constantFrom("a", "ü", "鳥") });
    const uses = fc.array(
      fc.record({ source, caller: fc.constantFrom("ann", "bob"), send: fc.boolean() }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(uses, fc.integer({ min: 0, max: 12_000 }), (given, maxBytes) => {
        const sources = new SourceCache(maxBytes);
        const size = (text: string) => Buffer.byteLength(text) + 512;
        /** The sources that should be kept after these uses, the latest first. */
        let model: { key: string; source: string }[] = [];
        for (const { source, caller, send } of given) {
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
