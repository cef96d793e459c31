/** The floors of the house: imports point down only, and some packages have one place. */
import { posix } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { PRODUCT, type Source, walk } from "../helpers/sources.ts";

/** The rooms by floor, the lowest first. Rooms of one floor do not know each other. */
const FLOORS: readonly (readonly string[])[] = [
  ["openapi"],
  ["sdk/typescript"],
  ["server/sandbox", "server/membership", "server/http", "server/tracing"],
  ["server/runtimes", "server/workspace"],
  ["server/supervisor"],
  ["server/answers", "server/access"],
  ["server/routes"],
  ["server/member"],
  ["server"],
  ["server/cli"],
];

const isIn = (folder: string, room: string) =>
  folder === room || (room !== "server" && folder.startsWith(`${room}/`));
const roomOf = (folder: string) => FLOORS.flat().find((room) => isIn(folder, room));
const floorOf = (folder: string) =>
  FLOORS.findIndex((rooms) => rooms.some((room) => isIn(folder, room)));

interface Import {
  readonly file: string;
  readonly folder: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function importsOf({ file, folder, tree }: Source): Import[] {
  const imports: Import[] = [];
  const add = (node: ts.Node | undefined, typeOnly: boolean) => {
    if (node && ts.isStringLiteralLike(node))
      imports.push({ file, folder, target: node.text, typeOnly });
  };
  walk(tree, (node) => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true);
    else if (
      ts.isCallExpression(node) &&
      (node.expression.kind === ts.SyntaxKind.ImportKeyword ||
        node.expression.getText() === "require")
    )
      add(node.arguments[0], false);
  });
  return imports;
}

function readsEnvironment({ tree }: Source): boolean {
  let reads = false;
  walk(tree, (node) => {
    if (
      ts.isPropertyAccessExpression(node) &&
      /^(globalThis\.)?process$/.test(node.expression.getText())
    )
      reads ||= node.name.text === "env";
    if (ts.isVariableDeclaration(node) && node.initializer?.getText() === "process")
      reads ||= /\benv\b/.test(node.name.getText());
  });
  return reads;
}

const IMPORTS = PRODUCT.flatMap(importsOf);
const show = ({ file, target }: Import) => `${file} imports ${target}`;

/** The file that an import of our own names. */
const resolved = ({ folder, target }: Import) => posix.join(folder, target);
const OWN = IMPORTS.filter(({ target }) => target.startsWith(".") && target.endsWith(".ts"));

/**
 * Whether an import is of one of the packages, with or without a path in it or `node:` before it.
 */
const isOf =
  (...names: string[]) =>
  ({ target }: Import) =>
    names.some((name) => [name, `node:${name}`].includes(target) || target.startsWith(`${name}/`));

describe("the floors", () => {
  test("there is something to look at", () => {
    expect(PRODUCT.length).toBeGreaterThan(100);
    expect(OWN.length).toBeGreaterThan(300);
  });

  test("every folder belongs to a room, and every room is there", () => {
    expect(
      PRODUCT.filter(({ folder }) => roomOf(folder) === undefined).map(({ file }) => file),
    ).toEqual([]);
    const empty = FLOORS.flat().filter((room) => !PRODUCT.some(({ folder }) => isIn(folder, room)));
    expect(empty).toEqual([]);
  });

  test("the root of the server has one file", () => {
    expect(PRODUCT.filter(({ folder }) => folder === "server")).toHaveLength(1);
  });

  test("imports point down, or stay in their room", () => {
    const astray = OWN.filter((each) => {
      const target = posix.dirname(resolved(each));
      return roomOf(target) !== roomOf(each.folder) && floorOf(target) >= floorOf(each.folder);
    });
    expect(astray.map(show)).toEqual([]);
  });

  test("between two folders side by side imports go one way", () => {
    const arrows = new Map<string, Import>();
    for (const each of OWN) arrows.set(`${each.folder} ${posix.dirname(resolved(each))}`, each);
    const back = [...arrows].filter(([arrow]) => {
      const [from = "", to = ""] = arrow.split(" ");
      const isNested = isIn(from, to) || isIn(to, from);
      return !isNested && arrows.has(`${to} ${from}`);
    });
    expect(back.map(([, each]) => show(each))).toEqual([]);
  });

  test("there is no circle, type imports included", () => {
    const targets = Map.groupBy(OWN, ({ file }) => file);
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]) => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
      if (done.has(file) || path.includes(file)) return;
      for (const each of targets.get(file) ?? []) visit(resolved(each), [...path, file]);
      done.add(file);
    };
    for (const { file } of PRODUCT) visit(file, []);
    expect(circles).toEqual([]);
  });

  test("openapi imports nothing of ours but itself", () => {
    const out = OWN.filter(
      (each) => each.folder.startsWith("openapi") && !resolved(each).startsWith("openapi/"),
    );
    expect(out.map(show)).toEqual([]);
  });
});

describe("packages with one place", () => {
  const strays = (isPackage: (each: Import) => boolean, isAllowed: (each: Import) => boolean) =>
    IMPORTS.filter((each) => isPackage(each) && !isAllowed(each)).map(show);
  const filesOf = (isPackage: (each: Import) => boolean) =>
    new Set(IMPORTS.filter(isPackage).map(({ file }) => file));

  test("hono", () => {
    const rooms = [
      "openapi",
      "server/http",
      "server/access",
      "server/answers",
      "server/routes",
      "server/member",
    ];
    const stray = strays(isOf("hono", "@hono/node-server", "@hono/zod-openapi"), ({ folder }) =>
      rooms.some((room) => isIn(folder, room)),
    );
    expect(stray).toEqual([]);
  });

  test("Node's own modules, in the SDK", () => {
    const isPortable = ({ file, folder }: Import) =>
      isIn(folder, "sdk/typescript") &&
      !isIn(folder, "sdk/typescript/node") &&
      file !== "sdk/typescript/node.ts";
    const stray = IMPORTS.filter((each) => isPortable(each) && each.target.startsWith("node:"));
    expect(stray.map(show)).toEqual([]);
  });

  test("child_process", () => {
    // Beside the sandbox, the command line opens a browser for `dpool ui`.
    const isAllowed = ({ file, folder }: Import) =>
      isIn(folder, "server/sandbox") || file === "server/cli/terminal/open-page.ts";
    expect(strays(isOf("child_process"), isAllowed)).toEqual([]);
  });

  test("consul", () => {
    expect(filesOf(isOf("consul")).size).toBe(1);
    expect(strays(isOf("consul"), ({ folder }) => isIn(folder, "sdk/typescript/node"))).toEqual([]);
  });

  test("better-sse", () => {
    expect(filesOf(isOf("better-sse")).size).toBe(1);
    expect(strays(isOf("better-sse"), ({ folder }) => isIn(folder, "server/answers"))).toEqual([]);
  });

  test("the environment", () => {
    // The runners are programs of their own, inside the child: the environment is the child's.
    const rooms = ["server/cli", "server/runtimes/runners"];
    const readers = PRODUCT.filter(
      (source) => readsEnvironment(source) && !rooms.some((room) => isIn(source.folder, room)),
    );
    expect(readers.map(({ file }) => file)).toEqual([]);
    expect(strays(isOf("process"), () => false)).toEqual([]);
  });
});
