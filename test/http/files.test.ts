/** The files that a child left, from its member and through another one. */
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, onTestFinished, test, vi } from "vitest";
import { DistributedPool } from "../../sdk/typescript/index.ts";
import type { RunningMember } from "../../server/main.ts";
import { Supervisor } from "../../server/supervisor/supervisor.ts";
import { post, problemOf, startMembers, until, within } from "../helpers/member.ts";

/** Two members, and a child of the second one that left these files. */
async function withFiles(files: Readonly<Record<string, () => Readable>>, bytes: (path: string) => number) {
  const find = Supervisor.prototype.find;
  const spy = vi.spyOn(Supervisor.prototype, "find").mockImplementation(function (this: Supervisor, id) {
    const child = find.call(this, id);
    const open = (path: string) => (Object.hasOwn(files, path) ? { bytes: bytes(path), stream: files[path]?.() as Readable } : undefined);
    if (child) Object.defineProperty(child, "artifacts", { value: { open }, configurable: true });
    return child;
  });
  onTestFinished(() => spy.mockRestore());
  const [gate, far] = (await startMembers({ pools: { gate: 1 } }, {})) as [RunningMember, RunningMember];
  const { id } = (await (await post(far.url, "/children", { pool: "pipeline", command: ["true"] })).json()) as { id: string };
  return { gate, far, id };
}

const NAMES = ["out.bin", "a/b/c.txt", "100% é ?#&+'\".txt", "a%2Fb", "__proto__", "line\nbreak"];

test("come as bytes under any name, and no page is made of them", async () => {
  const content = (path: string) => Buffer.from(`<script>${path}</script>`);
  const files = Object.fromEntries(NAMES.map((name) => [name, () => Readable.from([content(name)])] as const));
  const { gate, far, id } = await withFiles(files, (path) => content(path).length);
  for (const { url } of [far, gate]) {
    const pools = new DistributedPool({ url });
    onTestFinished(() => pools.close());
    for (const name of NAMES) {
      const path = name.split("/").map(encodeURIComponent).join("/");
      const response = await within("the file", fetch(`${url}/children/${id}/files/${path}`));
      expect([name, response.status, await response.text()]).toEqual([name, 200, content(name).toString()]);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "content-type": "application/octet-stream",
        "content-length": String(content(name).length),
        "content-disposition": expect.stringMatching(/^attachment; filename\*=UTF-8''[!-~]+$/),
        "x-content-type-options": "nosniff",
      });
      expect(await buffer(await pools.child(id).file(name))).toEqual(content(name));
    }
    const head = await within("the head", fetch(`${url}/children/${id}/files/out.bin`, { method: "HEAD" }));
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, String(content("out.bin").length), ""]);
    const events = await within("the head", fetch(`${url}/children/${id}/events`, { method: "HEAD" }));
    expect([events.status, events.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    for (const [path, code] of [
      ["none", "not_found"],
      ["a//b", "invalid_request"],
      ["..%2F..%2Fetc%2Fpasswd", "invalid_request"],
      ["%00", "invalid_request"],
    ] as const)
      expect([path, (await problemOf(await fetch(`${url}/children/${id}/files/${path}`))).code]).toEqual([path, code]);
    await expect(pools.child(id).file("none")).rejects.toMatchObject({ code: "not_found" });
    expect((await problemOf(await fetch(`${url}/children/m2.${"0".repeat(32)}/files/a`))).code).toBe("child_not_found");
  }
});

test("that are large are read no faster than they are taken, and whole", async () => {
  const chunk = randomBytes(1024 * 1024);
  let [made, left] = [0, false];
  const large = (chunks: number) => () => {
    const stream = Readable.from(
      (function* () {
        for (let index = 0; index < chunks; index++) {
          made += 1;
          yield chunk;
        }
      })(),
      { objectMode: false, highWaterMark: chunk.length },
    );
    stream.once("close", () => {
      left = true;
    });
    return stream;
  };
  const { gate, id } = await withFiles({ whole: large(64), endless: large(4_096) }, (path) => (path === "whole" ? 64 : 4_096) * chunk.length);
  const digest = createHash("sha256");
  const response = await within("the file", fetch(`${gate.url}/children/${id}/files/whole`));
  for await (const bytes of response.body ?? []) digest.update(bytes);
  const expected = createHash("sha256");
  for (let index = 0; index < 64; index++) expected.update(chunk);
  expect(digest.digest("hex")).toBe(expected.digest("hex"));

  [made, left] = [0, false];
  const abort = new AbortController();
  const stalled = await within("the file", fetch(`${gate.url}/children/${id}/files/endless`, { signal: abort.signal }));
  expect(stalled.headers.get("content-length")).toBe(String(4_096 * chunk.length));
  await until("the first bytes to be made", () => made > 0);
  abort.abort();
  await until("the owner to let go of the file", () => left);
  expect(made).toBeLessThan(1_024);
});
