/** A disk that is full: uploads are refused, nothing runs, and the member goes on. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { post, problemOf } from "../helpers/member.ts";
import { startServe } from "../helpers/processes.ts";

const MIB = 1024 * 1024;
const ON_OWN_MOUNT = ["unshare", "--map-root-user", "--mount"];

/** Why no file system can be mounted for the test; false where one can. */
const mountMissing = (() => {
  const [unshare, ...args] = ON_OWN_MOUNT as [string, ...string[]];
  try {
    execFileSync(unshare, [...args, "mount", "-t", "tmpfs", "tmpfs", tmpdir()], { stdio: "pipe" });
    return false;
  } catch (error) {
    return `no file system of its own: ${(error as Error).message}`;
  }
})();

test.skipIf(consulMissing || mountMissing)(
  "an upload beyond the disk is overloaded, and a smaller one runs",
  async () => {
    const consul = await startConsul();
    onTestFinished(() => consul.stop());
    const folder = mkdtempSync(join(tmpdir(), "dpool-full-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const mount = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"';
    const member = await startServe({
      member: "m1",
      consul: consul.httpAddress,
      runBy: [...ON_OWN_MOUNT, "sh", "-c", mount, folder],
      env: { TMPDIR: folder },
      args: ["--sandbox", "off"],
    });
    onTestFinished(() => member.end());
    const form = (bytes: number) => {
      const body = new FormData();
      body.set("spec", JSON.stringify({ command: ["wc", "-c", "a"] }));
      body.set("a", new Blob([Buffer.alloc(bytes)]), "a");
      return fetch(`${member.url}/pools/pipeline/run`, { method: "POST", body });
    };
    expect(await problemOf(await form(5 * MIB))).toMatchObject({
      code: "overloaded",
      admitted: false,
    });
    const large = { command: ["cat"], stdin: "x".repeat(5 * MIB) };
    expect(await problemOf(await post(member.url, "/pools/pipeline/run", large))).toMatchObject({
      code: "overloaded",
      admitted: false,
    });
    expect(await (await form(MIB)).json()).toMatchObject({ stdout: `${MIB} a\n` });
  },
);
