/**
 * Generates the tables of the pages, and the types of options, from the code. With `--check` it
 * only compares.
 */
import { readFileSync } from "node:fs";
import { COPIED_PARTS, LIVE_PARTS } from "../server/sandbox/etc-parts.ts";
import { codesTable, eventsTable } from "./contract-page.ts";
import { emit, fillTables } from "./generated.ts";
import { metricsTable } from "./metrics-page.ts";
import { optionTypes } from "./option-types.ts";
import { askingTable, commandsTable, optionsTable, poolOptionsTable } from "./options-page.ts";

/** @param tables by the name in their markers. */
function fillPage(path, tables) {
  const page = new URL(path, import.meta.url);
  emit(page, fillTables(readFileSync(page, "utf8"), tables));
}

fillPage("../openapi/README.md", { codes: codesTable(), events: eventsTable() });
fillPage("../server/docs/configuration.md", {
  options: optionsTable(),
  "pool-options": poolOptionsTable(),
});
fillPage("../server/docs/command-line.md", { commands: commandsTable(), options: askingTable() });
fillPage("../server/docs/operating.md", { metrics: metricsTable() });
const words = (parts) => parts.map((part) => `\`${part}\``).join(" ");
fillPage("../server/docs/sandbox.md", {
  etc:
    "| parts of `/etc` | as they are |\n| --- | --- |\n" +
    `| ${words(LIVE_PARTS)} | when the child starts |\n` +
    `| ${words(COPIED_PARTS)} | when the member starts |\n`,
});
emit(new URL("../server/member/options/types.gen.ts", import.meta.url), optionTypes());
