/** How the test of the pages reads a page and compares output. */
import { describe, expect, test } from "vitest";
import { matches, parseCommands } from "../helpers/pages/console-block.ts";
import { anchorOf, parsePage } from "../helpers/pages/markdown.ts";
import { withPorts } from "../helpers/pages/workshop.ts";

describe("a page", () => {
  test("blocks with their tags, links, anchors and paths; nothing inside a block is a link", () => {
    const page = parsePage(
      "a.md",
      [
        "# One `two`: three",
        "See [it](b.md#c) and `server/main.ts`, not `[x](y)`.",
        "```console dev needs=perl",
        "$ echo '[no](link)'",
        "```",
      ].join("\n"),
    );
    expect([...page.anchors]).toEqual(["one-two-three"]);
    expect(page.links).toEqual([{ target: "b.md#c", line: 2 }]);
    expect(page.paths).toEqual([{ target: "server/main.ts", line: 2 }]);
    expect(page.blocks).toEqual([
      {
        language: "console",
        tags: ["dev", "needs=perl"],
        text: "$ echo '[no](link)'\n",
        line: 3,
      },
    ]);
  });

  test("a block without an end", () => {
    expect(() => parsePage("a.md", "```json\n{}")).toThrow("a.md:1: expected the end");
  });

  test("an anchor is GitHub's", () => {
    expect(anchorOf("What's [new](x.md) in `v2`?")).toBe("whats-new-in-v2");
  });

  test("ports of this run", () => {
    expect(withPorts("7400 7412 17400 74000 8500", 20_000, "9")).toBe("20000 20012 17400 74000 9");
  });
});

describe("a console block", () => {
  test("commands, continued lines and output", () => {
    expect(parseCommands("$ a \\\n    -b\nout\n\n$ c\n")).toEqual([
      { text: "a \\\n    -b", output: "out\n\n" },
      { text: "c", output: "" },
    ]);
    expect(() => parseCommands("out\n$ a\n")).toThrow("expected a command");
  });

  test.each([
    ["one\n", "one\n", true],
    ["one", "one\n\n", true],
    ["", "", true],
    ["one\n", "", false],
    ["", "one\n", false],
    ["id m1.ab done\n", "id m….… done\n", true],
    ["a\nb\nc\n", "a\n…\nc\n", true],
    ["a\nc\n", "a\n…\nc\n", true],
    ["a\nb\n", "a…b\n", false],
    ["a.b\n", "a+b\n", false],
    ["(a) [b] {c} $d ^e | f\n", "(a) [b] {c} $d ^e | f\n", true],
  ])("%j against %j: %j", (output, promised, expected) => {
    expect(matches(output, promised)).toBe(expected);
  });
});
