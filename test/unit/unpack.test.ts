/** Archives with files for a child: those of honest programs, and attacks. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { MAX_ARCHIVE_ENTRIES } from "../../openapi/limits.ts";
import { Spool } from "../../server/workspace/spool.ts";
import { checkArchive } from "../../server/workspace/unpack.ts";
import { onPath } from "../helpers/programs.ts";
import { longEntry, type TarEntry, tarEntry } from "../helpers/tar.ts";

const MIB = 1024 * 1024;
const END = Buffer.alloc(1024);
const LATER = "a/b";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "dpool-unpack-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

/** Checks an archive, and reads what it gives to the sandbox. */
async function unpack(archive: Buffer, others: string[] = [], maxBytes = 16 * MIB) {
  const spool = new Spool(folder());
  onTestFinished(() => spool.close());
  const content = await spool.add(
    (async function* () {
      for (let at = 0; at < archive.length; at += 65_536) yield archive.subarray(at, at + 65_536);
    })(),
  );
  const { signal } = new AbortController();
  const checked = await checkArchive(content, { maxBytes, others, signal });
  const files: Record<string, string> = {};
  for await (const { path, mode, isFolder, body } of checked.entries()) {
    const pieces: Buffer[] = [];
    for await (const piece of body) pieces.push(piece);
    files[path] = `${mode.toString(8)} ${isFolder ? "folder" : Buffer.concat(pieces).toString()}`;
  }
  return files;
}
const refused = (archive: Buffer, others?: string[], maxBytes?: number) =>
  unpack(archive, others, maxBytes).then(
    () => "taken",
    (error) => `${error.problem?.code}: ${error.message}`,
  );
const tar = (...entries: (TarEntry | Buffer)[]) =>
  Buffer.concat([
    ...entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry))),
    END,
  ]);
const pax = (type: "x" | "g", records: string) =>
  tarEntry({ name: "pax", type, content: records, magic: "ustar" });
const record = (text: string) => {
  let length = text.length + 2;
  while (`${length} ${text}\n`.length !== length) length++;
  return `${length} ${text}\n`;
};

const withoutSum = (gzip: Buffer) => gzip.fill(0, gzip.length - 8);

/** Archives that Python's modules write, by their names. */
function byPython(script: string): (name: string) => Buffer {
  const made = folder();
  execFileSync("python3", ["-c", `import io, os, struct, tarfile, zipfile\n${script}`], {
    cwd: made,
  });
  return (name) => readFileSync(join(made, name));
}
const TREE = `
os.makedirs("t/bin"); os.makedirs("t/empty"); os.makedirs("t/" + "l" * 120)
open("t/bin/run", "w").write("#!/bin/sh"); os.chmod("t/bin/run", 0o755)
open("t/" + "l" * 120 + "/f", "w").write("long")
open("t/\\u00e9 x", "w").write("letter"); os.chmod("t/\\u00e9 x", 0o640)
`;
const UNPACKED = {
  bin: "755 folder",
  "bin/run": "755 #!/bin/sh",
  empty: "755 folder",
  ["l".repeat(120)]: "755 folder",
  [`${"l".repeat(120)}/f`]: "644 long",
  "é x": "640 letter",
};

describe("archives of honest programs", () => {
  test.each([
    ["Python's tarfile (pax)", `t = tarfile.open("a", "w"); t.add("t", "."); t.close()`],
    ["Python's tarfile (gzip)", `t = tarfile.open("a", "w:gz"); t.add("t", "."); t.close()`],
    [
      "Python's tarfile (gnu)",
      `t = tarfile.open("a", "w", format=tarfile.GNU_FORMAT)
t.add("t", "."); t.close()`,
    ],
    [
      "Python's zipfile",
      `z = zipfile.ZipFile("a", "w", zipfile.ZIP_DEFLATED)
for at, folders, files in os.walk("t"):
  for each in sorted(folders + files):
    z.write(os.path.join(at, each), os.path.relpath(os.path.join(at, each), "t"))
z.close()`,
    ],
    ["GNU tar", `os.system("tar -czf a -C t .")`],
    ["busybox", `os.system("busybox tar -cf a -C t .")`],
    ["Info-ZIP", `os.system("cd t && zip -qr - . >../a")`, "zip"],
    ["Java's jar", `os.system("cd t && LC_ALL=C.UTF-8 jar cM . >../a")`, "jar"],
  ])("%s", async (name, script, program = "python3") => {
    if (!onPath(program)) return;
    const archive = byPython(`os.umask(0o022)\n${TREE}${script}`)("a");
    const files = await unpack(archive);
    // jar keeps no permissions.
    const plain = (text: string) => (name === "Java's jar" ? text.replace(/^\d+/, "") : text);
    const all = Object.entries(UNPACKED).map(([path, text]) => [path, plain(text)]);
    expect(
      Object.fromEntries(Object.entries(files).map(([path, text]) => [path, plain(text)])),
    ).toEqual(Object.fromEntries(all));
  });

  test("git's comment for all entries is no entry", async () => {
    const archive = tar(pax("g", record("comment=0123")), { name: "a", content: "1" });
    expect(await unpack(archive)).toEqual({ a: "644 1" });
  });

  test("a name that begins like a zip archive", async () => {
    expect(await unpack(tar({ name: "PKGBUILD", content: "1" }))).toEqual({ PKGBUILD: "644 1" });
  });

  test("setuid, setgid and sticky bits are left out", async () => {
    const entry = tarEntry({ name: "a", content: "1" });
    entry.write("0006755\0", 100, "latin1");
    entry.write("        ", 148, "latin1");
    const sum = entry.subarray(0, 512).reduce((all, byte) => all + byte);
    entry.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    expect(await unpack(tar(entry))).toEqual({ a: "755 1" });
  });
});

