/** The child spec: what a caller asks to be run. Unknown keys are refused everywhere. */
import { z } from "@hono/zod-openapi";
import {
  ARGUMENTS_PER_VARIABLE,
  ArgumentSchema,
  EnvironmentSchema,
  MAX_ARGUMENT_TOTAL_BYTES,
  MAX_ARGUMENTS,
  POINTER_BYTES,
} from "./arguments.ts";
import { FunctionSchema, TaskSchema } from "./functions.ts";
import { LimitsSchema, MAX_DEADLINE_MS, MAX_WAIT_MS, SandboxLevelSchema } from "./limits.ts";
import { PoolNameSchema, SlotIdSchema } from "./names.ts";
import {
  FileSchema,
  PATH_RULE,
  record,
  StdinSchema,
  utf8Bytes,
  WorkspacePathSchema,
} from "./values.ts";

/** So many files go in with a child, and so many patterns may ask for files that come out. */
export const MAX_FILES = 1_000;

const MAX_ARTIFACT_PATTERNS = 100;

const specFields = {
  command: z
    .array(ArgumentSchema)
    .min(1, "expected at least the program to run")
    .max(MAX_ARGUMENTS)
    .optional()
    .openapi({
      description: "Program and arguments. There is no shell.",
      example: ["uname", "-a"],
    }),
  function: FunctionSchema.optional(),
  task: TaskSchema.optional(),
  env: EnvironmentSchema.optional().openapi({
    description: "Variables added to the child's minimal environment.",
  }),
  stdin: StdinSchema.optional().openapi({
    description:
      "What the child reads on its standard input: data, or `{open: true}` for what is sent to `/children/{id}/stdin`. By default a call's input is empty and a placed child's is open.",
  }),
  files: record(WorkspacePathSchema, FileSchema)
    .refine(
      (files) => Object.keys(files).length <= MAX_FILES,
      `expected at most ${MAX_FILES} files`,
    )
    .optional()
    .openapi({
      description: `Files for the workspace, by ${PATH_RULE}.`,
      example: { "in.txt": { text: "hello" } },
    }),
  artifacts: z
    .array(WorkspacePathSchema)
    .max(MAX_ARTIFACT_PATTERNS)
    .optional()
    .openapi({
      description:
        "Files to keep after the end, as patterns of paths in the workspace: `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these (ASCII). Regular files only.",
      example: ["*.png"],
    }),
  limits: LimitsSchema.optional(),
  sandbox: SandboxLevelSchema.optional().openapi({
    description: "The least level that will do. Members below it are not asked.",
  }),
  outputEncoding: z.enum(["text", "base64"]).default("text").openapi({
    description:
      "How `stdout` and `stderr` events carry bytes: UTF-8 text, invalid bytes replaced, or base64.",
  }),
  waitMs: z.int().min(0).max(MAX_WAIT_MS).default(0).openapi({
    description:
      "Milliseconds to wait for a slot where all are taken. 0 answers at once. A wait that is too long ends with `queue_timeout`.",
  }),
  deadlineMs: z.int().min(1).max(MAX_DEADLINE_MS).optional().openapi({
    description:
      "Milliseconds from the arrival of the request until the child is stopped, the wait for a slot included. A call has the operator's default (5 minutes) unless told; a placed child has none.",
  }),
  link: z
    .boolean()
    .default(false)
    .openapi({ description: "Stop the child when the caller's connection goes." }),
  labels: record(z.string().max(63), z.string().max(255))
    .optional()
    .openapi({ description: "Words of the caller's own, shown with the child." }),
};

export const KINDS = ["command", "function", "task"] as const;

export type ChildKind = (typeof KINDS)[number];

function exactlyOneKind(
  spec: Partial<Record<ChildKind, unknown>> & { readonly env?: Record<string, string> | undefined },
  context: z.RefinementCtx,
): void {
  const given = KINDS.filter((kind) => spec[kind] !== undefined);
  if (given.length !== 1) {
    context.addIssue({
      code: "custom",
      message: `expected exactly one of ${KINDS.join(", ")}; got ${given.length === 0 ? "none" : given.join(" and ")}`,
    });
  }
  const command = Array.isArray(spec.command) ? (spec.command as string[]) : [];
  if (command[0] === "" || command[0]?.startsWith("-")) {
    context.addIssue({
      code: "custom",
      path: ["command", 0],
      message: `expected the program to run; got ${command[0] === "" ? "an empty string" : `an option, ${JSON.stringify(command[0].slice(0, 100))}`}`,
    });
  }
  const variables = Object.keys(spec.env ?? {}).length;
  if (command.length + ARGUMENTS_PER_VARIABLE * variables > MAX_ARGUMENTS) {
    context.addIssue({
      code: "custom",
      message: `expected at most ${MAX_ARGUMENTS} arguments, of which a variable counts as ${ARGUMENTS_PER_VARIABLE}; got ${command.length} arguments and ${variables} variables`,
    });
  }
  const bytes = [...command, ...Object.entries(spec.env ?? {}).flat()].reduce(
    (sum, text) => sum + utf8Bytes(text) + POINTER_BYTES,
    0,
  );
  if (bytes > MAX_ARGUMENT_TOTAL_BYTES) {
    context.addIssue({
      code: "custom",
      message: `expected at most ${MAX_ARGUMENT_TOTAL_BYTES} bytes of arguments and variables; got ${bytes}; longer data goes in by stdin or files`,
    });
  }
}

const specDocs = { oneOf: KINDS.map((kind) => ({ required: [kind] })) };

export const ChildSpecSchema = z
  .strictObject(specFields)
  .superRefine(exactlyOneKind)
  .openapi("ChildSpec", specDocs);

/** A child spec as the server holds it, defaults filled in. */
export type ChildSpec = z.output<typeof ChildSpecSchema>;

/** A child spec as a caller writes it. */
export type ChildSpecInput = z.input<typeof ChildSpecSchema>;

export const MemberChildSpecSchema = z
  .strictObject({
    pool: PoolNameSchema,
    ...specFields,
    slot: SlotIdSchema.optional().openapi({
      description: "A slot that this member granted to the same caller; the child takes it.",
    }),
  })
  .superRefine(exactlyOneKind)
  .openapi("MemberChildSpec", {
    description: "A child spec that names its pool, for this member only.",
    ...specDocs,
  });

export const SlotRequestSchema = z
  .strictObject({ pool: PoolNameSchema, waitMs: specFields.waitMs, sandbox: specFields.sandbox })
  .openapi("SlotRequest", { description: "Asks this member for a slot in one of its pools." });
