/** The product's own TypeScript, parsed: the tests of the house read it. */
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Source {
  /** Path from the root of the checkout. */
  readonly file: string;
  readonly folder: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

/** The sources that match the patterns, in the order of their paths. */
export function sourcesIn(...patterns: readonly string[]): Source[] {
  return globSync([...patterns], { cwd: ROOT, exclude: ["**/dist/**"] })
    .toSorted()
    .map((file) => {
      const text = readFileSync(`${ROOT}${file}`, "utf8");
      const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
      return { file, folder: posix.dirname(file), text, tree };
    });
}

/** The product, without its tests. */
export const PRODUCT = sourcesIn("openapi/**/*.ts", "sdk/typescript/**/*.ts", "server/**/*.ts");

/** Calls `visit` with every node of a source. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** The line of a node, counted from 1. */
export function lineOf({ tree }: Source, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}
