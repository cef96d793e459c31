/** What the dashboard offers to copy runs as it is, and holds no character that a paste acts on. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startOne } from "../helpers/member.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PYTHON = join(ROOT, ".tools/sdk-python/bin/python");
const PROGRAM_MS = 60_000;
const FILE = new URL("../../server/dashboard/text/snippets.js", import.meta.url).href;
const { callSnippets, childSnippets } = await import(FILE);

/** A program and its arguments that run the snippet. */
const RUNNERS: Readonly<Record<string, (text: string) => readonly [string, ...string[]]>> = {
  curl: (text) => ["bash", "-c", text],
  dpool: (text) => ["bash", "-c", `dpool() { node ${ROOT}dist/cli.js "$@"; }\n${text}`],
  TypeScript: (text) => [process.execPath, "--input-type=module", "-e", text],
  Python: (text) => [PYTHON, "-c", text],
};
const languages = Object.keys(RUNNERS).filter((name) => name !== "Python" || existsSync(PYTHON));

async function run(language: string, text: string): Promise<string> {
  const [program, ...args] = RUNNERS[language]?.(text) ?? [""];
  const env = { ...process.env, PYTHONPATH: join(ROOT, "sdk/python") };
  const options = { cwd: ROOT, env, timeout: PROGRAM_MS };
  return (await promisify(execFile)(program, args, options)).stdout;
}

const HOSTILE = 'it\'s "$HOME" `id` \u0003\u001b[201~\u0085\u202e é';

test.each(languages)("a command, a function and a child's output as %s", async (language) => {
  const { url } = await startOne();
  const at = { url, pool: "pipeline", hasToken: false };
  const script = 'printf %s "$1" | od -An -tx1';
  const command = callSnippets({ command: ["sh", "-c", script, "sh", HOSTILE] }, at)[language];
  expect(command.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  const sent = Buffer.from(HOSTILE).toString("hex");
  expect((await run(language, command)).replaceAll(/\\n|\s/g, "")).toContain(sent);

  const add = { function: { source: "(a, b) => [a + b, true, null]", args: [1_211, 1] } };
  const value = await run(language, callSnippets(add, at)[language]);
  expect(value.replaceAll(" ", "")).toMatch(/\[1212,(true,null|True,None)\]/);

  const body = JSON.stringify({ command: ["echo", "seen"] });
  const headers = { "content-type": "application/json" };
  const placed = await fetch(`${url}/pools/pipeline/children`, { method: "POST", headers, body });
  const { id } = (await placed.json()) as { id: string };
  expect(await run(language, childSnippets(id, at)[language])).toContain("seen");
});
