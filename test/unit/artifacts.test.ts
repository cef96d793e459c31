import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ArtifactOptions, Artifacts } from "../../server/workspace/artifacts.ts";
import { fileOf, packFiles } from "../../server/workspace/pack.ts";
import { heldBytes, within } from "../helpers/member.ts";
import { END_OF_TAR, longEntry, type TarEntry, tarEntry, tarOf } from "../helpers/tar.ts";

const MB = 1024 * 1024;

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "distributed-pool-artifacts-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function receive(
  tar: Readable | Buffer,
  options: Partial<ArtifactOptions> = {},
): Promise<Artifacts> {
  const source = Buffer.isBuffer(tar) ? Readable.from([tar]) : tar;
  const whole = {
    patterns: ["**"],
    maxBytes: 100 * MB,
    maxFiles: 100,
    folder: options.folder ?? makeFolder(),
    ...options,
  };
  const artifacts = await within("the artifacts", Artifacts.receive(source, whole));
  onTestFinished(() => artifacts.close());
  expect(source.destroyed).toBe(true);
  return artifacts;
}

async function contents(artifacts: Artifacts): Promise<Record<string, string>> {
  const entries = artifacts
    .list()
    .map(async ({ path }) => [path, await textOf(artifacts, path)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function textOf(artifacts: Artifacts, path: string): Promise<string> {
  const opened = artifacts.open(path);
  if (!opened) throw new Error(`expected ${path} to be there`);
  const content = await within(`the content of ${path}`, text(opened.stream));
  expect(Buffer.byteLength(content)).toBe(opened.bytes);
  return content;
}

describe("an honest archive", () => {
  test("is listed by path, and read by path", async () => {
    const artifacts = await receive(
      tarOf(
        { name: "./b.txt", content: "two" },
        { name: "./empty" },
        { name: "a/deep/c", content: "three" },
        { name: "./é\n'\"-", content: "odd" },
      ),
    );
    expect(artifacts.problem).toBeUndefined();
    expect(artifacts.list()).toEqual([
      { path: "a/deep/c", bytes: 5 },
      { path: "b.txt", bytes: 3 },
      { path: "empty", bytes: 0 },
      { path: "é\n'\"-", bytes: 3 },
    ]);
    expect(artifacts.bytes).toBe(11);
    expect(await contents(artifacts)).toEqual({
      "a/deep/c": "three",
      "b.txt": "two",
      empty: "",
      "é\n'\"-": "odd",
    });
    expect(artifacts.open("nothing")).toBeUndefined();
    expect(artifacts.open("./b.txt")).toBeUndefined();
  });

  test("may have names of any length", async () => {
    const name = `${"folder/".repeat(500)}é`;
    const ustar = tarEntry({ name: "x".repeat(100), content: "100", magic: "ustar" });
    const artifacts = await receive(
      tarOf(longEntry({ name: `./${name}`, content: "deep" }), ustar),
    );
    expect(await contents(artifacts)).toEqual({ [name]: "deep", ["x".repeat(100)]: "100" });
  });

  test("comes whole however its stream is cut into chunks", async () => {
    const files = Array.from({ length: 5 }, (_, index) => ({
      name: `./f${index}`,
      content: randomBytes(index * 700).toString("hex"),
    }));
    const tar = tarOf(...files, longEntry({ name: `./${"l".repeat(200)}`, content: "long" }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: tar.length }), { maxLength: 40 }),
        async (cuts) => {
          const bounds = [0, ...cuts.toSorted((a, b) => a - b), tar.length];
          const artifacts = await receive(
            Readable.from(bounds.slice(1).map((end, index) => tar.subarray(bounds[index], end))),
          );
          expect(artifacts.problem).toBeUndefined();
          expect(await contents(artifacts)).toEqual({
            ...Object.fromEntries(files.map(({ name, content }) => [name.slice(2), content])),
            ["l".repeat(200)]: "long",
          });
        },
      ),
      { numRuns: 20 },
    );
    const bytewise = await receive(Readable.from(Array.from(tar, (byte) => Buffer.of(byte))));
    expect(bytewise.list().length).toBe(6);
  });

  test("brings only the files that match a pattern", async () => {
    const artifacts = await receive(
      tarOf(
        { name: "./a.png", content: "1" },
        { name: "./b.txt", content: "2" },
        { name: "./x/c.png", content: "3" },
      ),
      {
        patterns: ["*.png", "nothing"],
      },
    );
    expect(artifacts.list()).toEqual([{ path: "a.png", bytes: 1 }]);
    expect(artifacts.problem).toBeUndefined();
  });

  test("ends the reading, whatever the stream does after it", async () => {
    const source = new PassThrough();
    source.write(tarOf({ name: "./a", content: "1" }));
    const artifacts = await receive(source);
    expect(artifacts.problem).toBeUndefined();
    expect(await contents(artifacts)).toEqual({ a: "1" });
  });

  test("without entries needs no file", async () => {
    const artifacts = await receive(tarOf(), { folder: "/nonexistent" });
    expect(artifacts).toMatchObject({ problem: undefined, bytes: 0 });
    expect(artifacts.list()).toEqual([]);
  });
});

