/** The folder that is a child's `/etc`, made from an `/etc` with traps. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Grants } from "../../server/sandbox/confinement.ts";
import { EtcFolders, shownParts } from "../../server/sandbox/etc.ts";
import { MADE_UP } from "../../server/sandbox/etc-parts.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "dpool-etc-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A machine's `/etc` of these files, by name. */
function hostOf(files: Readonly<Record<string, string>>): string {
  const host = folder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(host, dirname(name)), { recursive: true });
    writeFileSync(join(host, name), text, { mode: 0o644 });
  }
  return host;
}

const NOTHING: Pick<Grants, "network" | "readOnly"> = { network: "none", readOnly: [] };
const made = Object.keys(MADE_UP);

test("only parts of the list are copied, beside the made-up files", async () => {
  const host = hostOf({
    "java-17-openjdk/security/java.security": "java",
    "fonts/fonts.conf": "fonts",
    services: "services",
    passwd: "alice:x:1000:1000::/home/alice:/bin/sh",
    shadow: "alice:hash",
    "ssl/openssl.cnf": "openssl",
    "ssl/private/key.pem": "PRIVATE KEY",
    "machine-id": "id",
    npmrc: "token",
  });
  expect(shownParts(host)).toEqual(["fonts", "java-17-openjdk", "services", "ssl/openssl.cnf"]);
  const etc = await new EtcFolders(folder(), host).of(NOTHING);
  const names = readdirSync(etc.folder, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => lstatSync(join(etc.folder, name)).isFile());
  // The folders of this machine, which are bound over the made one, are empty in it.
  expect(files.filter((name) => name !== "ld.so.cache").sort()).toEqual(
    [
      ...made,
      "fonts/fonts.conf",
      "java-17-openjdk/security/java.security",
      "resolv.conf",
      "services",
      "ssl/openssl.cnf",
    ].sort(),
  );
  expect(readFileSync(join(etc.folder, "passwd"), "utf8")).toBe(MADE_UP.passwd);
});

test("what not every user may read is left out, and no link is followed", async () => {
  const host = hostOf({
    "java-17-openjdk/open": "open",
    "java-17-openjdk/password": "secret",
    "java-17-openjdk/private/file": "secret",
    "private/key": "secret",
  });
  const java = join(host, "java-17-openjdk");
  chmodSync(join(java, "password"), 0o640);
  chmodSync(join(java, "private"), 0o750);
  symlinkSync(join(host, "private"), join(java, "folder"));
  symlinkSync("../private/key", join(java, "key"));
  symlinkSync(join(host, "private/key"), join(host, "localtime"));
  const etc = await new EtcFolders(folder(), host).of(NOTHING);
  const copy = join(etc.folder, "java-17-openjdk");
  expect(readdirSync(copy).sort()).toEqual(["folder", "key", "open"]);
  expect(readlinkSync(join(copy, "folder"))).toBe(join(host, "private"));
  // A link that leads out of the parts leads nowhere.
  expect(existsSync(join(copy, "key"))).toBe(false);
  expect(lstatSync(join(etc.folder, "localtime")).isSymbolicLink()).toBe(true);
});

test("everybody can read the folder, whatever the server's umask is", async () => {
  const host = hostOf({ "fonts/conf.d/a": "a" });
  const before = process.umask(0o077);
  onTestFinished(() => void process.umask(before));
  const etc = await new EtcFolders(folder(), host).of(NOTHING);
  const modes = ["", "fonts", "fonts/conf.d", "fonts/conf.d/a", "passwd"].map((name) =>
    (lstatSync(join(etc.folder, name)).mode & 0o777).toString(8),
  );
  expect(modes).toEqual(["755", "755", "755", "444", "444"]);
});

test("each set of grants in /etc has a folder with places for them; others share one", async () => {
  const host = hostOf({ localtime: "" });
  rmSync(join(host, "localtime"));
  symlinkSync("/usr/share/zoneinfo/UTC", join(host, "localtime"));
  const [granted, file] = [folder(), join(host, "file")];
  writeFileSync(file, "x");
  const folders = new EtcFolders(folder(), host);
  const readOnly = [
    { from: granted, to: "/etc/deep/folder" },
    { from: file, to: "/etc/./localtime" },
    { from: file, to: "/etc/../data" },
    { from: join(host, "missing"), to: "/etc/missing" },
  ];
  const own = await folders.of({ network: "none", readOnly });
  expect(lstatSync(join(own.folder, "deep/folder")).isDirectory()).toBe(true);
  // bubblewrap would follow the link of the host.
  expect(lstatSync(join(own.folder, "localtime")).isFile()).toBe(true);
  expect(existsSync(join(own.folder, "missing"))).toBe(false);
  expect(existsSync(join(own.folder, "../data"))).toBe(false);

  const plain = await folders.of(NOTHING);
  expect(existsSync(join(plain.folder, "deep"))).toBe(false);
  const elsewhere = [{ from: granted, to: "/data" }];
  expect(await folders.of({ network: "none", readOnly: elsewhere })).toBe(plain);
  expect(await folders.of({ network: "none", readOnly })).toBe(own);
});

test("the host's network brings the host's files of names", async () => {
  const folders = new EtcFolders(folder());
  const { folder: made, live } = await folders.of({ network: "host", readOnly: [] });
  const names = ["/etc/hosts", "/etc/resolv.conf"].filter((name) => existsSync(name));
  expect(live).toEqual(expect.arrayContaining(names));
  for (const path of live) expect(existsSync(join(made, path.slice("/etc/".length)))).toBe(true);
  expect((await folders.of(NOTHING)).live.filter((path) => names.includes(path))).toEqual([]);
});
