/** Prints findings, as lines of text or as JSON. */
import { widthOf, wrapped } from "../output/wrap.ts";
import { write, writeJson } from "../output/write.ts";
import type { Finding, Status } from "./finding.ts";

/** 1: something failed. */
const SOMETHING_FAILED = 1;

const MARKS: Readonly<Record<Status, string>> = {
  ok: "✓",
  warning: "!",
  failed: "✗",
  skipped: "-",
};
/** Colours of the marks: green, yellow, red, grey. */
const COLOURS: Readonly<Record<Status, number>> = { ok: 32, warning: 33, failed: 31, skipped: 90 };

/** Prints the findings. Resolves with the exit code of the command. */
export async function printFindings(
  findings: readonly Finding[],
  { json, colour }: { readonly json: boolean; readonly colour: boolean },
): Promise<number> {
  const status = overall(findings);
  if (json) {
    const checks = findings.map(({ name, status, detail, cure = null, command = null }) => ({
      name,
      status,
      detail,
      cure,
      command,
    }));
    await writeJson({ status, checks });
  } else {
    const options = { colour, width: widthOf(process.stdout) };
    const lines = findings.flatMap((each) => linesOf(each, options));
    await write(process.stdout, `${[...lines, "", sentenceOf(findings)].join("\n")}\n`);
  }
  return status === "failed" ? SOMETHING_FAILED : 0;
}

/** The worst status. A skipped check is no fault. */
function overall(findings: readonly Finding[]): Exclude<Status, "skipped"> {
  const has = (status: Status) => findings.some((each) => each.status === status);
  return has("failed") ? "failed" : has("warning") ? "warning" : "ok";
}

/** A finding as text: its mark and detail, then its cure, then the command. */
export function linesOf(
  { name, status, detail, cure, command }: Finding,
  { colour, width = Infinity }: { readonly colour: boolean; readonly width?: number | undefined },
): string[] {
  const mark = colour ? `\u001b[${COLOURS[status]}m${MARKS[status]}\u001b[0m` : MARKS[status];
  const inside = (text: string, indent: string) =>
    text
      .split("\n")
      .flatMap((line) => wrapped(line, width - indent.length))
      .map((line) => indent + line);
  const [first = "", ...rest] = inside(`${name}: ${detail}`, "  ");
  return [
    `${mark} ${first.trimStart()}`,
    ...rest,
    ...(cure === undefined ? [] : inside(`cure: ${cure}`, "    ")),
    // A command stays whole, so that it can be copied.
    ...(command === undefined ? [] : command.split("\n").map((line) => `      ${line}`)),
  ];
}

function sentenceOf(findings: readonly Finding[]): string {
  const count = (status: Status) => findings.filter((each) => each.status === status).length;
  const [faults, warnings] = [count("failed"), count("warning")];
  if (faults + warnings === 0) return "nothing is wrong";
  const shown = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  return [
    ...(faults > 0 ? [shown(faults, "fault")] : []),
    ...(warnings > 0 ? [shown(warnings, "warning")] : []),
  ].join(", ");
}
