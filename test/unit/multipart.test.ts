/** Our reader of multipart/form-data beside @fastify/busboy, on good bodies and on damaged ones. */
import { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { Busboy } from "@fastify/busboy";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MultipartError, readMultipart } from "../../server/http/multipart.ts";

const BOUNDARY = "b0undary";

type Part = readonly [name: string, content: string];

const DELIMITER = `\r\n--${BOUNDARY}`;

/** The bytes of a body, in turns a delimiter, the head of a part and its content. */
function segmentsOf(parts: readonly Part[]): Buffer[] {
  const segments = parts.flatMap(([name, content]) => [
    Buffer.from(`${DELIMITER}\r\n`),
    Buffer.from(`content-disposition: form-data; name="${name}"; filename="x"\r\n\r\n`),
    Buffer.from(content, "latin1"),
  ]);
  return [...segments, Buffer.from(`${DELIMITER}--\r\n`)];
}

const bodyOf = (parts: readonly Part[]) => Buffer.concat(segmentsOf(parts)).subarray(2);

/** The body in pieces of these lengths, over and over. */
function* cut(body: Buffer, lengths: readonly number[]): Generator<Buffer, void, undefined> {
  for (let start = 0, index = 0; start < body.length; index++) {
    const end = start + (lengths[index % lengths.length] ?? body.length);
    yield body.subarray(start, end);
    start = end;
  }
}

async function byUs(body: Buffer, lengths: readonly number[]): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of readMultipart(Readable.from(cut(body, lengths)), BOUNDARY)) {
    const pieces: Buffer[] = [];
    for await (const piece of part.body) pieces.push(piece);
    parts.push([part.name, Buffer.concat(pieces).toString("latin1")]);
  }
  return parts;
}

async function byBusboy(body: Buffer, lengths: readonly number[]): Promise<Part[]> {
  const parts: Promise<Part>[] = [];
  const busboy = new Busboy({
    headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
    preservePath: true,
    isPartAFile: () => true,
  });
  busboy.on("file", (name, stream) => {
    const content = stream.toArray().then((pieces) => Buffer.concat(pieces).toString("latin1"));
    parts.push(content.then((text) => [name, text]));
  });
  await finished(Readable.from(cut(body, lengths)).pipe(busboy));
  return Promise.all(parts);
}

/** Names that need no escape, the only ones that both readers read alike. */
const name = fc.string({ unit: fc.constantFrom(..."abcXYZ019._-/ äß日"), minLength: 1 });
/** Bytes that are often parts of a delimiter. */
const content = fc
  .array(
    fc.oneof(
      fc.constantFrom("\r\n", "--", `\r\n--${BOUNDARY.slice(0, -1)}`, BOUNDARY, "\r\n\r\n"),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => pieces.join(""))
  .filter((text) => !`\r\n${text}`.includes(DELIMITER));
const parts = fc.array(fc.tuple(name, content), { minLength: 1, maxLength: 5 });
const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 });

describe("multipart/form-data", () => {
  test("is read as busboy reads it, however its bytes are cut", async () => {
    await fc.assert(
      fc.asyncProperty(parts, lengths, async (sent, cuts) => {
        const body = bodyOf(sent);
        expect(await byUs(body, cuts)).toEqual(sent);
        expect(await byBusboy(body, cuts)).toEqual(sent);
      }),
      { numRuns: 300 },
    );
  });

  test("that is cut anywhere is an error", async () => {
    await fc.assert(
      fc.asyncProperty(parts, lengths, fc.nat(), async (sent, cuts, at) => {
        const body = bodyOf(sent);
        // The line break after the last delimiter may be missing.
        const cutShort = body.subarray(0, at % (body.length - 3));
        await expect(byUs(cutShort, cuts)).rejects.toThrow(MultipartError);
      }),
      { numRuns: 300 },
    );
  });

  test("with damaged delimiters is an error, or is read as busboy reads it", async () => {
    let read = 0;
    const damage = fc.record({
      segment: fc.nat(),
      at: fc.nat(),
      byte: fc.constantFrom(..."\r\n-x"),
    });
    await fc.assert(
      fc.asyncProperty(parts, lengths, damage, async (sent, cuts, { segment, at, byte }) => {
        const segments = segmentsOf(sent);
        const delimiter = segments[3 * (segment % (sent.length + 1))] as Buffer;
        delimiter[at % delimiter.length] = byte.charCodeAt(0);
        const body = Buffer.concat(segments).subarray(2);
        const ours = await byUs(body, cuts).catch((error: unknown) => error);
        if (ours instanceof MultipartError) return;
        read += 1;
        expect(ours).toEqual(await byBusboy(body, cuts));
      }),
      { numRuns: 500 },
    );
    expect(read).toBeGreaterThan(0);
  });

  test.each([
    ["a part without a name", 'content-disposition: form-data; filename="x"'],
    ["a part without a disposition", "content-type: text/plain"],
    ["a head that is no UTF-8", 'content-disposition: form-data; name="\xff"'],
    ["a name* that is not UTF-8", "content-disposition: form-data; name*=latin1''a"],
    [
      "a head that is too long",
      `content-disposition: form-data; name="a"\r\nx: ${"x".repeat(17_000)}`,
    ],
  ])("%s is an error, not a part that is missing", async (_, head) => {
    const body = Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\nx\r\n--${BOUNDARY}--\r\n`, "latin1");
    await expect(byUs(body, [50])).rejects.toThrow(MultipartError);
  });

  test.each([
    ['name="q%22uote"', 'q"uote'],
    ['name="100%25"', "100%25"],
    ["name*=UTF-8''100%2522", "100%22"],
    ["name*=UTF-8''line%0Abreak", "line\nbreak"],
    ["name=\"a\"; name*=UTF-8''%C3%A4", "ä"],
    ['filename="name=b"; name="d/e"', "d/e"],
  ])("the name in %s is %s", async (disposition, name) => {
    const head = `content-disposition: form-data; ${disposition}`;
    const body = Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\nx\r\n--${BOUNDARY}--\r\n`);
    expect(await byUs(body, [50])).toEqual([[name, "x"]]);
  });
});
