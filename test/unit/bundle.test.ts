import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bundle } from "../../sdk/typescript/node.ts";

const SUM = new URL("../fixtures/modules/sum.ts", import.meta.url);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dpool-bundle-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function module(name: string, text: string): Promise<URL> {
  await writeFile(join(folder, name), text);
  return pathToFileURL(join(folder, name));
}

/** The module as a child would load it. */
const load = (source: string) =>
  import(`data:text/javascript,${encodeURIComponent(source)}`) as Promise<
    Record<string, (...args: unknown[]) => unknown>
  >;

describe("bundle", () => {
  test("is one module without its imports and types, named by its hash", async () => {
    const {
      source,
      hash,
      export: name,
    } = await bundle<typeof import("../fixtures/modules/sum.ts")>(SUM);
    expect(name).toBe("default");
    expect(hash).toBe(`sha256:${createHash("sha256").update(source).digest("hex")}`);
    expect(source).not.toMatch(/interface|from "\.\//);
    expect((await load(source)).default?.({ a: 1, b: 2 }, { pool: "p" })).toBe("p 3\n");
  });

  test("has the same hash from every working folder", async () => {
    const here = process.cwd();
    const first = await bundle(SUM);
    process.chdir("/");
    try {
      expect(await bundle(SUM)).toEqual(first);
    } finally {
      process.chdir(here);
    }
  });

  test("keeps the names of functions, so that stacks are readable", async () => {
    const { source } = await bundle<typeof import("../fixtures/modules/sum.ts"), "fail">(SUM, {
      export: "fail",
    });
    const error = (await Promise.resolve((await load(source)).fail?.("x")).catch(
      (thrown: unknown) => thrown,
    )) as Error;
    expect(error.stack).toMatch(/RangeError: x\n\s+at (Proxy\.)?fail /);
  });

  test("includes CommonJS modules, which ask for Node's own modules by require", async () => {
    await module("old.cjs", `const { EOL } = require("node:os"); module.exports = () => EOL;`);
    const { source } = await bundle(
      await module("new.mjs", `import old from "./old.cjs"; export default () => old();`),
    );
    // A runner gives modules a global `require`.
    Object.assign(globalThis, {
      require: (await import("node:module")).createRequire(import.meta.url),
    });
    expect((await load(source)).default?.()).toBe("\n");
  });

  test.each<[string, string, RegExp]>([
    [
      "a module that does not parse",
      "export default function (",
      /cannot bundle file:.*broken\.ts:1:25: Expected identifier/,
    ],
    [
      "an import that does not exist",
      `import "./nowhere.ts";`,
      /broken\.ts:1:7: Could not resolve "\.\/nowhere\.ts"/,
    ],
    [
      "no default export",
      "export const a = () => 1, b = 2;",
      /expected an export default of file:.*; it has a, b/,
    ],
    ["no export at all", "console.log(1);", /expected an export default of file:.*; it has none/],
  ])("refuses %s", async (_, text, message) => {
    await expect(bundle(await module("broken.ts", text))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(message),
    });
  });

  test("refuses an export that does not exist, and a URL that is not of a file", async () => {
    await expect(bundle(SUM, { export: "nothing" })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(
        /expected an export nothing of .*sum\.ts; it has ANSWER, default, fail, later, tail$/,
      ),
    });
    await expect(bundle(new URL("http://127.0.0.1/a.js"))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/file: URL/),
    });
    await expect(bundle(new URL("file:///nowhere/a.ts"))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/Could not resolve/),
    });
  });

  test("names the package to install when esbuild is missing", async () => {
    vi.doMock("esbuild", () => {
      throw new Error("Cannot find package 'esbuild'");
    });
    vi.resetModules();
    const { bundle: without } = await import("../../sdk/typescript/node/bundle.ts");
    await expect(without(SUM)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/npm install esbuild/),
    });
    vi.doUnmock("esbuild");
  });
});
