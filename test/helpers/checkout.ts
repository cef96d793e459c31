/**
 * This checkout where any user of the machine can run it: itself, or a copy when it lies below a
 * folder that is closed, such as `/root`.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const PARTS = [
  ".dev",
  "dist",
  "node_modules",
  "openapi",
  "package.json",
  "sdk",
  "server",
  "test",
  "tsconfig.json",
];
const NODE = "node-for-others";

const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;

function isOpen(file: string): boolean {
  if ((statSync(file).mode & OTHERS_READ) === 0) return false;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & OTHERS_ENTER) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

export interface OpenCheckout {
  readonly root: string;
  /** The path of this process's `node`. */
  readonly node: string;
  /** Removes the copy, where there is one. */
  remove(): void;
}

export function openCheckout(): OpenCheckout {
  const node = realpathSync(process.execPath);
  const needed = [
    node,
    ...[
      "package.json",
      "dist/cli.js",
      "test/vitest.config.ts",
      "node_modules/.package-lock.json",
    ].map((path) => join(ROOT, path)),
  ];
  if (needed.every(isOpen)) return { root: ROOT, node, remove() {} };
  const root = mkdtempSync(join(tmpdir(), "dpool-checkout-"));
  for (const part of PARTS)
    cpSync(join(ROOT, part), join(root, part), { recursive: true, verbatimSymlinks: true });
  cpSync(node, join(root, NODE));
  chmodSync(root, 0o755);
  execFileSync("chmod", ["-R", "a+rX", root]);
  return {
    root,
    node: join(root, NODE),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
