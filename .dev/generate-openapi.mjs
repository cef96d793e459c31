/** Generates `openapi.json` from the code. With `--check` it only compares. */
import { buildDocument } from "../openapi/document.ts";
import { emit } from "./generated.ts";

const text = `${JSON.stringify(buildDocument(), null, 2)}\n`;
emit(new URL("../openapi/openapi.json", import.meta.url), text);
