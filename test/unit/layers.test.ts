/** The floors of the house: imports point down only, and some packages have one place. */
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Floors by path; a folder ends with a slash. */
const FLOORS: readonly (readonly [path: string, floor: number])[] = [
  ["openapi/", 0],
  ["sdk/typescript/", 1],
  ["server/sandbox/", 2],
  ["server/runtimes/", 2],
  ["server/membership/", 2],
  ["server/supervisor/", 3],
  ["server/app.ts", 4],
  ["server/routes/", 4],
  ["server/gateway.ts", 4],
  ["server/raw.ts", 4],
  ["server/relay.ts", 4],
  ["server/stream.ts", 4],
  ["server/waiting.ts", 4],
  ["server/problems.ts", 4],
  ["server/docs.ts", 4],
  ["server/auth.ts", 4],
  ["server/caller.ts", 4],
  ["server/door.ts", 4],
  ["server/http2.ts", 4],
  ["server/jwks.ts", 4],
  ["server/listener.ts", 4],
  ["server/multipart.ts", 4],
  ["server/outgoing.ts", 4],
  ["server/pending.ts", 4],
  ["server/permissions.ts", 4],
  ["server/rates.ts", 4],
  ["server/sources.ts", 4],
  ["server/streamed.ts", 4],
  ["server/tls.ts", 4],
  ["server/tokens.ts", 4],
  ["server/uploads.ts", 4],
  ["server/watched.ts", 4],
  ["server/dashboard/", 4],
  ["server/main.ts", 5],
  ["server/member.ts", 5],
  ["server/cli/", 5],
  ["server/config.ts", 5],
  ["server/config-file.ts", 5],
  ["server/options.ts", 5],
  ["server/reload.ts", 5],
  ["server/version.ts", 5],
];

function floorOf(file: string): number | undefined {
  return FLOORS.find(([path]) => (path.endsWith("/") ? file.startsWith(path) : file === path))?.[1];
}

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

interface Source {
  readonly file: string;
  readonly imports: readonly Import[];
  readonly readsEnvironment: boolean;
}

function read(file: string): Source {
  const source = ts.createSourceFile(
    file,
    readFileSync(`${ROOT}${file}`, "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  const imports: Import[] = [];
  let readsEnvironment = false;
  const add = (node: ts.Node | undefined, typeOnly: boolean) => {
    if (node && ts.isStringLiteralLike(node)) imports.push({ file, target: node.text, typeOnly });
  };
  const visit = (node: ts.Node): void => {
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
    else if (
      ts.isPropertyAccessExpression(node) &&
      /^(globalThis\.)?process$/.test(node.expression.getText()) &&
      node.name.text === "env"
    )
      readsEnvironment = true;
    else if (
      ts.isVariableDeclaration(node) &&
      node.initializer?.getText() === "process" &&
      /\benv\b/.test(node.name.getText())
    )
      readsEnvironment = true;
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { file, imports, readsEnvironment };
}

const SOURCES = globSync(["openapi/**/*.ts", "sdk/typescript/**/*.ts", "server/**/*.ts"], {
  cwd: ROOT,
})
  .toSorted()
  .map(read);
const IMPORTS = SOURCES.flatMap(({ imports }) => imports);
const show = ({ file, target }: Import) => `${file} imports ${target}`;

const isOwn = (target: string) => target.startsWith(".");
const resolved = ({ file, target }: Import) => posix.join(posix.dirname(file), target);
/** Whether an import is of this package, with or without a path in it or `node:` before it. */
const isOf =
  (...names: string[]) =>
  (target: string) =>
    names.some((name) => [name, `node:${name}`].includes(target) || target.startsWith(`${name}/`));

/** The imports of a package from where it does not belong. */
function strays(
  isPackage: (target: string) => boolean,
  isAllowed: (given: Import) => boolean,
): string[] {
  return IMPORTS.filter((given) => isPackage(given.target) && !isAllowed(given)).map(show);
}

describe("the floors", () => {
  test("there is something to look at", () => {
    expect(SOURCES.length).toBeGreaterThan(30);
    expect(IMPORTS.length).toBeGreaterThan(100);
  });

  test("every file has one", () => {
    expect(
      SOURCES.filter(({ file }) => floorOf(file) === undefined).map(({ file }) => file),
    ).toEqual([]);
  });

  test("imports point down, or stay", () => {
    const up = IMPORTS.filter((given) => {
      const target = isOwn(given.target) ? resolved(given) : "";
      if (!target.endsWith(".ts")) return false;
      const to = floorOf(target);
      return to === undefined || to > (floorOf(given.file) ?? -1);
    });
    expect(up.map(show)).toEqual([]);
  });

  test("openapi imports nothing of ours but itself", () => {
    const out = IMPORTS.filter(
      (given) =>
        given.file.startsWith("openapi/") &&
        isOwn(given.target) &&
        !resolved(given).startsWith("openapi/"),
    );
    expect(out.map(show)).toEqual([]);
  });
});

describe("packages with one place", () => {
  test("hono", () => {
    const isHono = (target: string) => isOf("hono")(target) || target.startsWith("@hono/");
    const stray = strays(isHono, ({ file, target, typeOnly }) => {
      const floor = floorOf(file);
      if (floor === 0 || floor === 4 || file === "server/main.ts") return true;
      return floor === 1 && typeOnly && target === "@hono/zod-openapi";
    });
    expect(stray).toEqual([]);
  });

  test("child_process", () => {
    expect(strays(isOf("child_process"), ({ file }) => file.startsWith("server/sandbox/"))).toEqual(
      [],
    );
  });

  test("consul", () => {
    expect(
      strays(isOf("consul"), ({ file }) =>
        ["sdk/typescript/members.ts", "server/membership/consul.ts"].includes(file),
      ),
    ).toEqual([]);
  });

  test("better-sse", () => {
    expect(strays(isOf("better-sse"), ({ file }) => file === "server/stream.ts")).toEqual([]);
  });

  test("the environment", () => {
    // The runner is a program of its own, inside the child: the environment is the child's.
    const allowed = ["server/config.ts", "server/runtimes/javascript/runner.ts"];
    const readers = SOURCES.filter(
      ({ file, readsEnvironment }) =>
        readsEnvironment && !allowed.includes(file) && !file.startsWith("server/cli/"),
    );
    expect(readers.map(({ file }) => file)).toEqual([]);
    expect(strays(isOf("process"), () => false)).toEqual([]);
  });
});
