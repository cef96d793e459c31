/** Generates the documents and types of the contract. With `--check` it only compares. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildDocument } from "../openapi/document.ts";
import { forms } from "../openapi/documents/forms.ts";
import { contractTypes } from "./contract-types.ts";
import { emit } from "./generated.ts";

const at = (name) => new URL(`../openapi/${name}`, import.meta.url);
const document = buildDocument();
for (const [name, form] of Object.entries(forms(document)))
  emit(at(name), `${JSON.stringify(form, null, 2)}\n`);
emit(at("types.gen.ts"), await contractTypes(document));

// The models of the Python SDK, where `.dev/setup.sh test` has installed their generator.
const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const python = path(".tools/sdk-python/bin/python");
if (existsSync(python)) {
  const args = [path("sdk/python/generate_models.py"), ...process.argv.slice(2)];
  if (spawnSync(python, args, { stdio: "inherit" }).status !== 0) process.exitCode = 1;
}
