/** The documentation: every command that a page shows runs, every link leads somewhere. */
import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConsulAgent, consulMissing, startConsul } from "../helpers/consul.ts";
import { typeErrors } from "../helpers/pages/check-types.ts";
import { type Page, readPage } from "../helpers/pages/markdown.ts";
import { runPage, type Shared } from "../helpers/pages/run-page.ts";
import { endShell, startServers } from "../helpers/pages/shell.ts";
import { freePorts, makeWorkshop } from "../helpers/pages/workshop.ts";
import { LEVEL } from "../helpers/sandbox.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const README_LINES = 200;
const PAGE_TIMEOUT_MS = 120_000;
/** What a console block may need; `needs=PROGRAM` besides. */
const NEEDS = ["run", "dev", "serves", "consul", "install", "root", "no-run"];
const LANGUAGES = ["", "console", "ts", "python", "yaml", "json", "text", "mermaid", "ini", "hcl"];

const PAGES: readonly Page[] = globSync(
  [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "server/docs/*.md",
    "openapi/README.md",
    "sdk/typescript/README.md",
    "examples/*/README.md",
  ],
  { cwd: ROOT },
)
  .toSorted()
  .map((file) => readPage(ROOT, file));
const pageOf = (file: string) => PAGES.find((page) => page.file === file);
const at = ({ file }: Page, { line, target }: { line: number; target: string }) =>
  `${file}:${line}: ${target}`;

/** The path and anchor that a link of this page leads to; undefined for another site. */
function resolve({ file }: Page, target: string): { path: string; anchor: string } | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [path = "", anchor = ""] = target.split("#");
  return { path: path === "" ? file : posix.join(posix.dirname(file), path), anchor };
}

describe("the pages", () => {
  test(`README has at most ${README_LINES} lines`, () => {
    expect(pageOf("README.md")?.lines.length).toBeLessThanOrEqual(README_LINES);
  });

  test("every link and anchor leads somewhere", () => {
    const broken = PAGES.flatMap((page) =>
      page.links
        .filter(({ target }) => {
          const to = resolve(page, target);
          if (!to) return false;
          const anchors = pageOf(to.path)?.anchors;
          return (
            !existsSync(`${ROOT}/${to.path}`) || (to.anchor !== "" && !anchors?.has(to.anchor))
          );
        })
        .map((link) => at(page, link)),
    );
    expect(broken).toEqual([]);
  });

  test("every path in backticks exists", () => {
    const missing = PAGES.flatMap((page) =>
      page.paths
        .filter(({ target }) => !existsSync(`${ROOT}/${target}`))
        .map((path) => at(page, path)),
    );
    expect(missing).toEqual([]);
  });

  test("every page can be reached from README", () => {
    const reached = new Set(["README.md"]);
    for (const file of reached) {
      const page = pageOf(file);
      for (const { target } of page?.links ?? []) {
        const path = page && resolve(page, target)?.path;
        if (path !== undefined && pageOf(path)) reached.add(path);
      }
    }
    expect(PAGES.map(({ file }) => file).filter((file) => !reached.has(file))).toEqual([]);
  });

  test("every console block says what it needs", () => {
    const untagged = PAGES.flatMap((page) =>
      page.blocks
        .filter(({ language, tags }) => {
          if (!LANGUAGES.includes(language)) return true;
          const known = tags.filter((tag) => NEEDS.includes(tag));
          const unexplained = tags.at(-1) === "no-run";
          return language === "console" && (known.length === 0 || unexplained);
        })
        .map(({ language, line, tags }) =>
          at(page, { line, target: [language, ...tags].join(" ") }),
        ),
    );
    expect(untagged).toEqual([]);
  });

  test("TypeScript blocks have no type errors", () => {
    expect(typeErrors(ROOT, PAGES)).toEqual([]);
  });

  test("npx finds this package's own command in a checkout", async () => {
    const { stdout } = await promisify(execFile)("npx", ["--no-install", "dpool", "--help"], {
      cwd: ROOT,
    });
    expect(stdout).toContain("dpool");
  });
});

const skipReason = LEVEL === "full" ? "" : " (skipped: this machine cannot hold a full sandbox)";
describe.skipIf(LEVEL !== "full")(`every block of a page runs${skipReason}`, () => {
  let consul: ConsulAgent | undefined;
  let shared: Shared;
  let end: () => Promise<void>;

  beforeAll(async () => {
    consul = consulMissing === undefined ? await startConsul() : undefined;
    const firstPort = await freePorts();
    const workshop = makeWorkshop(ROOT);
    const members = await startServers(
      [
        {
          text: `npx dpool dev --port ${firstPort}`,
          output: ["m1", "m2", "m3"]
            .map((name) => `ready http://127.0.0.1:… member ${name} pools pipeline=5\n`)
            .join(""),
        },
      ],
      { cwd: workshop.folder, env: workshop.env, label: "members for the pages" },
    );
    shared = { root: ROOT, firstPort, consul: consul?.httpAddress };
    end = async () => {
      await endShell(members);
      workshop.remove();
    };
  });

  afterAll(async () => {
    await end?.();
    await consul?.stop();
  });

  test.each(PAGES.filter(({ blocks }) => blocks.length > 0).map((page) => [page.file, page]))(
    "%s",
    async (_, page) => {
      const { failures, skipped } = await runPage(page as Page, shared);
      for (const reason of skipped) console.log(`skipped: ${reason}`);
      expect(failures.join("\n\n")).toBe("");
    },
    PAGE_TIMEOUT_MS,
  );
});
