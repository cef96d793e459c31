/** The pure parts of the command line: its tables, its inputs, its hints, and unfinished words. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inputOf, linesOf, specFor } from "../../server/cli/calls/inputs.ts";
import { idsNamed } from "../../server/cli/child-id.ts";
import { optionsOf } from "../../server/cli/command-options.ts";
import { COMMANDS, type Command } from "../../server/cli/command-table.ts";
import { joined, wantedIn } from "../../server/cli/completion/words.ts";
import { choicesOf } from "../../server/cli/options/values.ts";
import { help } from "../../server/cli/output/help.ts";
import { hintFor } from "../../server/cli/output/hints.ts";
import { tableLines } from "../../server/cli/output/table.ts";
import { twoColumns, wrapped } from "../../server/cli/output/wrap.ts";

const longest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));

describe("help in the width of a terminal", () => {
  test.each([...Object.keys(COMMANDS), undefined] as (Command | undefined)[])("%s", (command) => {
    const words = (text: string) => text.split(/\s+/).filter((word) => word !== "");
    const whole = help(command, optionsOf);
    for (const width of [60, 80, 132]) {
      const text = help(command, optionsOf, width);
      // A word may be wider than a line.
      const lines = text.split("\n").filter((line) => line.trim().includes(" "));
      expect(longest(lines.join("\n"))).toBeLessThanOrEqual(width);
      expect(words(text).toSorted()).toEqual(words(whole).toSorted());
    }
  });

  test("breaks between words, and keeps a word that is wider than a line", () => {
    expect(wrapped("one two three", 7)).toEqual(["one two", "three"]);
    expect(wrapped("a-very-long-word b", 5)).toEqual(["a-very-long-word", "b"]);
    expect(twoColumns([["name", "one two"]], 20)).toBe("  name\n      one two");
  });
});

describe("a table in the width of a terminal", () => {
  const rows = [
    ["ID", "POOL", "HOW"],
    [`m1.${"0a".repeat(16)}`, "pipeline", "exit 3"],
  ];

  test("cuts the widest column, and never the names", () => {
    expect(tableLines(rows)[1]).toBe(`m1.${"0a".repeat(16)}  pipeline  exit 3`);
    expect(tableLines(rows, 40)).toEqual([
      "ID                      POOL      HOW",
      "m1.0a0a0a0a0a0a0a0a0a…  pipeline  exit 3",
    ]);
    expect(longest(tableLines(rows, 40).join("\n"))).toBe(40);
    expect(tableLines(rows, 5)[0]).toBe("ID      POOL    HOW");
  });

  test("no line is wider than a terminal that has room for the names", () => {
    const cell = fc.string({ maxLength: 60 });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell)), fc.integer({ min: 22 }), (cells, width) => {
        const lines = tableLines([["ID", "POOL", "HOW"], ...cells], width);
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe("the inputs of map", () => {
  const bytes = async function* (...chunks: (string | Uint8Array)[]) {
    for (const chunk of chunks) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  };
  const read = async (...chunks: (string | Uint8Array)[]) => {
    const texts: string[] = [];
    for await (const { line, text } of linesOf(bytes(...chunks))) texts[line - 1] = text;
    return texts;
  };

  test("are lines, whatever the chunks", async () => {
    expect(await read("one\ntw", "o\r\n", "\n", "four")).toEqual(["one", "two", "", "four"]);
    expect(await read()).toEqual([]);
    expect(await read("a\u2028b\n")).toEqual(["a\u2028b"]);
    const snail = Buffer.from("é\n");
    expect(await read(snail.subarray(0, 1), snail.subarray(1))).toEqual(["é"]);
  });

  test("have a bound, and are UTF-8; others have a fault, and the rest goes on", async () => {
    const long = "y".repeat(1_048_577);
    const chunks = ["x\n", long.slice(0, 9), `${long.slice(9)}\n`, Buffer.of(0xe9, 0x0a), "z"];
    const faults: unknown[] = [];
    for await (const { line, fault } of linesOf(bytes(...chunks))) faults.push([line, fault]);
    expect(faults).toEqual([
      [1, undefined],
      [2, "expected at most 1048576 bytes; got 1048577"],
      [3, "expected UTF-8; got other bytes"],
      [4, undefined],
    ]);
    expect(() => inputOf({ line: 3, text: "", fault: "expected UTF-8" }, false)).toThrow("UTF-8");
  });

  test("are texts or JSON", () => {
    expect(inputOf({ line: 1, text: "[1]" }, false)).toBe("[1]");
    expect(inputOf({ line: 1, text: "[1]" }, true)).toEqual([1]);
    expect(() => inputOf({ line: 7, text: "[1" }, true)).toThrow("expected JSON in line 7: ");
  });

  test("replace {} in a command, or are its last argument, or that of a function", () => {
    expect(specFor({ command: ["cp", "{}", "to/{}.bak"] }, "$&").command).toEqual([
      "cp",
      "$&",
      "to/$&.bak",
    ]);
    expect(specFor({ command: ["echo"] }, { a: 1 }).command).toEqual(["echo", '{"a":1}']);
    expect(specFor({ task: { name: "greet" } }, [1])).toEqual({
      task: { name: "greet" },
      args: [[1]],
    });
  });
});

test("a child is named by the beginning of its id, or of its digits", () => {
  const ids = ["m1.0a11", "m1.0b22", "m2.0a33"];
  expect(idsNamed("m1.0a", ids)).toEqual(["m1.0a11"]);
  expect(idsNamed("0b", ids)).toEqual(["m1.0b22"]);
  expect(idsNamed("m", ids)).toEqual(ids);
  expect(idsNamed("a", ids)).toEqual([]);
});

test.each([
  ["no_members_available", "cannot reach a member at http://a: ECONNREFUSED", /^dpool dev /],
  ["no_members_available", "cannot reach a member at https://a: certificate", /^--ca FILE/],
  ["no_members_available", "pool a: none of its 2 members is ready", undefined],
  ["all_members_at_capacity", "", /^--wait-ms/],
  ["pool_not_found", "no member serves pool piepline; the pools are: a, pipeline", /pipeline\?$/],
  ["pool_not_found", "no member serves pool x; the pools are: none", /^dpool members/],
  ["constructor", "", undefined],
])("the next step after %s: %s", (code, detail, hint) => {
  if (hint) expect(hintFor({ code, detail })).toMatch(hint);
  else expect(hintFor({ code, detail })).toBeUndefined();
});

describe("an unfinished command line", () => {
  const wanted = (line: string) => {
    const words = line.split(" ");
    const command = words[0] as Command;
    return wantedIn(words, command, optionsOf(command));
  };

  test("bash's words are joined again", () => {
    expect(joined(["ps", "--status", "=", "run"])).toEqual(["ps", "--status=run"]);
    expect(joined(["ps", "--status", "="])).toEqual(["ps", "--status="]);
    expect(joined(["ps", "--url", "http", ":", "//a", ":", "7400", ""])).toEqual([
      "ps",
      "--url",
      "http://a:7400",
      "",
    ]);
  });

  test.each([
    ["ca", { kind: "command" }],
    ["call ", { kind: "argument", index: 0 }],
    ["signal m1 ", { kind: "argument", index: 1 }],
    ["call --url h:1 -t pi", { kind: "argument", index: 0 }],
    ["logs -f ", { kind: "argument", index: 0 }],
    ["map -j 4 pipe", { kind: "argument", index: 0 }],
    ["call --wa", { kind: "flag" }],
    ["call pipeline -- -", { kind: "nothing" }],
    ["ps --status ", { kind: "value", prefix: "" }],
    ["ps --status=r", { kind: "value", prefix: "--status=" }],
    ["ps -o ", { kind: "value", prefix: "" }],
  ])("%j", (line, kind) => {
    expect(wanted(line)).toMatchObject(kind);
  });

  test("a value is one of few where its schema says so", () => {
    const choices = (line: string) => {
      const found = wanted(line);
      return found.kind === "value" ? choicesOf(found.option) : [];
    };
    expect(choices("ps --status ")).toEqual(["running", "stopping", "ended"]);
    expect(choices("token --scope ")).toContain("observe");
    expect(choices("ps --url ")).toEqual([]);
  });
});
