/** Large JSON: its check while it arrives, its bounds, and the values that stay as they are. */
import { expect, test } from "vitest";
import type { PoolError } from "../../openapi/errors.ts";
import { RawJson } from "../../sdk/typescript/http/raw-json.ts";
import { decodeBase64, decodeText } from "../../server/http/bodies/decode-string.ts";
import { JsonScanner } from "../../server/http/bodies/json-scanner.ts";
import { isValue, LargeJson, withRawValue } from "../../server/http/bodies/large-json.ts";
import { isLargeInSpec } from "../../server/http/bodies/receive-json.ts";
import { collect } from "../helpers/member.ts";

/** Whether the scanner takes a text that comes in two chunks. */
function takes(text: string, cut: number): boolean {
  const bytes = Buffer.from(text);
  const scanner = new JsonScanner(isLargeInSpec);
  try {
    scanner.feed(bytes.subarray(0, cut));
    scanner.feed(bytes.subarray(cut));
    scanner.end();
    return true;
  } catch (error) {
    expect((error as PoolError).code).toBe("invalid_request");
    return false;
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("the scanner takes what JSON.parse takes, wherever the chunks are cut", () => {
  const seeds = [
    '{"a":[1,-0.5e+3,true,false,null,"x\\u00e9\\n"],"b":{}} ',
    '{"function":{"args":[1,2,{"k":"v"}]},"files":{"a":{"text":"b"}}}',
    "[[], {}, 10, 0.1]",
    '"s"',
    "-1E5",
  ];
  const chars = '{}[]:,"\\0123456789eE+-.tfnul\n x';
  for (const seed of seeds)
    for (let at = 0; at < seed.length; at++)
      for (const char of ["", ...chars])
        for (const text of [
          seed.slice(0, at) + char + seed.slice(at + 1),
          seed.slice(0, at) + char + seed.slice(at),
        ])
          expect(takes(text, at), text).toBe(parses(text));
});

test.each([
  ["values", `[${"1,".repeat(40_000)}1]`, /at most 15000 values and keys/],
  ["keys", `{${'"a":1,'.repeat(12_000)}"a":1}`, /at most 15000 values and keys/],
  ["levels", "[".repeat(70_000), /nested less deep/],
  ["levels in arguments", `{"function":{"args":${"[".repeat(70_000)}`, /nested less deep/],
  ["bytes", `{"a":"${"x".repeat(2_097_152)}"}`, /at most 2097152 bytes/],
  ["its beginning alone", `{"a":"${"x".repeat(70_000)}"`, /got only its beginning/],
  ["a control character", `"${"\n".repeat(70_000)}"`, /no control character/],
  ["bytes that are no UTF-8", Buffer.alloc(70_000, 0xff), /expected JSON/],
])("large JSON is refused for %s", (_, text, detail) => {
  const json = new LargeJson(isLargeInSpec);
  expect(() => {
    json.push(Buffer.from(text as string));
    json.parse();
  }).toThrow(detail);
});

test("large input, files and arguments are lifted out of a spec, and nothing else", () => {
  const big = "x".repeat(3_000);
  const spec = {
    stdin: { base64: big },
    files: { a: big, b: { text: big }, stdin: big, small: "y" },
    function: { source: big, args: [[big], 1] },
    labels: { text: big },
    padding: "z".repeat(70_000),
  };
  const json = new LargeJson(isLargeInSpec);
  for (const byte of Buffer.from(JSON.stringify(spec))) json.push(Buffer.of(byte));
  const { value, large } = json.parse();
  expect([...large.values()].map(({ path, bytes }) => [path.join("."), bytes.length])).toEqual([
    ["stdin.base64", 3_002],
    ["files.a", 3_002],
    ["files.b.text", 3_002],
    ["function.source", 3_002],
    ["function.args", 3_008],
  ]);
  const [stdin, a, b, source, args] = large.keys();
  expect(value).toEqual({
    ...spec,
    stdin: { base64: stdin },
    files: { ...spec.files, a, b: { text: b } },
    function: { source, args: [args] },
  });
});

test("a large value stays JSON on one line", () => {
  const json = new LargeJson(isValue);
  json.push(Buffer.from(`{"kind":"returned",\r\n"value":[\r\n${"1,\n".repeat(30_000)}1]}`));
  const message = withRawValue(json.parse()) as { kind: string; value: RawJson };
  expect(message.kind).toBe("returned");
  expect(message.value).toBeInstanceOf(RawJson);
  expect(Buffer.from(message.value.bytes).toString()).not.toMatch(/[\r\n]/);
  expect(JSON.parse(JSON.stringify(message)).value).toHaveLength(30_001);
});

const bytesOf = async (pieces: AsyncIterable<Buffer>) => Buffer.concat(await collect(pieces));

test("a string is decoded piece by piece, whatever stands at the cuts", async () => {
  const text = 'aé語😀\n"\\/\u0001\ud83d\ud83d\ude00\ude00'.repeat(9_000);
  const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
  const escaped = units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  for (const json of [JSON.stringify(text), `"${escaped}"`])
    expect((await bytesOf(decodeText(Buffer.from(json)))).equals(Buffer.from(text))).toBe(true);
});

test("base64 is decoded piece by piece, and anything else is refused", async () => {
  for (const length of [0, 1, 2, 3, 99_998, 99_999, 100_000]) {
    const bytes = Buffer.alloc(length, "xyz");
    const json = JSON.stringify(bytes.toString("base64")).replaceAll("/", "\\/");
    expect((await bytesOf(decodeBase64(Buffer.from(json)))).equals(bytes)).toBe(true);
  }
  for (const text of ["a", "ab", "abc", "ab==cd==", "a===", "====", "ab=c", "ab\n=", "*".repeat(8)])
    await expect(bytesOf(decodeBase64(Buffer.from(JSON.stringify(text))))).rejects.toMatchObject({
      code: "invalid_request",
    });
});
