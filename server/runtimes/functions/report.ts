/** Reads how a job ended from the runner's report, which the function may have forged. */
import { z } from "zod";
import { FunctionErrorSchema } from "../../../openapi/schemas/problem.ts";
import { MAX_NESTING, nestsAtMost } from "../../../openapi/schemas/values.ts";
import { RawJson } from "../../../sdk/typescript/http/raw-json.ts";
import type { Exit } from "../../sandbox/sandbox.ts";
import { notStarted, type Outcome, type StartedWork } from "../runtime.ts";
import { MAX_LINE_BYTES, type Received } from "./channel.ts";
import type { Job, Report } from "./messages.ts";
import { threw } from "./thrown.ts";

const common = {
  cpuMs: z.number().min(0),
  maxRssBytes: z.int().min(0),
  marker: z.string().optional(),
  clean: z.boolean().optional(),
};
/**
 * The function shares its process with the runner, and can write any line in the report's stead.
 */
const ReportSchema = z.discriminatedUnion("kind", [
  z.object({ ...common, kind: z.literal("returned"), value: z.unknown() }),
  z.object({ ...common, kind: z.literal("threw"), error: FunctionErrorSchema, detail: z.string() }),
  z.object({ ...common, kind: z.literal("invalid"), detail: z.string() }),
]) satisfies z.ZodType<Report>;

/** A report, or the reason why the line is none. */
export type ReadReport = Report | "malformed" | "too long" | "too deep";

export function readReport(received: Exclude<Received, "ended">, { marker }: Job): ReadReport {
  if (typeof received === "string") return received;
  try {
    const report = ReportSchema.safeParse(messageIn(received)).data;
    return report && report.marker === marker ? report : "malformed";
  } catch {
    return "malformed";
  }
}

export function outcomeOfReport(
  report: ReadReport,
  encoding: Job["encoding"],
): Awaited<StartedWork["outcome"]> {
  if (report === "too long")
    return cannotTravel(
      `expected a value of at most ${MAX_LINE_BYTES} bytes of JSON; it is larger`,
    );
  if (report === "too deep") return tooDeep();
  if (report === "malformed")
    return { kind: "crashed", detail: "the function's process sent a report that is not one" };
  const { cpuMs, maxRssBytes, marker: _, clean: __, ...rest } = report;
  const isRaw = rest.kind === "returned" && rest.value instanceof RawJson;
  if (rest.kind === "returned" && !isRaw && !nestsAtMost(rest.value, MAX_NESTING)) return tooDeep();
  const usage = { cpuMs, maxRssBytes };
  if (rest.kind === "threw") return { ...threw(rest.error, rest.detail), usage };
  return rest.kind === "returned" && encoding === "devalue"
    ? { ...rest, encoding, usage }
    : { ...rest, usage };
}

/** The message in a line. @throws {SyntaxError} for a line that is no JSON. */
export function messageIn(received: Exclude<Received, string>): unknown {
  return "line" in received ? JSON.parse(received.line) : received.message;
}

function tooDeep(): Outcome {
  return cannotTravel(`expected a value nested at most ${MAX_NESTING} levels deep; it is deeper`);
}

/** The outcome of a process that ended without a report. */
export function outcomeWithoutReport(exit: Exit): Outcome {
  if (!exit.started) return notStarted(exit);
  const { exitCode, signal } = exit;
  const how = signal === null ? `exited with code ${exitCode}` : `was ended by ${signal}`;
  const detail = `the function's process ${how} before the function returned`;
  return { kind: "crashed", detail, exitCode };
}

function cannotTravel(message: string): Outcome {
  return {
    kind: "threw",
    error: { name: "RangeError", message },
    detail: `the function returned what cannot travel: ${message}`,
  };
}
