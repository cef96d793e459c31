/** A report as Markdown. Pure. */
import type { Cell, Table } from "../benchmark.ts";
import type { Machine, Report, Section } from "./report.ts";

const GIB = 1024 ** 3;

/** A number with three significant digits at most, and thousands apart. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** The median, and its spread where there are several rounds. */
function cellOf(cell: Cell): string {
  if (typeof cell === "string") return cell;
  if (typeof cell === "number") return shown(cell);
  const { median, min, max } = cell;
  const isOne = min === max;
  return isOne ? shown(median) : `${shown(median)} (${shown(min)}–${shown(max)})`;
}

const rowOf = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

export function tableOf({ title, columns, rows }: Table): string {
  return [
    `**${title}**`,
    "",
    rowOf(columns),
    rowOf(columns.map(() => "---")),
    ...rows.map((row) => rowOf(row.map(cellOf))),
  ].join("\n");
}

export const machineOf = (machine: Machine) =>
  `Measured on ${machine.date} at ${machine.commit}: ${machine.processors} × ` +
  `${machine.processor}, ${(machine.memoryBytes / GIB).toFixed(0)} GiB, Linux ${machine.kernel}, ` +
  `Node ${machine.node}, load average ${machine.loadAverage.toFixed(1)} at the start.`;

function sectionOf({ name, about, seconds, tables, notes = [] }: Section): string {
  const parts = [
    `## ${name}`,
    `${about} (${seconds.toFixed(0)} s)`,
    ...tables.map(tableOf),
    ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join("\n")] : []),
  ];
  return parts.join("\n\n");
}

/** @param aims the table of the aims. */
export function markdownOf(report: Report, aims: Table): string {
  const parts = [
    "# Benchmarks",
    machineOf(report.machine),
    ...(report.quick ? ["A smoke run: the figures mean nothing."] : []),
    "A figure is the median of its rounds, with the least and the most in parentheses.",
    ...(aims.rows.length > 0 ? [tableOf(aims)] : []),
    ...report.sections.map(sectionOf),
  ];
  return `${parts.join("\n\n")}\n`;
}
