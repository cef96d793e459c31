/** Generates the documents and types of the contract. With `--check` it only compares. */
import { buildDocument } from "../openapi/document.ts";
import { forms } from "../openapi/documents/forms.ts";
import { contractTypes } from "./contract-types.ts";
import { emit } from "./generated.ts";

const at = (name) => new URL(`../openapi/${name}`, import.meta.url);
const document = buildDocument();
for (const [name, form] of Object.entries(forms(document)))
  emit(at(name), `${JSON.stringify(form, null, 2)}\n`);
emit(at("types.gen.ts"), await contractTypes(document));