describe("attacks by tar", () => {
  test.each<[string, Buffer, RegExp]>([
    ["a path upwards", tar({ name: "../x" }), /paths in the workspace/],
    ["a path upwards inside", tar({ name: "a/../../x" }), /paths in the workspace/],
    ["an absolute path", tar({ name: "/etc/x" }), /paths in the workspace/],
    ["a folder upwards", tar({ name: "../", type: "5" }), /paths in the workspace/],
    ["a name that is not UTF-8", tar({ name: Buffer.from([0xff]) }), /paths in the workspace/],
    ["a long path upwards", tar(longEntry({ name: `../${"x".repeat(200)}` })), /paths in the/],
    ["a pax path upwards", tar(pax("x", record("path=../x")), { name: "a" }), /paths in the/],
    ["a hard link", tar({ name: "a", type: "1", linkTo: "/etc/passwd" }), /got a link/],
    [
      "a symbolic link",
      tar({ name: "a", type: "2", linkTo: "/" }),
      /got a link or a device at "a"/,
    ],
    ["a character device", tar({ name: "a", type: "3" }), /got a link or a device/],
    ["a block device", tar({ name: "a", type: "4" }), /got a link or a device/],
    ["a named pipe", tar({ name: "a", type: "6" }), /got a link or a device/],
    ["an old sparse file", tar({ name: "a", type: "S" }), /unknown kind/],
    ["a pax sparse file", tar(pax("x", record("GNU.sparse.major=1")), { name: "a" }), /pax header/],
    ["a path twice", tar({ name: "a" }, { name: "./a" }), /each path once; got "a" twice/],
    ["a file that is a folder", tar({ name: "a" }, { name: LATER }), /a file and a folder/],
    ["a folder that is a file", tar({ name: LATER }, { name: "a" }), /each path once/],
    ["a path of a file beside it", tar({ name: "beside" }), /each path once/],
    ["a wrong checksum", tar({ name: "a", wrongChecksum: true }), /wrong checksum/],
    ["no end", tarEntry({ name: "a" }), /ends too early/],
    ["content that is cut", tarEntry({ name: "a", content: "x", size: 2000 }), /ends too early/],
    ["a size that is none", tar({ name: "a", size: "x".repeat(12) }), /size/],
    ["gzip that is cut", gzipSync(tar({ name: "a" })).subarray(0, -12), /unexpected end/],
    ["gzip with a wrong sum", withoutSum(gzipSync(tar({ name: "a" }))), /incorrect/],
    ["two pax headers too long", tar(pax("x", " ".repeat(70_000)), { name: "a" }), /too long/],
    ["pax records that are none", tar(pax("x", "999999 path=a\n"), { name: "a" }), /pax header/],
    ["nothing", Buffer.alloc(0), /expected a tar archive/],
    ["another file", Buffer.from("x".repeat(2000)), /expected a tar archive.* or a zip archive/],
  ])("%s", async (_, archive, why) => {
    const answer = await refused(archive, ["beside"]);
    expect(answer).toMatch(/^invalid_request: \/archive: expected/);
    expect(answer).toMatch(why);
  });

  test("deep paths take no memory for all their folders", async () => {
    const deep = (index: number) => longEntry({ name: `${index}${"/a".repeat(2_000)}` });
    const entries = Array.from({ length: 100 }, (_, index) => deep(index));
    expect(await refused(tar(...entries))).toMatch(/paths, with the folders above them, of toge/);
    const others = Array.from({ length: 100 }, (_, index) => `${index}${"/a".repeat(2_000)}`);
    expect(await refused(tar({ name: "a" }), others)).toMatch(/paths, with the folders above/);
  });

  test("more than all files may have, told or in gzip, is too large", async () => {
    const huge = tar({ name: "a", size: "77777777777\0" });
    expect(await refused(huge)).toMatch(/^payload_too_large/);
    const bomb = gzipSync(tar({ name: "a", content: Buffer.alloc(17 * MIB) }));
    expect(bomb.length).toBeLessThan(MIB / 32);
    expect(await refused(bomb)).toMatch(/^payload_too_large/);
    const headers = gzipSync(Buffer.alloc(128 * MIB, pax("g", record("comment=x"))));
    expect(await refused(headers)).toMatch(/^payload_too_large/);
  });

  test("a million entries: the refusal says how many there may be", async () => {
    const entries = Array.from({ length: 50_000 }, (_, index) => tarEntry({ name: `f${index}` }));
    const archive = gzipSync(Buffer.concat(entries));
    expect(await refused(archive)).toBe(
      `invalid_request: /archive: expected at most ${MAX_ARCHIVE_ENTRIES} files and folders; ` +
        "got more",
    );
  });
});

