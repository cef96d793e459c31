/** The package of the SDK, packed and installed in empty projects, on each platform. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { build } from "esbuild";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startOne } from "../helpers/member.ts";
import { bunMissing, onPath } from "../helpers/programs.ts";
import { FOUND, install, type Packed, type Project, pack } from "../helpers/sdk-package.ts";

const MB = 1_000_000;
/** 25 kB: the largest bundle for a browser, minified and gzipped. */
const MAX_BUNDLE_BYTES = 25_000;

const node20 = ["/usr/bin/node", "/usr/local/bin/node"].find((program) => {
  try {
    return execFileSync(program, ["--version"], { encoding: "utf8" }).startsWith("v20.");
  } catch {
    return false;
  }
});

let packed: Packed;
let project: Project;
beforeAll(async () => {
  packed = await pack();
  project = await install([packed.sdk]);
}, 300_000);
afterAll(async () => {
  await project?.remove();
  await packed?.remove();
});

describe("the installed package", () => {
  test("is at most 4 packages and 1 MB", () => {
    const folder = join(project.folder, "node_modules");
    const isPackage = (path: string) => /^(@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path);
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const dependencies = files.filter(isPackage).filter((path) => !path.startsWith("@distrib"));
    expect(dependencies.length, dependencies.join()).toBeLessThanOrEqual(4);
    const bytes = files.map((path) => statSync(join(folder, path))).filter((each) => each.isFile());
    expect(bytes.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(MB);
  });

  test("bundles for a browser, without a warning, into at most 25 kB", async () => {
    const contents = 'export * from "@distributed-pool/sdk"';
    const { outputFiles, warnings } = await build({
      stdin: { contents, resolveDir: project.folder },
      bundle: true,
      minify: true,
      platform: "browser",
      format: "esm",
      write: false,
    });
    expect(warnings).toEqual([]);
    expect(gzipSync(outputFiles[0]?.contents ?? "").length).toBeLessThanOrEqual(MAX_BUNDLE_BYTES);
  });

  test("publint and are-the-types-wrong find nothing", async () => {
    const pkgDir = join(project.folder, "node_modules/@distributed-pool/sdk");
    expect((await publint({ pkgDir, strict: true })).messages).toEqual([]);
    const tarball = createPackageFromTarballData(readFileSync(packed.sdk));
    const analysis = await checkPackage(tarball);
    // Resolution as before Node 12 knows no `exports`.
    const problems = (
      analysis.types && "problems" in analysis ? analysis.problems : ["untyped"]
    ) as {
      resolutionKind?: string;
    }[];
    expect(problems.filter(({ resolutionKind }) => resolutionKind !== "node10")).toEqual([]);
  });

  test.each([
    ["nodenext", "es2022,esnext.disposable,dom,dom.asynciterable", "index.mts", ""],
    ["bundler", "es2022,dom", "index.mts", ""],
    ["nodenext", "es2022", "index.cts", "/node"],
  ])(
    "its types hold under --strict, with %s and %s, in %s",
    async (resolution, lib, file, entry) => {
      await project.write(
        file,
        `import { DistributedPool, PoolError } from "@distributed-pool/sdk${entry}";
export async function main(): Promise<number> {
  const pools = new DistributedPool({ url: "http://127.0.0.1:7400" });
  const command: readonly string[] = ["true"];
  const { exitCode } = await pools.call("pipeline", { command });
  const sum: number = await pools.call("pipeline", (a: number, b: number) => a + b, exitCode, 1);
  try {
    await pools.close();
  } catch (error) {
    if (error instanceof PoolError && error.code === "at_capacity") return error.retryAfter ?? 0;
  }
  // @ts-expect-error a command is a list
  void pools.call("pipeline", { command: "true" });
  return sum;
}
`,
      );
      const types =
        entry === ""
          ? []
          : ["--types", "node", "--typeRoots", join(process.cwd(), "node_modules/@types")];
      const module = resolution === "bundler" ? "esnext" : "nodenext";
      const options = ["--noEmit", "--strict", "--target", "es2022", "--module", module];
      const tsc = join(process.cwd(), "node_modules/.bin/tsc");
      const args = [...options, "--moduleResolution", resolution, "--lib", lib, ...types, file];
      expect(await project.run(tsc, ...args).catch(({ stdout }) => stdout)).toBe("");
    },
  );
});

describe("calls, streams and stops", () => {
  const ESM = `import { use } from "./use.mjs";
console.log(JSON.stringify(await use(process.argv[2])));
process.exit(0);
`;
  const platforms: [name: string, missing: string | undefined, program: string, args: string[]][] =
    [
      ["Node", undefined, process.execPath, []],
      ["Node 20", node20 ? undefined : "there is no Node 20", node20 ?? "", []],
      ["Bun", bunMissing, "bun", ["run"]],
      ["Deno", onPath("deno") ? undefined : "deno is not on PATH", "deno", ["run", "--allow-all"]],
    ];
  for (const [name, missing, program, args] of platforms)
    test.skipIf(missing)(`on ${name}${missing ? ` (skipped: ${missing})` : ""}`, async () => {
      const member = await startOne();
      await project.write("main.mjs", ESM);
      const found = await project.run(program, ...args, "main.mjs", member.url);
      expect(JSON.parse(found)).toEqual(FOUND);
    });

  const NODE = `const { DistributedPool, PoolError } = require("@distributed-pool/sdk/node");
const { writeFileSync } = require("node:fs");
(async () => {
  writeFileSync("in.txt", "local");
  const pools = new DistributedPool({ url: process.argv[2] });
  const value = await pools.call("pipeline", (a, { member }) => member + a, 1);
  const spec = { command: ["sh", "-c", "cat in; cat"], files: { in: { path: "in.txt" } } };
  await pools.call("pipeline", { ...spec, stdin: require("node:fs").createReadStream("in.txt") });
  const portable = await import("@distributed-pool/sdk");
  const url = "nowhere";
  let error;
  try { new portable.DistributedPool({ url }) } catch (thrown) { error = thrown }
  console.log(JSON.stringify({ value, same: error instanceof PoolError }));
  await pools.close();
})();
`;
  for (const [name, missing, program, args] of platforms)
    test.skipIf(missing)(
      `by the entry ./node, as CommonJS, on ${name}${missing ? ` (skipped: ${missing})` : ""}`,
      async () => {
        const member = await startOne();
        await project.write("main.cjs", NODE);
        const found = await project.run(program, ...args, "main.cjs", member.url);
        expect(found).toBe('locallocal{"value":"m11","same":true}\n');
      },
    );
});

test("both packages installed together share their errors", { timeout: 300_000 }, async () => {
  const both = await install([packed.root, packed.sdk]);
  try {
    await both.write(
      "main.mjs",
      `import { DistributedPool } from "@distributed-pool/sdk";
import { PoolError } from "distributed-pool";
import { startMember } from "distributed-pool/server";
const member = await startMember({ pools: { p: 1 }, port: 0, sandbox: "off" });
try {
  await startMember({ pools: {} });
} catch (error) {
  console.log(error instanceof PoolError);
}
const pools = new DistributedPool({ url: member.url });
console.log(await pools.pool("nowhere").catch((error) => error instanceof PoolError));
await pools.close();
await member.stop();
`,
    );
    expect(await both.run(process.execPath, "main.mjs")).toBe("true\ntrue\n");
  } finally {
    await both.remove();
  }
});
