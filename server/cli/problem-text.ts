/** A problem for the person at the terminal, and the exit code for it. */
import type { FunctionError, RunProblem } from "../../openapi/errors.ts";

/** 125: the pool failed, not the child, as with other runners of commands. */
export const FAILED = 125;

/** `dpool: CODE: DETAIL`, the exit code of a stopped child, and what a function threw. */
export function problemText({
  code,
  detail,
  error,
  exitCode,
}: Pick<RunProblem, "code" | "detail" | "error" | "exitCode">): string {
  // The detail of a crash has the exit code.
  const hasCode = exitCode !== undefined && code !== "worker_crashed";
  const exit = hasCode ? `; its exit code is ${exitCode}` : "";
  return [`dpool: ${code}: ${detail}${exit}`, ...(error ? stacksOf(error) : []), ""].join("\n");
}

/** The stacks of an error and of those behind it. Python's contain those of their causes. */
function stacksOf({ stack = "", cause, errors = [] }: FunctionError, label = ""): string[] {
  const behind = [
    ...(cause && !stack.includes(cause.stack ?? "") ? stacksOf(cause, "caused by ") : []),
    ...errors.flatMap((each) => stacksOf(each, "with ")),
  ];
  return stack === "" ? behind : [label + stack.trimEnd(), ...behind];
}
