/** A process that runs functions: one call, from the job to the report. */
import { z } from "zod";
import { FunctionErrorSchema } from "../../../openapi/errors.ts";
import { MAX_NESTING, nestsAtMost } from "../../../openapi/values.ts";
import type { Exit, SandboxedProcess } from "../../sandbox/sandbox.ts";
import {
  contextEnvironment,
  NOT_STARTED,
  type Outcome,
  type StartedWork,
  type Work,
} from "../runtime.ts";
import { Channel, MAX_LINE_BYTES, type Received } from "./channel.ts";
import type { Job, Report } from "./messages.ts";

const usage = {
  cpuMs: z.number().min(0),
  maxRssBytes: z.int().min(0),
  marker: z.string().optional(),
  clean: z.boolean().optional(),
};
/** A report as it has to be: the function shares its process with the runner, and can write what it likes in its place. */
const ReportSchema = z.discriminatedUnion("kind", [
  z.object({ ...usage, kind: z.literal("returned"), value: z.unknown() }),
  z.object({ ...usage, kind: z.literal("threw"), error: FunctionErrorSchema, detail: z.string() }),
  z.object({ ...usage, kind: z.literal("invalid"), detail: z.string() }),
]) satisfies z.ZodType<Report>;

/** After its report the runner has nothing left to do but exit, and after its exit nothing is left to read. */
export const END_TIMEOUT_MS = 1_000;
/** One that has closed its channel without a report ends by itself, or wants to go on in secret: its own ending is worth a wait on a busy machine. */
export const SILENT_END_TIMEOUT_MS = 5_000;

type Told = Awaited<StartedWork["outcome"]>;

/** The job that a runner gets for a call. */
export function jobOf({ call, context }: Work, marker?: string): Job {
  const { source, file, export: name, loadOnly, args = [], encoding = "json" } = call ?? {};
  return {
    type: "job",
    source,
    file,
    export: name,
    loadOnly,
    args,
    encoding,
    context,
    env: contextEnvironment(context),
    marker,
  };
}

export class Worker {
  readonly process: SandboxedProcess;
  readonly channel: Channel;

  constructor(process: SandboxedProcess) {
    if (!process.channel) throw new Error("expected a process with a channel");
    this.process = process;
    this.channel = new Channel(process.channel);
  }

  /**
   * Calls a function; the process ends after it.
   *
   * @param onProgress is told how far it has come.
   * @param packs whether artifacts are packed after the runner's end, which may take until the deadline.
   * @param usedMs what it used before the call, for which nobody is told to have used it.
   */
  call(job: Job, onProgress: Work["onProgress"], { packs = false, usedMs = 0 } = {}): StartedWork {
    const { process, channel } = this;
    channel.send(job);
    const exited = process.exited.then((exit) => withoutTime(exit, usedMs));
    return {
      process: { ...process, exited },
      outcome: this.#outcome(job, onProgress, packs),
      drain: () => channel.send({ type: "drain" }),
    };
  }

  /** Resolves with the report as soon as it is there, so that what happens to the process afterwards changes nothing. */
  async #outcome(job: Job, onProgress: Work["onProgress"], packs: boolean): Promise<Told> {
    const { process, channel } = this;
    const received = await receivedFrom(process, channel, onProgress);
    const timer = packs
      ? undefined
      : setTimeout(
          () => process.kill(),
          received === "nothing" ? SILENT_END_TIMEOUT_MS : END_TIMEOUT_MS,
        );
    void process.exited.then(() => {
      clearTimeout(timer);
      channel.close();
    });
    if (received === "too long") process.kill();
    if (received === "nothing") return crashed(await process.exited);
    return outcomeOf(readReport(received, job), job.encoding);
  }
}

/** The next line, but for those that pass, or nothing a moment after the process has ended. */
export function receivedFrom(
  process: SandboxedProcess,
  channel: Channel,
  onProgress: Work["onProgress"],
  passes?: (line: string) => boolean,
): Promise<Received> {
  const silent = process.exited.then(
    () =>
      new Promise<"nothing">((resolve) => setTimeout(resolve, END_TIMEOUT_MS, "nothing").unref()),
  );
  return Promise.race([channel.receive(onProgress, passes), silent]);
}

/** How a process used the processor since it was taken. */
export function withoutTime(exit: Exit, usedMs: number): Exit {
  if (usedMs === 0 || exit.usage?.cpuMs == null) return exit;
  return { ...exit, usage: { ...exit.usage, cpuMs: Math.max(0, exit.usage.cpuMs - usedMs) } };
}

/** The outcome of a process that ended without a report. */
export function crashed(exit: Exit): Outcome {
  if (!exit.started) return NOT_STARTED;
  const how =
    exit.signal === null ? `exited with code ${exit.exitCode}` : `was ended by ${exit.signal}`;
  return { kind: "crashed", detail: `the function's process ${how} before the function returned` };
}

/** The report of a job, undefined for what is none, or a line that was too long. */
export function readReport(
  received: Exclude<Received, "nothing">,
  { marker }: Job,
): Report | undefined | "too long" {
  if (received === "too long") return received;
  try {
    const report = ReportSchema.safeParse(JSON.parse(received.line)).data;
    return report?.marker === marker ? report : undefined;
  } catch {
    return undefined;
  }
}

export function outcomeOf(
  report: Report | undefined | "too long",
  encoding: Job["encoding"],
): Told {
  if (report === "too long")
    return cannotTravel(
      `expected a value of at most ${MAX_LINE_BYTES} bytes of JSON; it is larger`,
    );
  if (report === undefined)
    return { kind: "crashed", detail: "the function's process sent a report that is not one" };
  const { cpuMs, maxRssBytes, marker: _, clean: __, ...rest } = report;
  if (rest.kind === "returned" && !nestsAtMost(rest.value, MAX_NESTING)) {
    return cannotTravel(`expected a value nested at most ${MAX_NESTING} levels deep; it is deeper`);
  }
  const usage = { cpuMs, maxRssBytes };
  return rest.kind === "returned" && encoding === "devalue"
    ? { ...rest, encoding, usage }
    : { ...rest, usage };
}

function cannotTravel(message: string): Outcome {
  return {
    kind: "threw",
    error: { name: "RangeError", message },
    detail: `the function returned what cannot travel: ${message}`,
  };
}
