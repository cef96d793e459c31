/** Errors of functions: the errors behind them, and the lines of the sources of a bundle. */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { build } from "esbuild";
import { describe, expect, onTestFinished, test } from "vitest";
import type { FunctionError } from "../../openapi/errors.ts";
import { bundle, DistributedPool, FunctionThrewError } from "../../sdk/typescript/node.ts";
import { callEvents, lastOf, startOne } from "../helpers/member.ts";
import { bunMissing, pythonMissing } from "../helpers/programs.ts";

const path = process.env.PATH;
const JAVASCRIPT = bunMissing === undefined ? ["node", "bun"] : ["node"];

/** The problem of a call, from a member that has every runtime of this machine. */
async function problemFrom(fn: object) {
  const { url } = await startOne({ path });
  const events = await callEvents(url, "/pools/pipeline/call", { function: fn });
  return lastOf(events, "failed").problem;
}

describe.each(JAVASCRIPT)("an error in %s", (runtime) => {
  test("has its code, its causes and the errors that it groups", async () => {
    const source = `() => {
      const gone = Object.assign(new Error("gone", { cause: "a text" }), { code: "ENOENT" });
      throw new AggregateError([new TypeError("first"), 2], "all", { cause: gone });
    }`;
    const { detail, error } = await problemFrom({ source, runtime });
    expect(detail).toBe(
      "AggregateError: all (TypeError: first; Error: 2); caused by Error: gone; " +
        "caused by Error: a text",
    );
    expect(error).toMatchObject({
      name: "AggregateError",
      errors: [
        { name: "TypeError", message: "first", stack: expect.any(String) },
        { name: "Error", message: "2" },
      ],
      cause: {
        message: "gone",
        code: "ENOENT",
        stack: expect.any(String),
        cause: { name: "Error", message: "a text" },
      },
    });
  });

  test("ends where it causes itself, and after 16 errors", async () => {
    const itself = "() => { const e = new Error('a'); e.cause = e; throw e }";
    expect((await problemFrom({ source: itself, runtime })).error).not.toHaveProperty("cause");
    const many = async (size: number) => {
      const source =
        "(size) => { let e; for (let n = 0; n < 1000; n++) " +
        "e = new Error('x'.repeat(size), { cause: e }); throw e }";
      return (await problemFrom({ source, runtime, args: [size] })).error;
    };
    let depth = 0;
    for (let each = await many(10); each; each = each.cause) depth++;
    expect(depth).toBe(16);
    expect(JSON.stringify(await many(9_000)).length).toBeLessThan(50_000);
  });

  test.each(["name", "message", "stack", "cause", "code"])(
    "whose %s cannot be read is still an error",
    async (key) => {
      const source = `() => { throw Object.defineProperty(new Error("e"), "${key}", {
        get() { throw new Error("no") } }) }`;
      expect(await problemFrom({ source, runtime })).toMatchObject({
        code: "function_threw",
        error: { name: "Error", message: "an error that cannot be read" },
      });
    },
  );
});

