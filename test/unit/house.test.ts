/** The size of the rooms, and how their texts are written. */
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { lineOf, PRODUCT, type Source, sourcesIn, walk } from "../helpers/sources.ts";

const MAX_FILES = 12;
const MAX_FILE_LINES = 250;
const MAX_FUNCTION_LINES = 60;
const MAX_PARAMETERS = 3;
const MAX_COLUMNS = 100;

/** Folders that may have more files: there each file is one attack, or one runtime. */
const LARGE_FOLDERS = ["server/sandbox", "server/runtimes"];

/** Functions and files that may be longer, by `file` or `file name`, each with its reason. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "server/runtimes/runners/python/runner.py":
    "the sandbox shows a child one file, and no bundler joins Python modules",
};

/** A reader opens the schemas, from which this file is generated. */
const GENERATED = [
  "openapi/types.gen.ts",
  "server/member/options/types.gen.ts",
  "sdk/python/distributed_pool/models.py",
];
/** Files with code in any language. Only the lines of a Python file are looked at. */
const PAGE = sourcesIn("server/dashboard/**/*.{js,css,html}");
const FILES = [...PRODUCT, ...PAGE, ...sourcesIn("{server,sdk}/**/*.py")].filter(
  ({ file }) => !GENERATED.includes(file),
);
const ALL = [...FILES, ...sourcesIn("examples/**/*.{js,ts}", "test/**/*.ts")];
const linesOf = ({ text }: Source) => text.split("\n").length - 1;

interface Measured {
  readonly name: string;
  readonly lines: number;
  readonly parameters: number;
}

function functionsOf(source: Source): Measured[] {
  const found: Measured[] = [];
  walk(source.tree, (node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return;
    const start = lineOf(source, node.getStart());
    const name =
      node.name ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined);
    found.push({
      name: `${source.file}:${start} ${name?.getText() ?? "anonymous"}`,
      lines: lineOf(source, node.end) - start + 1,
      parameters: node.parameters.filter((each) => each.name.getText() !== "this").length,
    });
  });
  return found;
}

const isExcepted = (name: string) => Object.hasOwn(EXCEPTIONS, name.replace(/:\d+/, ""));
const ROOMS = [...PRODUCT, ...PAGE];
const FUNCTIONS = [...PRODUCT, ...PAGE.filter(({ file }) => file.endsWith(".js"))].flatMap(
  functionsOf,
);

describe("the size of the rooms", () => {
  test("a folder has few files", () => {
    const crowded = [...Map.groupBy(ROOMS, ({ folder }) => folder)]
      .filter(([folder, files]) => files.length > MAX_FILES && !LARGE_FOLDERS.includes(folder))
      .map(([folder, files]) => `${folder}: ${files.length} files`);
    expect(crowded).toEqual([]);
  });

  test("a file is short", () => {
    const long = FILES.filter((each) => linesOf(each) > MAX_FILE_LINES && !isExcepted(each.file));
    expect(long.map((each) => `${each.file}: ${linesOf(each)} lines`)).toEqual([]);
  });

  test("a function is short", () => {
    const long = FUNCTIONS.filter(
      ({ name, lines }) => lines > MAX_FUNCTION_LINES && !isExcepted(name),
    );
    expect(long.map(({ name, lines }) => `${name}: ${lines} lines`)).toEqual([]);
  });

  test("a function has few parameters", () => {
    const many = FUNCTIONS.filter(
      ({ name, parameters }) => parameters > MAX_PARAMETERS && !isExcepted(name),
    );
    expect(many.map(({ name, parameters }) => `${name}: ${parameters} parameters`)).toEqual([]);
  });

  test("every exception is still needed", () => {
    const names = new Set([
      ...FILES.filter((each) => linesOf(each) > MAX_FILE_LINES).map(({ file }) => file),
      ...FUNCTIONS.filter(
        ({ lines, parameters }) => lines > MAX_FUNCTION_LINES || parameters > MAX_PARAMETERS,
      ).map(({ name }) => name.replace(/:\d+/, "")),
    ]);
    expect(Object.keys(EXCEPTIONS).filter((name) => !names.has(name))).toEqual([]);
  });
});

describe("how the texts are written", () => {
  const linesWith = (sources: readonly Source[], isFault: (line: string) => boolean) =>
    sources.flatMap(({ file, text }) =>
      text.split("\n").flatMap((line, index) => (isFault(line) ? [`${file}:${index + 1}`] : [])),
    );

  test("a line has at most 100 columns", () => {
    expect(linesWith(ALL, (line) => line.length > MAX_COLUMNS)).toEqual([]);
  });

  test("a comment names its subject", () => {
    const opening = /^\s*(\/\/|\*|\/\*\*)\s*(What|Whoever|One that|Those|Nobody)\b/;
    expect(linesWith(ROOMS, (line) => opening.test(line))).toEqual([]);
  });

  test("types are not forced", () => {
    expect(linesWith(PRODUCT, (line) => /\bas never\b/.test(line))).toEqual([]);
    const routes = PRODUCT.filter(({ folder }) => folder === "server/routes");
    expect(linesWith(routes, (line) => /\bas unknown as\b/.test(line)).length).toBeLessThanOrEqual(
      1,
    );
  });
});
