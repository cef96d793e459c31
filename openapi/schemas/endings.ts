/** The ending of a child, in its terminal event and in the answer of a run. */
import { z } from "@hono/zod-openapi";
import { ValueEncodingSchema } from "./functions.ts";
import { PROBLEM_EXAMPLE, ProblemSchema, problemFields } from "./problem.ts";
import { ChildReferenceSchema, REFERENCE_EXAMPLE } from "./resources.ts";
import { orNull } from "./values.ts";

const USAGE = { wallMs: 12.5, cpuMs: 9.1, maxRssBytes: 3_145_728 };

export const UsageSchema = z
  .object({
    wallMs: z.number().describe("Milliseconds from placement to the end of the process."),
    cpuMs: orNull(z.number()).describe(
      "Milliseconds of user and system time of all processes of the child, with the start of " +
        "its sandbox; null when the member cannot measure it (a command without a cgroup).",
    ),
    maxRssBytes: orNull(z.int()).describe(
      "The most bytes of memory that all processes of the child and its workspace took at any " +
        "time; null when the member cannot measure it (a command without a cgroup).",
    ),
  })
  .openapi("Usage", { description: "The resources that a child took.", example: USAGE });

export type Usage = z.infer<typeof UsageSchema>;

export const ArtifactSchema = z
  .object({
    path: z.string().describe("The path of the file in the workspace."),
    bytes: z.int().min(0).describe("The size of the file in bytes."),
  })
  .openapi("Artifact", {
    description: "A file that a child left. `/children/{id}/files/{path}` has its bytes.",
    example: { path: "out.png", bytes: 20_480 },
  });

/** The ending of a child: the fields that `result`, `failed` and the JSON answer share. */
export const endingFields = {
  value: z
    .any()
    .optional()
    .describe(
      "The value that the function returned; null for undefined. `encoding` says how it is " +
        "written. Absent for a command.",
    ),
  encoding: ValueEncodingSchema.optional().describe(
    "How `value` is written. Default: `json`, when it is absent.",
  ),
  exitCode: z
    .int()
    .optional()
    .openapi({
      description:
        "The exit code; 128 + n when signal n ended the program. A child that was stopped has " +
        "the one that it chose after TERM, or 137 after KILL. Absent for a function that " +
        "returned or threw.",
      format: "int32",
    }),
  usage: UsageSchema,
  artifacts: z.array(ArtifactSchema).describe("The files that the child left for its caller."),
};

/** The JSON answer adds the child and its output to the ending. */
const waitedFields = {
  child: ChildReferenceSchema,
  stdout: z.string().describe("The first MiB of the child's standard output."),
  stderr: z.string().describe("The first MiB of the child's standard error."),
  truncated: z
    .boolean()
    .describe(
      "True when the child wrote more output than an answer has: 1 MiB each of stdout and stderr.",
    ),
};

export const RESULT_EXAMPLE = { exitCode: 0, usage: USAGE, artifacts: [] };

export const RunResultSchema = z
  .object({
    ...waitedFields,
    ...endingFields,
    problem: ProblemSchema.optional().describe(
      "The reason why the child failed, when the head of the answer had been sent before. Absent " +
        "for a child that ended by itself.",
    ),
  })
  .openapi("RunResult", {
    description: "The output of a child, and how it ended.",
    example: {
      child: REFERENCE_EXAMPLE,
      stdout: "Linux\n",
      stderr: "",
      truncated: false,
      ...RESULT_EXAMPLE,
    },
  });

export type RunResult = z.infer<typeof RunResultSchema>;

export const ChildResultSchema = z
  .object({
    child: ChildReferenceSchema,
    ...endingFields,
    problem: ProblemSchema.optional().describe(
      "The reason why the child failed; absent for a child that ended by itself.",
    ),
  })
  .openapi("ChildResult", {
    description: "How a child ended.",
    example: { child: REFERENCE_EXAMPLE, ...RESULT_EXAMPLE },
  });

export const RunProblemSchema = z
  .object({
    ...problemFields,
    ...z.object({ ...waitedFields, ...endingFields }).partial().shape,
  })
  .openapi("RunProblem", {
    description:
      "The reason why a run failed. When a child had been placed, the fields of a result that it " +
      "left are beside it.",
    example: PROBLEM_EXAMPLE,
  });
