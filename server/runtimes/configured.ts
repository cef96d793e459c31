/**
 * Any program as a runtime, by configuration. Its source is written to a file; on descriptor 3 it gets one line of JSON,
 * `{args, context, export?}`, and answers with one, `{"value": …}` or `{"error": {"name", "message", "stack"?}}`; before it may come
 * `{"progress": {"done", "total"?, "message"?}}`, as often as it likes.
 */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { FunctionErrorSchema } from "../../openapi/errors.ts";
import { Channel, type Received } from "./functions/channel.ts";
import { crashed, END_TIMEOUT_MS, outcomeOf, receivedFrom } from "./functions/worker.ts";
import { contextEnvironment, type Outcome, type Runtime } from "./runtime.ts";

const SOURCE = "/run/distributed-pool/source";
const PLACEHOLDER = "{source}";

/** Configured runtimes by name, as the operator writes them. */
export const RuntimesSchema = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, "expected the name of a runtime"),
  z.strictObject({
    command: z
      .array(
        z
          .string()
          .refine(
            (argument) => !argument.includes("\0"),
            "expected a string without NUL characters",
          ),
      )
      .min(1, "expected at least the program to run")
      .refine(
        (command) => command.some((argument) => argument.includes(PLACEHOLDER)),
        `expected ${PLACEHOLDER}, the path of the source, in an argument`,
      ),
  }),
);
export type ConfiguredRuntimes = z.input<typeof RuntimesSchema>;

const AnswerSchema = z.union([
  z.strictObject({ value: z.json() }),
  z.strictObject({ error: FunctionErrorSchema }),
]);

/** Runs functions by a configured command. */
export function configuredRuntime(command: readonly string[]): Runtime {
  return {
    async start({ spec, call, context, onProgress }, { sandbox, confinement, files, artifacts }) {
      const file = join(sandbox.folder, `source-${randomBytes(16).toString("hex")}`);
      const place = sandbox.level === "none" ? file : SOURCE;
      await writeFile(file, call?.source ?? "", { mode: 0o644 });
      const remove = () => rm(file, { force: true });
      const program = {
        argv: command.map((argument) => argument.replaceAll(PLACEHOLDER, place)),
        env: { ...spec.env, ...contextEnvironment(context) },
        readOnly: place === SOURCE ? [{ from: file, to: SOURCE }] : [],
        channel: true,
        stdin: spec.stdin !== undefined,
        files,
        artifacts,
      };
      try {
        const process = await sandbox.launch(program, confinement);
        void process.exited.then(remove);
        const channel = new Channel(process.channel as NonNullable<typeof process.channel>);
        const outcome = (async (): Promise<Outcome> => {
          channel.end({ args: call?.args ?? [], context, export: call?.export });
          const received = await receivedFrom(process, channel, onProgress);
          const timer =
            artifacts.length > 0 ? undefined : setTimeout(() => process.kill(), END_TIMEOUT_MS);
          const exit = await process.exited;
          clearTimeout(timer);
          channel.close();
          return received === "nothing" ? crashed(exit) : answerOf(received);
        })();
        return { process, outcome };
      } catch (error) {
        await remove();
        throw error;
      }
    },
  };
}

/** The outcome that an answer tells. */
function answerOf(received: Exclude<Received, "nothing">): Outcome {
  if (received === "too long") return outcomeOf(received, "json");
  try {
    const answer = AnswerSchema.parse(JSON.parse(received.line));
    if ("value" in answer) return { kind: "returned", value: answer.value };
    return {
      kind: "threw",
      error: answer.error,
      detail: `${answer.error.name}: ${answer.error.message}`,
    };
  } catch {
    return {
      kind: "crashed",
      detail:
        'the runtime\'s program did not answer {"value": …} or {"error": {"name", "message"}}',
    };
  }
}