/** A port of this machine on which nothing listens. In a sandbox each has its own loopback. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("a connection that is refused says so", () => {
  test.each<[string, string, string | undefined]>([
    ["node", "(url) => fetch(url)", undefined],
    ["bun", "(url) => fetch(url)", bunMissing],
    ["python", "import urllib.request\ndef f(url): urllib.request.urlopen(url)", pythonMissing],
  ])("in %s", async (runtime, source, missing) => {
    if (missing !== undefined) return;
    const url = `http://127.0.0.1:${await closedPort()}`;
    const { detail, error } = await problemFrom({ source, runtime, args: [url] });
    expect(detail).toMatch(/ECONNREFUSED|Connection refused/);
    expect([error?.code, error?.cause?.code]).toContain("ECONNREFUSED");
  });

  test("and the SDK's error has it as a cause", async () => {
    const { url } = await startOne();
    const pools = new DistributedPool({ url });
    onTestFinished(() => pools.close());
    const closed = `http://127.0.0.1:${await closedPort()}`;
    const error = await pools
      .call("pipeline", async (to: string) => void (await fetch(to)), closed)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FunctionThrewError);
    const thrown = (error as FunctionThrewError).cause as Error;
    expect([thrown.name, thrown.message]).toEqual(["TypeError", "fetch failed"]);
    expect(thrown.cause).toMatchObject({
      code: "ECONNREFUSED",
      stack: expect.stringMatching(/^Error: connect ECONNREFUSED .*\n\s+at /),
    });
  });
});

describe.skipIf(pythonMissing)("an exception in Python", () => {
  const causes = (error: FunctionError | undefined) => [error?.name, error?.cause?.name];
  test.each<[string, string, (string | undefined)[]]>([
    ["a cause", "raise ValueError('a') from KeyError('b')", ["ValueError", "KeyError"]],
    ["no cause", "raise ValueError('a') from None", ["ValueError", undefined]],
    ["itself", "e = ValueError(); e.__cause__ = e; raise e", ["ValueError", undefined]],
  ])("with %s", async (_, statement, names) => {
    const source = `def f():\n  ${statement}`;
    expect(causes((await problemFrom({ source, runtime: "python" })).error)).toEqual(names);
  });

  test("has the one that it was raised beside, and the code of the system", async () => {
    const source =
      "def f():\n  try:\n    open('/nowhere')\n  except OSError:\n    raise ValueError('a')";
    expect((await problemFrom({ source, runtime: "python" })).error).toMatchObject({
      name: "ValueError",
      cause: { name: "FileNotFoundError", code: "ENOENT", stack: expect.any(String) },
    });
  });

  test("of a group has its exceptions", async () => {
    const source = `class Group(Exception):
  def __init__(self): self.exceptions = (ValueError("a"), KeyError("b"))
def f(): raise Group()`;
    expect((await problemFrom({ source, runtime: "python" })).error?.errors).toMatchObject([
      { name: "ValueError", message: "a" },
      { name: "KeyError" },
    ]);
  });
});

describe("a source that does not parse is shown with its line and column", () => {
  test.each<[string, string, RegExp]>([
    [
      "node",
      "() => { const x = ; }",
      /\(line 1, column 19\)\n {2}\(\) => \{ const x = ; \}\n {20}\^$/,
    ],
    ["node", "(a: number) => a +* 2", /\(line 1, column 19\)\n {2}\(a: number\).*\n {20}\^$/],
    [
      "node",
      "(a: string) => {\n\tlet b: number = 1;\n\tb b\n}",
      /\(line 3, column 4\)\n {2}\tb b\n/,
    ],
    ["node", "(a) => a)", /\(line 1, column 9\)/],
    ["node", `() => {${"a += 1;".repeat(500)} let b = ; }`, /\(line 1, column 3517\)\n {2}.{60}/],
    ["bun", "(a: number) => a +* 2", /\(line 1, column 19\)\n {2}\(a: number\).*\n {20}\^$/],
    ["bun", "(a, b => a", /\(line 1, column 1\d\)\n {2}\(a, b => a\n/],
    ["python", "lambda a: a +* 2", /\(line 1, column 14\)\n {2}lambda a: a \+\* 2\n {15}\^$/],
    ["python", "def f():\n\treturn (1", /\(line 2, column 9\)\n {2}\treturn \(1\n/],
  ])("in %s: %s", async (runtime, source, detail) => {
    if ((runtime === "bun" && bunMissing) || (runtime === "python" && pythonMissing)) return;
    expect(await problemFrom({ source, runtime })).toMatchObject({
      code: "invalid_request",
      detail: expect.stringMatching(detail),
    });
  });

  test.each<[string, string, RegExp]>([
    ["node", "export const f = (a => a", /\(line 1, column 25\)/],
    ["node", "export const f = 1; export const f = 2", /declared \(line 1, column 34\)/],
    ["bun", "export const f = 1; export const f = 2", /declared.*\(line 1, column 34\)/],
  ])("as a module in %s: %s", async (runtime, source, detail) => {
    if (runtime === "bun" && bunMissing) return;
    expect(await problemFrom({ source, runtime, export: "f" })).toMatchObject({
      code: "invalid_request",
      detail: expect.stringMatching(detail),
    });
  });
});

const THROWS = new URL("../fixtures/modules/throws.ts", import.meta.url);
const SOURCE = THROWS.pathname;

/** The module as one, minified, with a source map in it: by bundlers of several authors. */
const BUNDLERS: Readonly<Record<string, () => Promise<string>>> = {
  "the SDK": async () => (await bundle(THROWS)).source,
  esbuild: async () => {
    const options = { bundle: true, minify: true, format: "esm", sourcemap: "inline" } as const;
    const { outputFiles } = await build({ entryPoints: [SOURCE], write: false, ...options });
    return outputFiles[0]?.text ?? "";
  },
  Bun: async () => {
    const options = ["--minify", "--sourcemap=inline", "--format=esm", "--target=node"];
    const source = execFileSync("bun", ["build", SOURCE, ...options], { encoding: "utf8" });
    // Rolldown and others name the character set.
    return source.replace(
      "data:application/json;base64,",
      "data:application/json;charset=utf-8;base64,",
    );
  },
};

describe.each(JAVASCRIPT)("the stack of a bundle in %s", (runtime) => {
  test.each(Object.keys(BUNDLERS).filter((name) => name !== "Bun" || !bunMissing))(
    "by %s names the lines of the sources",
    async (bundler) => {
      const source = await (BUNDLERS[bundler] as () => Promise<string>)();
      const { error } = await problemFrom({ source, runtime, export: "default", args: ["a"] });
      const lines = (await readFile(SOURCE, "utf8")).split("\n");
      const lineOf = (text: string) => lines.findIndex((line) => line.includes(text)) + 1;
      // The second frame and the third come after an `await`.
      const [first, second, third] = [...(error?.stack ?? "").matchAll(/throws\.ts:(\d+):/g)];
      expect([first, second, third].map((frame) => Number(frame?.[1]))).toEqual([
        lineOf("throw new RangeError"),
        lineOf("return await check"),
        lineOf("return await outer"),
      ]);
    },
  );
});
