/** Writes the measured part of `server/docs/performance.md`, and its chart. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { aimsOf } from "../aims.ts";
import { machineOf, tableOf } from "./markdown.ts";
import type { Report } from "./report.ts";

const PAGE = fileURLToPath(new URL("../../../server/docs/performance.md", import.meta.url));
const CHART = fileURLToPath(new URL("../../../server/docs/performance.svg", import.meta.url));
const MARKS = /(<!-- measured -->\n)[\s\S]*(<!-- \/measured -->)/;

/** @throws where the page has no place for it. */
export function writePage(report: Report, chart: string): void {
  const page = readFileSync(PAGE, "utf8");
  if (!MARKS.test(page)) throw new Error(`expected <!-- measured --> in ${PAGE}; got none`);
  const sections = report.sections.flatMap(({ name, tables, notes = [] }) => [
    `### ${name}`,
    ...tables.map(tableOf),
    ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join("\n")] : []),
  ]);
  const parts = [machineOf(report.machine), tableOf(aimsOf(report)), ...sections];
  const measured = `\n${parts.join("\n\n")}\n\n`;
  writeFileSync(
    PAGE,
    page.replace(MARKS, (_, begin, end) => `${begin}${measured}${end}`),
  );
  writeFileSync(CHART, chart);
}
