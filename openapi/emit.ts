/** Generates `openapi.json`, and the tables on the page of the contract. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { ERROR_CODES, ERRORS } from "./codes.ts";
import { buildDocument } from "./document.ts";

/** Every code, as a Markdown table. */
export function codesTable(): string {
  return table(
    ["code", "status", "meaning", "retryable"],
    ERROR_CODES.map((code) => {
      const { status, meaning, retryable } = ERRORS[code];
      return [`\`${code}\``, String(status), meaning, retryable ? "yes" : "no"];
    }),
  );
}

interface EventDocs {
  readonly description: string;
  readonly properties: Readonly<Record<string, { readonly enum?: readonly string[] }>>;
  readonly required: readonly string[];
}

/** Every event of a child's stream and of a wait for a slot, as a Markdown table. */
export function eventsTable(): string {
  const schemas = buildDocument().components?.schemas as Readonly<Record<string, EventDocs>>;
  const events = Object.entries(schemas).filter(([, { properties }]) => properties?.type?.enum);
  return table(
    ["event", "data", "meaning"],
    events.map(([, { description, properties, required }]) => {
      const fields = Object.keys(properties).filter((name) => name !== "type");
      const data = fields.map((name) => `\`${name}${required.includes(name) ? "" : "?"}\``);
      return [`\`${properties.type?.enum?.[0]}\``, data.join(" "), description];
    }),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |\n`).join("");
}

/**
 * Puts each table between `<!-- generated: NAME -->` and the next `<!-- /generated -->` of a page.
 *
 * @throws {Error} when the page has no such markers for a table.
 */
export function fillTables(page: string, tables: Readonly<Record<string, string>>): string {
  return Object.entries(tables).reduce((filled, [name, text]) => {
    const begin = `<!-- generated: ${name} -->\n`;
    const from = filled.indexOf(begin) + begin.length;
    const to = filled.indexOf("<!-- /generated -->", from);
    if (from < begin.length || to < 0)
      throw new Error(`expected the markers of the generated table ${name}`);
    return filled.slice(0, from) + text + filled.slice(to);
  }, page);
}

/** Writes a generated file. With `--check` it only fails where the file differs. */
export function emit(file: URL, text: string): void {
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    process.stderr.write(
      `${file.pathname} differs from the code: run \`npm run openapi\` and commit the difference.\n`,
    );
    process.exitCode = 1;
  }
}

if (import.meta.main) {
  const page = new URL("README.md", import.meta.url);
  emit(new URL("openapi.json", import.meta.url), `${JSON.stringify(buildDocument(), null, 2)}\n`);
  if (existsSync(page)) {
    const tables = { codes: codesTable(), events: eventsTable() };
    emit(page, fillTables(readFileSync(page, "utf8"), tables));
  }
}
