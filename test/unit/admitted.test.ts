/** Every `member_lost` says whether the child was admitted. */
import ts from "typescript";
import { expect, test } from "vitest";
import { lineOf, PRODUCT, walk } from "../helpers/sources.ts";

test("each member_lost that is made has `admitted`", () => {
  let made = 0;
  const silent: string[] = [];
  for (const source of PRODUCT)
    walk(source.tree, (node) => {
      if (!ts.isCallExpression(node)) return;
      const [code, , extras] = node.arguments;
      if (!code || !ts.isStringLiteral(code) || code.text !== "member_lost") return;
      made += 1;
      if (!extras?.getText().includes("admitted"))
        silent.push(`${source.file}:${lineOf(source, node.getStart())}`);
    });
  expect(silent).toEqual([]);
  expect(made).toBeGreaterThan(10);
});
