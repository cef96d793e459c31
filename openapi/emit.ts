/** Writes `openapi.json` from the routes; with `--check` it only compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { buildDocument } from "./document.ts";

const file = new URL("./openapi.json", import.meta.url);
const built = `${JSON.stringify(buildDocument(), null, 2)}\n`;
if (!process.argv.includes("--check")) writeFileSync(file, built);
else if (readFileSync(file, "utf8") !== built) {
  process.stderr.write(
    "openapi/openapi.json is not what the routes say: run `npm run openapi` and commit the difference.\n",
  );
  process.exitCode = 1;
}
