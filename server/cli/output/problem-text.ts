/** A problem for the person at the terminal, and the exit code for it. */
import type { FunctionError, RunProblem } from "../../../openapi/errors.ts";
import { hintFor } from "./hints.ts";

/** 125: the pool failed, not the child, as with other runners of commands. */
export const FAILED = 125;

type Told = Pick<RunProblem, "code" | "detail" | "error" | "exitCode">;

/** `dpool: CODE: DETAIL`, the exit code of a stopped child, the thrown error, and the next step. */
export function problemText(problem: Told): string {
  const { code, detail, error, exitCode } = problem;
  // The detail of a crash has the exit code.
  const hasCode = exitCode !== undefined && code !== "worker_crashed";
  const exit = hasCode ? `; its exit code is ${exitCode}` : "";
  const hint = hintFor(problem);
  const lines = [`dpool: ${code}: ${detail}${exit}`, ...(error ? stacksOf(error) : [])];
  return [...lines, ...(hint === undefined ? [] : [`try: ${hint}`]), ""].join("\n");
}

/** A problem as one line of JSON, with the next step as `hint`. */
function problemJson(problem: RunProblem): string {
  return `${JSON.stringify({ ...problem, hint: hintFor(problem) })}\n`;
}

/** Tells a problem on stderr, as a text or as JSON. */
export function tellProblem(problem: RunProblem, json: boolean): void {
  process.stderr.write(json ? problemJson(problem) : problemText(problem));
}

/** The exit code for a problem. A child that was stopped may have chosen 0, which is no success. */
export function exitCodeOfProblem({ code, exitCode }: Pick<RunProblem, "code" | "exitCode">) {
  return (code === "worker_crashed" && exitCode) || FAILED;
}

/** The stacks of an error and of those behind it. Python's contain those of their causes. */
function stacksOf({ stack = "", cause, errors = [] }: FunctionError, label = ""): string[] {
  const behind = [
    ...(cause && !stack.includes(cause.stack ?? "") ? stacksOf(cause, "caused by ") : []),
    ...errors.flatMap((each) => stacksOf(each, "with ")),
  ];
  return stack === "" ? behind : [label + stack.trimEnd(), ...behind];
}
