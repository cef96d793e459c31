/**
 * Bundles the commands that ask a member into one file, so that a command begins soon: each file
 * takes time to find. The programs of a member stay in the files that all entries share. The
 * entry, `cli.js`, refuses a Node that is too old to read the bundle; `dpool doctor` tells it as a
 * finding.
 */
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const file = `${DIST}cli.js`;
const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

/** The names that the files import from Node's modules, by module. */
const imported = new Map();
for (const name of readdirSync(DIST).filter((each) => each.endsWith(".js"))) {
  const text = readFileSync(`${DIST}${name}`, "utf8");
  for (const [, names = "", path = ""] of text.matchAll(/^import \{([^}]*)\} from "([^"]+)"/gm)) {
    const known = imported.get(path) ?? new Set();
    for (const each of names.split(",")) known.add(each.trim().split(" as ")[0]);
    imported.set(path, known);
  }
}

/**
 * An `import` of one of Node's modules reads all that the module exports. That loads streams, and
 * for `http` also `fetch`, whether or not they are used.
 */
const builtins = {
  name: "builtins",
  setup(bundle) {
    bundle.onResolve({ filter: /^[\w:/]+$/ }, ({ path }) =>
      isBuiltin(path) ? { path, namespace: "builtin" } : undefined,
    );
    bundle.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
      const names = [...(imported.get(path) ?? [])].join(", ");
      const module = `process.getBuiltinModule(${JSON.stringify(path)})`;
      return { contents: `export const { ${names} } = ${module};` };
    });
  },
};

const others = {
  name: "others",
  setup(bundle) {
    bundle.onResolve({ filter: /^\.\// }, ({ path, kind }) =>
      kind === "dynamic-import" && !/^\.\/(?:asking|complete|run|scripts)-/.test(path)
        ? { path, external: true }
        : undefined,
    );
  },
};

await build({
  entryPoints: [file],
  outfile: `${DIST}command-line.js`,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node22",
  minify: true,
  sourcemap: true,
  logLevel: "error",
  plugins: [builtins, others],
});

const [major, minor] = /^>=(\d+)\.(\d+)$/.exec(manifest.engines.node).slice(1).map(Number);

/** Any Node that knows modules can read this text, and says what it is missing. */
writeFileSync(
  file,
  `#!/usr/bin/env node
var version = process.versions.node.split(".").map(Number);
if (version[0] > ${major} || (version[0] === ${major} && version[1] >= ${minor})) import("./command-line.js");
else {
  var fault = "expected Node ${major}.${minor} or newer; got " + process.versions.node + ", " + process.execPath;
  if (process.argv[2] === "doctor") {
    var cure = "install Node ${major}.${minor} or newer, from https://nodejs.org/en/download";
    var check = { name: "node", status: "failed", detail: fault, cure: cure, command: null };
    process.stdout.write(
      /(-o|--output)[ =]?json/.test(process.argv.join(" "))
        ? JSON.stringify({ status: "failed", checks: [check] }) + "\\n"
        : "✗ node: " + fault + "\\n    cure: " + cure + "\\n\\n1 fault\\n"
    );
    process.exitCode = 1;
  } else {
    process.stderr.write("dpool: " + fault + "; nodejs.org has one, and npx dpool in a checkout brings its own\\n");
    process.exitCode = 2;
  }
}
`,
);
chmodSync(file, 0o755);
