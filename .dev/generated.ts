/** Writes generated files, or compares them with the code. */
import { readFileSync, writeFileSync } from "node:fs";

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
      `${file.pathname} differs from the code: run \`npm run openapi\` and \`npm run docs\`.\n`,
    );
    process.exitCode = 1;
  }
}
