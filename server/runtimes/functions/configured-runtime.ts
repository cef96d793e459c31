/**
 * Runs functions by a configured command, which finds the source in a file. The command reads one
 * line of JSON from descriptor 3, `{args, context, export?}`, and answers with one line there:
 *
 *     {"value": …}
 *     {"error": {"name", "message", "stack"?, "code"?, "cause"?, "errors"?}}
 *
 * Before the answer it may write any number of lines of progress:
 *
 *     {"progress": {"done", "total"?, "message"?}}
 */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { FunctionErrorSchema } from "../../../openapi/schemas/problem.ts";
import { RawJson } from "../../../sdk/typescript/http/raw-json.ts";
import { exitWithin } from "../../sandbox/exit.ts";
import { SOURCE_PLACEHOLDER } from "../configured.ts";
import { contextEnvironment, type Outcome, type Runtime, type Work } from "../runtime.ts";
import type { Received } from "./channel.ts";
import { messageIn, outcomeOfReport, outcomeWithoutReport } from "./report.ts";
import { threw } from "./thrown.ts";
import { END_TIMEOUT_MS, Worker } from "./worker.ts";

/** The path of the source inside a sandbox. */
const SOURCE = "/run/distributed-pool/source";

const AnswerSchema = z.union([
  z.strictObject({ value: z.union([z.instanceof(RawJson), z.json()]) }),
  z.strictObject({ error: FunctionErrorSchema }),
]);

/**
 * @param command program and arguments, at least one of which contains {@link SOURCE_PLACEHOLDER}.
 */
export function configuredRuntime(command: readonly string[]): Runtime {
  return {
    async start(work, { sandbox, confinement, files, artifacts }) {
      const { spec, call } = work;
      const file = join(sandbox.folder, `source-${randomBytes(16).toString("hex")}`);
      const path = sandbox.level === "none" ? file : SOURCE;
      await writeFile(file, call?.source ?? "", { mode: 0o644 });
      const remove = () => rm(file, { force: true });
      const program = {
        argv: command.map((argument) => argument.replaceAll(SOURCE_PLACEHOLDER, path)),
        env: { ...spec.env, ...contextEnvironment(work) },
        readOnly: path === SOURCE ? [{ from: file, to: SOURCE }] : [],
        channel: true,
        stdin: spec.stdin !== undefined,
        files,
        artifacts,
      };
      try {
        const worker = new Worker(await sandbox.launch(program, confinement));
        void worker.process.exited.then(remove);
        return {
          process: worker.process,
          outcome: callOnce(worker, work, artifacts.length > 0),
        };
      } catch (error) {
        await remove();
        throw error;
      }
    },
  };
}

/** @param packs whether artifacts are packed after the program's end, which takes its own time. */
async function callOnce(
  worker: Worker,
  { call, context, onProgress }: Work,
  packs: boolean,
): Promise<Outcome> {
  const { process, channel } = worker;
  channel.end({ args: call?.args ?? [], context, export: call?.export });
  const received = await worker.channel.receive(onProgress);
  const exit = await (packs ? process.exited : exitWithin(END_TIMEOUT_MS, process));
  channel.close();
  return received === "ended" ? outcomeWithoutReport(exit) : outcomeOfAnswer(received);
}

function outcomeOfAnswer(received: Exclude<Received, "ended">): Outcome {
  if (received === "too long" || received === "too deep") return outcomeOfReport(received, "json");
  try {
    if (received === "malformed") throw new Error("no JSON");
    const answer = AnswerSchema.parse(messageIn(received));
    if ("value" in answer) return { kind: "returned", value: answer.value };
    return threw(answer.error, `${answer.error.name}: ${answer.error.message}`);
  } catch {
    return {
      kind: "crashed",
      detail:
        'the runtime\'s program did not answer {"value": …} or {"error": {"name", "message"}}',
    };
  }
}
