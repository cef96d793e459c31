/** Generates the documents and types of the contract. With `--check` it only compares. */
import { buildDocument } from "../openapi/document.ts";
import { contractTypes } from "./contract-types.ts";
import { emit } from "./generated.ts";

const at = (name) => new URL(`../openapi/${name}`, import.meta.url);
const document = buildDocument();
emit(at("openapi.json"), `${JSON.stringify(document, null, 2)}\n`);
emit(at("types.gen.ts"), await contractTypes(document));
