/** Generates the documents and types of the contract. With `--check` it only compares. */
import { buildDocument } from "../openapi/document.ts";
import { sdkForm } from "../openapi/documents/sdk.ts";
import { version30 } from "../openapi/documents/v3-0.ts";
import { version32 } from "../openapi/documents/v3-2.ts";
import { contractTypes } from "./contract-types.ts";
import { emit } from "./generated.ts";

const document = buildDocument();
const sdk = sdkForm(document);
const forms = {
  "openapi.json": document,
  "openapi.sdk.json": sdk,
  "openapi.3.0.json": version30(sdk),
  "openapi.3.2.json": version32(document),
};

const at = (name) => new URL(`../openapi/${name}`, import.meta.url);
for (const [name, form] of Object.entries(forms))
  emit(at(name), `${JSON.stringify(form, null, 2)}\n`);
emit(at("types.gen.ts"), await contractTypes(document));