describe("a hostile archive", () => {
  const GOOD: TarEntry = { name: "./good", content: "good" };
  const AFTER: TarEntry = { name: "./after", content: "after" };

  test.each<[string, TarEntry | Buffer]>([
    ["a name that climbs", { name: "../../etc/passwd", content: "x" }],
    ["a name that climbs later", { name: "./a/../../b", content: "x" }],
    ["an absolute name", { name: "/etc/passwd", content: "x" }],
    ["an empty name", { name: "", content: "x" }],
    ["the folder itself", { name: "./", content: "x" }],
    ["a name with an empty part", { name: "./a//b", content: "x" }],
    ["a name with a dot part", { name: "././a", content: "x" }],
    ["a long name that climbs", longEntry({ name: `${"a/".repeat(200)}../x`, content: "x" })],
    ["a name part that is too long", longEntry({ name: "a".repeat(256), content: "x" })],
    ["a name that is not UTF-8", { name: Buffer.from([0x2e, 0x2f, 0xff]), content: "x" }],
    ["a symbolic link", { name: "./link", type: "2", linkTo: "/etc/passwd" }],
    [
      "a symbolic link with a long target",
      Buffer.concat([
        tarEntry({ name: "x", type: "K", content: "/etc/".repeat(50) }),
        tarEntry({ name: "./l", type: "2" }),
      ]),
    ],
    ["a hard link", { name: "./link", type: "1", linkTo: "good" }],
    ["a device", { name: "./device", type: "3" }],
    ["a block device", { name: "./device", type: "4" }],
    ["a folder", { name: "./folder", type: "5" }],
    ["a pipe", { name: "./pipe", type: "6" }],
    ["a second file of a path", { name: "./good", content: "other" }],
    ["a second file of a path by another name", { name: "good", content: "other" }],
  ])("%s is skipped", async (_, entry) => {
    const artifacts = await receive(tarOf(GOOD, entry, AFTER));
    expect(artifacts.problem).toBeUndefined();
    expect(await contents(artifacts)).toEqual({ good: "good", after: "after" });
  });

  test.each<[string, TarEntry | Buffer, string]>([
    ["a pax header", { name: "x", type: "x", content: "20 path=/etc/passwd\n" }, "unknown kind"],
    [
      "a pax header for all",
      { name: "x", type: "g", content: "16 path=./other\n" },
      "unknown kind",
    ],
    ["a sparse file", { name: "./x", type: "S", content: "x" }, "unknown kind"],
    ["another volume", { name: "./x", type: "M", content: "x" }, "unknown kind"],
    ["an unknown kind", { name: "./x", type: "~", content: "x" }, "unknown kind"],
    ["a folder with content", { name: "./x", type: "5", content: "x" }, "has content"],
    ["a symbolic link with content", { name: "./x", type: "2", content: "x" }, "has content"],
    ["a huge long name", { name: "x", type: "L", size: 2_000_000_000 }, "name is too long"],
    [
      "two long names",
      Buffer.concat([
        tarEntry({ name: "x", type: "L", content: "a" }),
        tarEntry({ name: "x", type: "L", content: "b" }),
      ]),
      "name is too long",
    ],
    ["a huge size", { name: "./x", size: 8 ** 11 - 1 }, "larger than"],
    [
      "a huge binary size",
      { name: "./x", size: Buffer.from([0x80, ...Array(11).fill(0xff)]) },
      "larger than",
    ],
    ["a negative binary size", { name: "./x", size: Buffer.alloc(12, 0xff) }, "size that is none"],
    ["a negative size", { name: "./x", size: "-0000000001\0" }, "size that is none"],
    ["a size that is none", { name: "./x", size: "0x000000001\0" }, "size that is none"],
    ["no size", { name: "./x", size: Buffer.alloc(12) }, "size that is none"],
    ["a wrong checksum", { name: "./x", wrongChecksum: true }, "checksum"],
    ["an unknown format", { name: "./x", magic: "none" }, "unknown format"],
    ["garbage", Buffer.alloc(2_048, "garbage"), "checksum"],
    ["a size that hides the next header", { name: "./x", content: "x", size: 512 + 1 }, "checksum"],
  ])("%s ends the reading, and the files before it are kept", async (_, entry, reason) => {
    const artifacts = await receive(tarOf(GOOD, entry, AFTER));
    expect(artifacts.problem).toContain(reason);
    expect((await contents(artifacts)).good).toBe("good");
    expect(artifacts.open("after")).toBeUndefined();
  });

  test("that ends too early keeps its whole files", async () => {
    const tar = tarOf(GOOD, { name: "./big", content: Buffer.alloc(3_000, "b") });
    const whole = tar.length - END_OF_TAR.length;
    const contentEnds = { good: 512 + 4, big: 1_024 + 512 + 3_000 };
    for (const end of [0, 1, 511, 512, 515, 516, 1_024, 1_536, 4_535, 4_536, whole, whole + 100]) {
      const artifacts = await receive(tar.subarray(0, end));
      expect(artifacts.problem, `cut at ${end}`).toContain("ends too early");
      const kept = Object.entries(contentEnds).filter(([, contentEnd]) => contentEnd <= end);
      expect(
        artifacts.list().map(({ path }) => path),
        `cut at ${end}`,
      ).toEqual(kept.map(([path]) => path).toSorted());
    }
  });

  test("with too many files is read up to the bound", async () => {
    const files = Array.from({ length: 10_000 }, (_, index) => ({
      name: `./f${index}`,
      content: String(index),
    }));
    const artifacts = await receive(tarOf(...files), { maxFiles: 1_000 });
    expect(artifacts.problem).toContain("more than 1000 files");
    expect(artifacts.list().length).toBe(1_000);
    expect(await textOf(artifacts, "f999")).toBe("999");
  });

  test("with too many other entries is read up to the bound", async () => {
    const links = Array.from({ length: 10_000 }, (_, index) => ({
      name: `./l${index}`,
      type: "2",
    }));
    expect((await receive(tarOf(...links), { maxFiles: 1_000 })).problem).toContain(
      "more than 1000 files",
    );
  });

  test("that never ends is read up to the bounds", async () => {
    const endless = (entry: Buffer) =>
      Readable.from(
        (function* () {
          for (;;) yield entry;
        })(),
      );
    expect((await receive(endless(tarEntry({ name: "./a", content: "x" })))).problem).toContain(
      "more than 100 files",
    );
    expect(
      (
        await receive(endless(tarEntry({ name: "../a", content: Buffer.alloc(MB) })), {
          maxBytes: 10 * MB,
        })
      ).problem,
    ).toContain(`larger than ${10 * MB} bytes`);
    expect((await receive(endless(Buffer.alloc(MB, "x")))).problem).toContain("checksum");
  });

  test("with too many bytes is read up to the bound, the last byte included", async () => {
    const tar = tarOf({ name: "./a", content: "12345" }, { name: "./b", content: "67890" });
    expect((await receive(tar, { maxBytes: 10 })).problem).toBeUndefined();
    const less = await receive(tar, { maxBytes: 9 });
    expect(less.problem).toContain("larger than 9 bytes");
    expect(less.list()).toEqual([{ path: "a", bytes: 5 }]);
  });
});

