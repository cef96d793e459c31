/** The table of the generators, as `openapi/README.md` shows it. */
import { CHECKS, type Generator } from "./generator.ts";
import type { Cells } from "./try.ts";

function row({ title, document, notes }: Generator, cells: Cells): string {
  const marks = CHECKS.map((check) => {
    const mark = cells[check] ?? cells.skipped ?? "";
    const note = notes?.[check];
    return mark === "✓" && note ? `${mark} ${note}` : mark.replaceAll("|", "\\|");
  });
  return `| ${[title, `\`${document}\``, ...marks].join(" | ")} |\n`;
}

export function table(rows: readonly (readonly [Generator, Cells])[]): string {
  const head = ["generator", "document", ...CHECKS];
  const lines = [head, head.map(() => "---")].map((cells) => `| ${cells.join(" | ")} |\n`);
  return lines.join("") + rows.map(([generator, cells]) => row(generator, cells)).join("");
}
