/** The child spec that the options, and the command behind `--`, make. */
import { fstatSync } from "node:fs";
import { access } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { messageOf } from "../../../openapi/errors.ts";
import type { ChildSpecInput } from "../../../openapi/schemas/spec.ts";
import type { Spec } from "../../../sdk/typescript/node.ts";
import { isJson, type Parsed } from "../parse.ts";
import type { OwnTerminal } from "../terminal/own-terminal.ts";
import { UsageError } from "../usage-error.ts";

/** The command, the function or the task of a spec. @throws {UsageError} */
function workOf({ values, rest }: Parsed): ChildSpecInput {
  const { task, function: source, runtime, args } = values;
  const base = values.spec === undefined ? {} : specFromJson(values.spec);
  if (rest?.length === 0 || (rest ?? task ?? source ?? values.spec) === undefined)
    throw new UsageError(
      "expected a command behind --, --function SOURCE, --task NAME or --spec JSON",
    );
  if (args && task === undefined && source === undefined)
    throw new UsageError("--args: expected --function or --task beside it");
  if (runtime !== undefined && source === undefined)
    throw new UsageError("--runtime: expected --function beside it");
  const given = args && { args };
  return {
    ...base,
    ...(rest && { command: [...rest] }),
    ...(task !== undefined && { task: { ...base.task, name: task, ...given } }),
    ...(source !== undefined && {
      function: { ...base.function, source, ...given, ...(runtime !== undefined && { runtime }) },
    }),
  };
}

/** @throws {UsageError} */
export async function specOf(parsed: Parsed): Promise<Spec> {
  const { values, command } = parsed;
  const base = workOf(parsed);
  const { env, label, file, files, artifact, stdin, tty } = values;
  // A person at a terminal expects Ctrl-C to end what it started.
  const isAtTerminal = command !== "place" && process.stderr.isTTY;
  const link = values.link ?? base.link ?? isAtTerminal;
  if (tty && stdin !== undefined)
    throw new UsageError("--stdin: expected no --tty beside it, which types the input");
  if (tty && values.link === false)
    throw new UsageError("--no-link: expected no --tty beside it; place -t lets a child go on");
  return {
    ...base,
    ...(env && { env: { ...base.env, ...pairs("--env", env) } }),
    ...(label && { labels: { ...base.labels, ...pairs("--label", label) } }),
    ...(file && { files: { ...base.files, ...(await filesOf(file)) } }),
    ...(files !== undefined && { archive: await localFile("--files", files) }),
    ...(artifact && { artifacts: [...(base.artifacts ?? []), ...artifact] }),
    ...(stdin !== undefined && { stdin: await stdinOf(stdin, command !== "place") }),
    ...(values.waitMs !== undefined && { waitMs: values.waitMs }),
    ...(values.deadlineMs !== undefined && { deadlineMs: values.deadlineMs }),
    ...(values.idempotencyKey !== undefined && { idempotencyKey: values.idempotencyKey }),
    ...(link && { link }),
    ...(values.notify !== undefined && { notify: { url: values.notify } }),
    // Each event keeps its bytes, unless a person or a program is to read the event itself.
    outputEncoding: base.outputEncoding ?? (isJson(parsed) ? "text" : "base64"),
  } as Spec;
}

/** The spec of a child in a terminal like this one. Its own variables win over this terminal's. */
export function withTerminal(spec: Spec, { size, env }: OwnTerminal): Spec {
  return { ...spec, tty: size, env: { ...env, ...spec.env } } as Spec;
}

function specFromJson(json: string): ChildSpecInput {
  try {
    return JSON.parse(json) as ChildSpecInput;
  } catch (error) {
    throw new UsageError(`--spec: expected a child spec as JSON: ${messageOf(error)}`);
  }
}

function pairs(flag: string, values: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    values.map((pair) => {
      const [name, value] = pair.split(/=(.*)/s);
      if (!name || value === undefined)
        throw new UsageError(`${flag}: expected NAME=VALUE; got ${JSON.stringify(pair)}`);
      return [name, value];
    }),
  );
}

/** `PATH[=FILE]`: files of this machine, by their paths in the workspace. */
async function filesOf(values: readonly string[]): Promise<Record<string, { path: string }>> {
  const named = values.map(async (file) => {
    const [path = "", local = path] = file.split(/=(.*)/s);
    return [path, await localFile("--file", local)] as const;
  });
  return Object.fromEntries(await Promise.all(named));
}

async function localFile(flag: string, path: string): Promise<{ path: string }> {
  await access(path).catch((error: Error) => {
    throw new UsageError(`${flag}: ${error.message}`);
  });
  return { path };
}

/** A call streams its input. A placed child gets the whole input with its spec. */
async function stdinOf(
  file: string,
  isStreamed: boolean,
): Promise<Buffer | NodeJS.ReadStream | { path: string }> {
  if (file !== "-") return localFile("--stdin", file);
  const stdin = ownStdin();
  return isStreamed ? stdin : buffer(stdin);
}

/** The stdin of this command. @throws {UsageError} for a folder, which Node takes for no input. */
export function ownStdin(): NodeJS.ReadStream {
  if (fstatSync(0).isDirectory())
    throw new UsageError("stdin: expected a file, a pipe or a terminal; got a folder");
  return process.stdin;
}
