/**
 * Compares the contract with the one of the last release, `openapi/released.json`, by oasdiff. It
 * fails when a change breaks clients and the version does not say so: before 1.0.0 by its minor
 * number, from then on by its major one. After a release: copy `openapi.json` to `released.json`.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const OASDIFF = "v1.37.0";
const BUILD_MS = 600_000;
const COMPARE_MS = 60_000;

const pathOf = (path) => fileURLToPath(new URL(path, import.meta.url));
const [released, current] = ["released", "openapi"].map((name) =>
  pathOf(`../openapi/${name}.json`),
);
const folder = pathOf(`../.tools/oasdiff-${OASDIFF}`);
const program = `${folder}/oasdiff`;

if (!existsSync(program) && spawnSync("go", ["version"]).status !== 0) {
  process.stdout.write("The comparison with the last release is skipped: Go is not installed.\n");
  process.exit();
}
if (!existsSync(program)) {
  const env = { ...process.env, GOBIN: folder };
  const options = { env, timeout: BUILD_MS, stdio: ["ignore", "ignore", "inherit"] };
  execFileSync("go", ["install", `github.com/oasdiff/oasdiff@${OASDIFF}`], options);
}

/** The numbers of a version, up to the one that a breaking change has to raise. */
function significant(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 0 ? [major, 0] : [0, minor];
}

const [before, now] = [released, current].map((file) => {
  const { version } = JSON.parse(readFileSync(file, "utf8")).info;
  return { version, numbers: significant(version) };
});
const isRaised =
  now.numbers[0] > before.numbers[0] ||
  (now.numbers[0] === before.numbers[0] && now.numbers[1] > before.numbers[1]);

const options = { encoding: "utf8", timeout: COMPARE_MS, maxBuffer: 64 << 20 };
const args = ["breaking", released, current, "--format", "json"];
const changes = JSON.parse(execFileSync(program, args, options) || "[]");
const breaking = changes.filter(({ level }) => level === 3);
for (const [id, all] of Map.groupBy(breaking, (change) => change.id)) {
  const [{ operation, path, text }] = all;
  process.stdout.write(`breaks: ${id} (${all.length}), as ${operation} ${path}: ${text}\n`);
}
process.stdout.write(
  `${breaking.length} changes since ${before.version} break clients; this is ${now.version}.\n`,
);
if (breaking.length > 0 && !isRaised) {
  process.stdout.write(
    `expected a version that breaks with ${before.version}; got ${now.version}\n`,
  );
  process.exitCode = 1;
}
