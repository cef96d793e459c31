/** Generates what the tables of options say elsewhere; with `--check` it only compares. */
import { readFileSync } from "node:fs";
import { emit, fillTables } from "../openapi/emit.ts";
import { optionTypes } from "./option-types.ts";
import { optionsTable, poolOptionsTable } from "./options-page.ts";

const page = new URL("../server/docs/configuration.md", import.meta.url);
const tables = { options: optionsTable(), "pool-options": poolOptionsTable() };
emit(page, fillTables(readFileSync(page, "utf8"), tables));
emit(new URL("../server/member/options/types.gen.ts", import.meta.url), optionTypes());
