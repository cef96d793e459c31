/** The child spec: what a caller asks to be run, and how. */
import { z } from "@hono/zod-openapi";
import { MAX_DEADLINE_MS, MAX_WAIT_MS } from "../limits.ts";
import { CommandSchema, commandIssues, EnvironmentSchema } from "./arguments.ts";
import { FunctionSchema, TaskSchema } from "./functions.ts";
import { LimitsSchema, SandboxLevelSchema } from "./limits.ts";
import { PoolNameSchema, SlotIdSchema } from "./names.ts";
import { FileSchema, PATH_RULE, record, StdinSchema, WorkspacePathSchema } from "./values.ts";

/** The most files that go in with one child. */
export const MAX_FILES = 1_000;

const MAX_ARTIFACT_PATTERNS = 100;

const specFields = {
  command: CommandSchema.optional().openapi({
    description: "The program and its arguments. There is no shell.",
    example: ["uname", "-a"],
  }),
  function: FunctionSchema.optional(),
  task: TaskSchema.optional(),
  env: EnvironmentSchema.optional().describe(
    "Variables that are added to the child's minimal environment.",
  ),
  stdin: StdinSchema.optional().describe(
    "The child's standard input: data, or `{open: true}` for what callers send to " +
      "`/children/{id}/stdin`. By default a call's input is empty and a placed child's is open.",
  ),
  files: record(WorkspacePathSchema, FileSchema)
    .refine(
      (files) => Object.keys(files).length <= MAX_FILES,
      `expected at most ${MAX_FILES} files`,
    )
    .optional()
    .openapi({
      description: `Files for the workspace, each by ${PATH_RULE}.`,
      example: { "in.txt": { text: "hello" } },
    }),
  artifacts: z
    .array(WorkspacePathSchema)
    .max(MAX_ARTIFACT_PATTERNS)
    .optional()
    .openapi({
      description:
        "Patterns for the files of the workspace that the member keeps after the child's end. " +
        "`*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these " +
        "characters (ASCII). Only regular files are kept.",
      example: ["*.png"],
    }),
  limits: LimitsSchema.optional(),
  sandbox: SandboxLevelSchema.optional().describe(
    "The weakest sandbox that is acceptable. Members with a weaker one are skipped.",
  ),
  outputEncoding: z
    .enum(["text", "base64"])
    .default("text")
    .describe(
      "How `stdout` and `stderr` events carry bytes: as UTF-8 text in which U+FFFD replaces " +
        "invalid bytes, or as base64.",
    ),
  waitMs: z
    .int()
    .min(0)
    .max(MAX_WAIT_MS)
    .default(0)
    .describe(
      "Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes " +
        "longer ends with `queue_timeout`.",
    ),
  deadlineMs: z
    .int()
    .min(1)
    .max(MAX_DEADLINE_MS)
    .optional()
    .describe(
      "Milliseconds from the arrival of the request until the child is stopped; the wait for a " +
        "slot counts. By default a call has the operator's deadline (5 minutes), and a placed " +
        "child has none.",
    ),
  link: z.boolean().default(false).describe("Stop the child when its caller's connection closes."),
  labels: record(z.string().max(63), z.string().max(255))
    .optional()
    .describe("The caller's own names and values. Answers show them with the child."),
};

export const KINDS = ["command", "function", "task"] as const;

export type ChildKind = (typeof KINDS)[number];

type SpecToCheck = Partial<Record<ChildKind, unknown>> & {
  readonly env?: Readonly<Record<string, string>> | undefined;
};

function checkKind(spec: SpecToCheck, context: z.RefinementCtx): void {
  const kinds = KINDS.filter((kind) => spec[kind] !== undefined);
  if (kinds.length !== 1) {
    const got = kinds.length === 0 ? "none" : kinds.join(" and ");
    context.addIssue({
      code: "custom",
      message: `expected exactly one of ${KINDS.join(", ")}; got ${got}`,
    });
  }
  const command = Array.isArray(spec.command) ? (spec.command as string[]) : [];
  for (const issue of commandIssues(command, spec.env ?? {}))
    context.addIssue({ code: "custom", ...issue });
}

const specDocs = { oneOf: KINDS.map((kind) => ({ required: [kind] })) };

export const ChildSpecSchema = z
  .strictObject(specFields)
  .superRefine(checkKind)
  .openapi("ChildSpec", specDocs);

/** A child spec as the server keeps it, with all defaults. */
export type ChildSpec = z.output<typeof ChildSpecSchema>;

/** A child spec as a caller writes it. */
export type ChildSpecInput = z.input<typeof ChildSpecSchema>;

export const MemberChildSpecSchema = z
  .strictObject({
    pool: PoolNameSchema,
    ...specFields,
    slot: SlotIdSchema.optional().describe(
      "A slot that this member granted to the same caller. The child takes it.",
    ),
  })
  .superRefine(checkKind)
  .openapi("MemberChildSpec", {
    description: "A child spec that names its pool, for this member only.",
    ...specDocs,
  });

export const SlotRequestSchema = z
  .strictObject({ pool: PoolNameSchema, waitMs: specFields.waitMs, sandbox: specFields.sandbox })
  .openapi("SlotRequest", { description: "Asks this member for a slot in one of its pools." });