const zipMissing = onPath("python3") ? undefined : "python3 is not installed";
describe.skipIf(zipMissing)(
  `attacks by zip${zipMissing ? ` (skipped: ${zipMissing})` : ""}`,
  () => {
    const add = (name: string, attributes = 0o100644) =>
      `i = zipfile.ZipInfo(${JSON.stringify(name)}); i.create_system = 3
i.compress_type = 8; i.external_attr = ${attributes} << 16; z.writestr(i, b"content")\n`;
    const zip = (body: string) =>
      byPython(`z = zipfile.ZipFile("a", "w", zipfile.ZIP_DEFLATED)\n${body}\nz.close()`)("a");
    test.each<[string, () => Buffer, RegExp]>([
    ["a path upwards", () => zip(add("../x")), /paths in the workspace/],
    ["an absolute path", () => zip(add("/x")), /paths in the workspace/],
    ["a path with backslashes", () => zip(`${add("a")}i.create_system = 0\n${add("..\\\\x")
      .replace("= 3", "= 0")}`), /paths in the workspace/],
    ["a symbolic link", () => zip(add("a", 0o120777)), /got a link or a device at "a"/],
    ["a device", () => zip(add("a", 0o060666)), /got a link or a device/],
    ["a path twice", () => zip(add("a") + add("a")), /each path once/],
    ["a file and a folder", () => zip(add("a") + add("a/b")), /a file and a folder/],
    ["an end that is missing", () => zip(add("a")).subarray(0, -22), /expected a tar/],
    ["a wrong checksum", () => {
      const archive = zip(add("a"));
      const list = archive.indexOf("PK\x01\x02", 0, "latin1");
      archive.writeUInt32LE(1, list + 16);
      return archive;
    }, /wrong checksum/],
    ["encryption", () => {
      const archive = zip(add("a"));
      archive.writeUInt16LE(1, archive.indexOf("PK\x01\x02", 0, "latin1") + 8);
      return archive;
    }, /encrypted/],
    ["a size that is too small", () => {
      const archive = zip(add("a"));
      archive.writeUInt32LE(1, archive.indexOf("PK\x01\x02", 0, "latin1") + 24);
      return archive;
    }, /too many bytes/],
    ["content that is something else", () => {
      const archive = zip(add("a"));
      archive.fill(0xff, 31, 34);
      return archive;
    }, /expected a tar archive/],
  ])("%s", async (_, archive, why) => {
    const answer = await refused(archive());
    expect(answer).toMatch(/^invalid_request: \/archive: expected/);
    expect(answer).toMatch(why);
  }); // biome-ignore format: one attack, one line

    test("a bomb is too large", async () => {
      const bomb = zip(`z.writestr("a", b"\\0" * ${17 * MIB})`);
      expect(await refused(bomb)).toMatch(/^payload_too_large/);
    });

    test("one content under many names", async () => {
      const many = zip(`z.writestr("a", os.urandom(10_000))
import copy
for n in range(200):
  i = copy.copy(z.getinfo("a")); i.filename = "f%d" % n; z.filelist.append(i)`);
      expect(await refused(many)).toMatch(/^invalid_request: .*its entries overlap/);
    });

    test("too many entries", async () => {
      const many = zip(`for n in range(${MAX_ARCHIVE_ENTRIES + 1}): z.writestr("f%d" % n, b"")`);
      expect(await refused(many)).toMatch(/at most 20000 files and folders; got more/);
    });
  },
);