describe("the stream", () => {
  test("that stalls is left on demand, and the files before are kept", async () => {
    const source = new PassThrough();
    source.write(tarEntry({ name: "./a", content: "whole" }));
    source.write(tarEntry({ name: "./b", content: "", size: 1_000 }));
    const stop = new AbortController();
    const received = receive(source, { signal: stop.signal });
    while (source.readableLength > 0) await nextTurn();
    stop.abort();
    const artifacts = await received;
    expect(artifacts.problem).toContain("took too long");
    expect(await contents(artifacts)).toEqual({ a: "whole" });
  });

  test("is not read when its time has passed", async () => {
    const artifacts = await receive(tarOf({ name: "./a" }), { signal: AbortSignal.abort() });
    expect(artifacts).toMatchObject({
      problem: expect.stringContaining("took too long"),
      bytes: 0,
    });
  });

  test.each([
    ["breaks", new Error("broken"), "broken"],
    ["is closed", undefined, "the stream was closed"],
  ])("that %s keeps the files before", async (_, error, reason) => {
    const source = new PassThrough();
    source.write(tarEntry({ name: "./a", content: "whole" }));
    const received = receive(source);
    while (source.readableLength > 0) await nextTurn();
    source.destroy(error);
    const artifacts = await received;
    expect(artifacts.problem).toContain(reason);
    expect(await contents(artifacts)).toEqual({ a: "whole" });
  });

  test("is read no faster than it is stored, and not held in memory", async () => {
    const bytes = 128 * MB;
    const piece = randomBytes(MB);
    const tar = Readable.from(
      (function* () {
        yield tarEntry({ name: "./large", size: bytes });
        for (let sent = 0; sent < bytes; sent += MB) yield piece;
        yield END_OF_TAR;
      })(),
    );
    const before = await heldBytes();
    const artifacts = await receive(tar, { maxBytes: bytes });
    expect(artifacts.problem).toBeUndefined();
    expect((await heldBytes()) - before).toBeLessThan(16 * MB);
    let read = 0;
    for await (const chunk of artifacts.open("large")?.stream ?? []) {
      const start = read % MB;
      if (!piece.subarray(start, start + chunk.length).equals(chunk))
        throw new Error(`the content differs near ${read}`);
      read += chunk.length;
    }
    expect(read).toBe(bytes);
  });
});

