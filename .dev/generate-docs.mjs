/** Generates what the tables of options say elsewhere; with `--check` it only compares. */
import { readFileSync } from "node:fs";
import { emit, fillTables } from "../openapi/emit.ts";
import { optionTypes } from "../server/cli/generate/option-types.ts";
import { optionsTable, poolOptionsTable } from "../server/cli/generate/options-page.ts";

const page = new URL("../server/docs/configuration.md", import.meta.url);
const tables = { options: optionsTable(), "pool-options": poolOptionsTable() };
emit(page, fillTables(readFileSync(page, "utf8"), tables));
emit(new URL("../server/member/options/types.gen.ts", import.meta.url), optionTypes());
