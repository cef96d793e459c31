/** Many small attacks in one child: a line of shell for each, by name. */
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { lastOf, textOf } from "./member.ts";

/** A script that makes each attempt in a shell of its own and says whether it succeeded. */
export function attemptScript(attempts: Readonly<Record<string, string>>): string {
  const lines = Object.entries(attempts).map(
    ([name, code]) =>
      `if (\n${code}\n) >/dev/null 2>&1 </dev/null; ` +
      `then echo "made ${name}"; else echo "refused ${name}"; fi`,
  );
  return lines.join("\n");
}

/** The outcome of each attempt, by name. */
export function outcomesOf(events: readonly NumberedEvent[]): Record<string, "made" | "refused"> {
  if (lastOf(events, "result").exitCode !== 0)
    throw new Error(
      `expected exit code 0; got ${JSON.stringify(events.at(-1))}: ${textOf(events, "stderr")}`,
    );
  const lines = [...textOf(events).matchAll(/^(made|refused) (.*)$/gm)];
  return Object.fromEntries(
    lines.map(([, outcome, name]) => [name, outcome as "made" | "refused"]),
  );
}

/** The same outcome for each. */
export function each(
  attempts: Readonly<Record<string, string>>,
  outcome: "made" | "refused",
): Record<string, "made" | "refused"> {
  return Object.fromEntries(Object.keys(attempts).map((name) => [name, outcome]));
}