describe("kept files", () => {
  test("have no name in the folder", async () => {
    const folder = makeFolder();
    const artifacts = await receive(tarOf({ name: "./a", content: "1" }), { folder });
    expect(readdirSync(folder)).toEqual([]);
    expect(await contents(artifacts)).toEqual({ a: "1" });
  });

  test("that cannot be stored are a problem", async () => {
    const artifacts = await receive(tarOf({ name: "./a", content: "1" }), {
      folder: "/nonexistent",
    });
    expect(artifacts.problem).toContain("ENOENT");
    expect(artifacts.list()).toEqual([]);
  });

  test("can be read by several at a time, and one that leaves disturbs no other", async () => {
    const contentsOf = { a: randomBytes(300_000), b: randomBytes(300_000) };
    const artifacts = await receive(
      tarOf({ name: "./a", content: contentsOf.a }, { name: "./b", content: contentsOf.b }),
    );
    const leaving = artifacts.open("a")?.stream as Readable;
    await within("the first bytes", leaving[Symbol.asyncIterator]().next());
    leaving.destroy();
    artifacts.open("a")?.stream.destroy();
    const read = await within(
      "all contents",
      Promise.all(
        (["a", "b", "a", "b"] as const).map((path) =>
          buffer(artifacts.open(path)?.stream as Readable),
        ),
      ),
    );
    for (const [index, path] of (["a", "b", "a", "b"] as const).entries())
      expect(read[index]?.equals(contentsOf[path])).toBe(true);
  });

  test("are removed when the last reader has ended", async () => {
    const content = randomBytes(300_000);
    const artifacts = await receive(tarOf({ name: "./a", content }));
    const { stream } = artifacts.open("a") ?? {};
    const closed = artifacts.close();
    expect(artifacts.close()).toBe(closed);
    expect(artifacts.open("a")).toBeUndefined();
    expect((await buffer(stream as Readable)).equals(content)).toBe(true);
    await within("the close", closed);
  });

  test("are removed at once without a reader", async () => {
    const artifacts = await receive(tarOf({ name: "./a", content: "1" }));
    artifacts.open("a")?.stream.destroy();
    await within("the close", artifacts.close());
  });
});

describe("files that go in", () => {
  test("have the bytes that the caller gave", async () => {
    const binary = randomBytes(1_000);
    const tar = packFiles([
      fileOf("a.txt", "text"),
      fileOf("b/c", { text: "é" }),
      fileOf("d", { base64: binary.toString("base64") }),
      fileOf("empty", ""),
    ]);
    const artifacts = await receive(tar);
    expect(artifacts.problem).toBeUndefined();
    expect(artifacts.list().map(({ path, bytes }) => `${path} ${bytes}`)).toEqual([
      "a.txt 4",
      "b/c 2",
      "d 1000",
      "empty 0",
    ]);
    expect((await buffer(artifacts.open("d")?.stream as Readable)).equals(binary)).toBe(true);
  });

  test("make an empty archive when there are none", async () => {
    expect((await buffer(packFiles([]))).equals(END_OF_TAR)).toBe(true);
  });

  test("are packed no faster than they are read, and a reader may leave", async () => {
    let made = 0;
    const files = Array.from({ length: 50 }, (_, index) => ({
      name: `f${index}`,
      bytes: 100_000,
      async *read() {
        made++;
        yield Buffer.alloc(100_000);
      },
    }));
    const tar = packFiles(files);
    expect(made).toBe(0);
    await within("the first bytes", tar[Symbol.asyncIterator]().next());
    expect(made).toBeLessThan(10);
    const closed = new Promise((resolve) => tar.once("close", resolve));
    tar.destroy();
    await within("the close", closed);
    expect(made).toBeLessThan(10);
  });
});
