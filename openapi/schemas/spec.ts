/** The child spec: what a caller asks to be run, and how. */
import { z } from "@hono/zod-openapi";
import {
  MAX_ARCHIVE_ENTRIES,
  MAX_DEADLINE_MS,
  MAX_FILES,
  MAX_WAIT_MS,
  tooManyFiles,
} from "../limits.ts";
import { PATH_KEYWORDS, PATH_RULE, WorkspacePathSchema } from "../paths.ts";
import { CommandSchema, commandIssues, EnvironmentSchema } from "./arguments.ts";
import { FunctionWorkSchema, TaskWorkSchema } from "./functions.ts";
import { LabelsSchema } from "./labels.ts";
import {
  LimitsSchema,
  SandboxLevelSchema,
  type TerminalSize,
  TerminalSizeSchema,
} from "./limits.ts";
import { IdempotencyKeySchema, PoolNameSchema, SlotIdSchema } from "./names.ts";
import {
  ArchiveSchema,
  documented,
  FileContentSchema,
  NotifySchema,
  OutputEncodingSchema,
  record,
  StdinSchema,
} from "./values.ts";

const MAX_ARTIFACT_PATTERNS = 100;

const commandFields = {
  tty: TerminalSizeSchema.optional().describe(
    "Gives the command a terminal of this size, with `TERM` set to `xterm-256color` unless `env` " +
      "has it. Its stdin is typed: Ctrl-C is the byte 3, and the end of the input becomes " +
      "Ctrl-D. All that the terminal shows comes as `stdout`; there is no `stderr`. Default: no " +
      "terminal.",
  ),
};

/** The fields that the variants of a spec share. */
export const commonFields = {
  env: EnvironmentSchema.optional(),
  stdin: StdinSchema.optional().describe(
    "The child's standard input. Default: empty for a call, open for a placed child.",
  ),
  files: documented(
    record(WorkspacePathSchema, FileContentSchema, PATH_KEYWORDS)
      .superRefine((files, context) => {
        const count = Object.keys(files).length;
        if (count > MAX_FILES) context.addIssue({ code: "custom", message: tooManyFiles(count) });
      })
      .optional(),
    {
      description: `Files for the workspace, each by ${PATH_RULE}. Default: none.`,
      example: { "in.txt": { text: "hello" } },
      maxProperties: MAX_FILES,
    },
  ),
  archive: ArchiveSchema.optional().describe(
    `An archive of at most ${MAX_ARCHIVE_ENTRIES} files and folders for the workspace. They keep ` +
      "their permissions. Links and devices are refused. Default: none.",
  ),
  artifacts: z
    .array(WorkspacePathSchema.describe("A pattern, relative to the workspace."))
    .max(MAX_ARTIFACT_PATTERNS)
    .optional()
    .openapi({
      description:
        "Patterns for the files of the workspace that the member keeps after the child's end. " +
        "`*` and `?` stay within a name, `**` crosses folders, `[a-z]` is one of these " +
        "characters (ASCII). Only regular files are kept. Default: none.",
      example: ["*.png"],
    }),
  limits: LimitsSchema.optional().describe(
    "Limits that are tighter than the pool's own. Default: those of the pool.",
  ),
  sandbox: SandboxLevelSchema.optional().describe(
    "The weakest sandbox that is acceptable. Members with a weaker one are skipped. Default: any.",
  ),
  outputEncoding: OutputEncodingSchema.default("text").openapi({
    description: "How `stdout` and `stderr` events carry bytes. Default `text`.",
    default: "text",
  }),
  waitMs: z
    .int()
    .min(0)
    .max(MAX_WAIT_MS)
    .default(0)
    .describe(
      "Milliseconds to wait for a slot when all are taken; 0 does not wait. A wait that takes " +
        "longer ends with `queue_timeout`. Default 0.",
    ),
  deadlineMs: z
    .int()
    .min(1)
    .max(MAX_DEADLINE_MS)
    .optional()
    .describe(
      "Milliseconds from the arrival of the request until the child is stopped; the wait for a " +
        "slot counts. Default: the pool's deadline; without it the member's for a call " +
        "(5 minutes), and none for a placed child.",
    ),
  link: z
    .boolean()
    .default(false)
    .describe("Stop the child when its caller's connection closes. Default false."),
  idempotencyKey: IdempotencyKeySchema.optional().describe(
    "A key that starts one child at most; the header `Idempotency-Key` says the same. Default: " +
      "none.",
  ),
  labels: LabelsSchema.optional(),
  notify: NotifySchema.optional().describe(
    "Where the member posts the ending of the child. Default: nobody is notified.",
  ),
};

const FUNCTION_DOCS = "The function to call.";
const TASK_DOCS = "The task to call.";

const specFields = {
  command: CommandSchema.optional(),
  function: FunctionWorkSchema.optional().describe(FUNCTION_DOCS),
  task: TaskWorkSchema.optional().describe(TASK_DOCS),
  ...commandFields,
  ...commonFields,
};

export const KINDS = ["command", "function", "task"] as const;

export const ChildKindSchema = z.enum(KINDS).openapi("ChildKind", {
  description: "What a child runs: a command, a function or a task.",
  example: "command",
});

export type ChildKind = (typeof KINDS)[number];

type SpecToCheck = Partial<Record<ChildKind, unknown>> & {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly tty?: TerminalSize | undefined;
};

function checkKind(spec: SpecToCheck, context: z.RefinementCtx): void {
  const kinds = KINDS.filter((kind) => spec[kind] !== undefined);
  const add = (message: string, path: string[] = []) =>
    context.addIssue({ code: "custom", path, message });
  if (kinds.length !== 1)
    add(`expected exactly one of ${KINDS.join(", ")}; got ${kinds.join(" and ") || "none"}`);
  if (spec.tty !== undefined && kinds[0] !== undefined && spec.command === undefined)
    add(`expected a command, which alone can have a terminal; got a ${kinds[0]}`, ["tty"]);
  const command = Array.isArray(spec.command) ? (spec.command as string[]) : [];
  for (const issue of commandIssues(command, spec.env ?? {}))
    context.addIssue({ code: "custom", ...issue });
}

const EXAMPLES = {
  command: { command: ["uname", "-a"] },
  function: { function: { source: "(a, b) => a + b", args: [1211, 1] } },
  task: { task: { name: "thumbnails", args: [{ width: 320 }] } },
} as const;

/** A refusal of one object names the key at fault, so one is parsed. The document has variants. */
const variantDocs = (prefix: "" | "Member") => ({
  type: "object",
  oneOf: ["Command", "Function", "Task"].map((kind) => ({
    $ref: `#/components/schemas/${prefix}${kind}Spec`,
  })),
});

export const CommandSpecSchema = z
  .strictObject({ command: CommandSchema, ...commandFields, ...commonFields })
  .openapi("CommandSpec", { description: "Runs a program.", example: EXAMPLES.command });

export const FunctionSpecSchema = z
  .strictObject({ function: FunctionWorkSchema.describe(FUNCTION_DOCS), ...commonFields })
  .openapi("FunctionSpec", { description: "Calls a function.", example: EXAMPLES.function });

export const TaskSpecSchema = z
  .strictObject({ task: TaskWorkSchema.describe(TASK_DOCS), ...commonFields })
  .openapi("TaskSpec", { description: "Calls a task.", example: EXAMPLES.task });

export const ChildSpecSchema = documented(
  z.strictObject(specFields).superRefine(checkKind).openapi("ChildSpec"),
  {
    description: "What to run, and how: a command, a function or a task.",
    example: EXAMPLES.command,
    ...variantDocs(""),
  },
);

/** A child spec as the server keeps it, with all defaults. */
export type ChildSpec = z.output<typeof ChildSpecSchema>;

/** A child spec as a caller writes it. */
export type ChildSpecInput = z.input<typeof ChildSpecSchema>;

/** The keys of a child spec that this version accepts, those of `limits` behind a dot. */
export const SPEC_KEYS: readonly string[] = [
  ...Object.keys(specFields),
  ...Object.keys(LimitsSchema.shape).map((key) => `limits.${key}`),
];

const memberFields = {
  pool: PoolNameSchema.describe("The pool of the child."),
  slot: SlotIdSchema.optional().describe(
    "A slot that this member granted to the same caller. The child takes it. Default: any free " +
      "one.",
  ),
};

export const MemberCommandSpecSchema = z
  .strictObject({ command: CommandSchema, ...commandFields, ...commonFields, ...memberFields })
  .openapi("MemberCommandSpec", {
    description: "Runs a program on one member.",
    example: { pool: "pipeline", ...EXAMPLES.command },
  });

export const MemberFunctionSpecSchema = z
  .strictObject({
    function: FunctionWorkSchema.describe(FUNCTION_DOCS),
    ...commonFields,
    ...memberFields,
  })
  .openapi("MemberFunctionSpec", {
    description: "Calls a function on one member.",
    example: { pool: "pipeline", ...EXAMPLES.function },
  });

export const MemberTaskSpecSchema = z
  .strictObject({ task: TaskWorkSchema.describe(TASK_DOCS), ...commonFields, ...memberFields })
  .openapi("MemberTaskSpec", {
    description: "Calls a task on one member.",
    example: { pool: "pipeline", ...EXAMPLES.task },
  });

export const MemberChildSpecSchema = documented(
  z
    .strictObject({ ...specFields, ...memberFields })
    .superRefine(checkKind)
    .openapi("MemberChildSpec"),
  {
    description: "A child spec that names its pool, for one member only.",
    example: { pool: "pipeline", ...EXAMPLES.command },
    ...variantDocs("Member"),
  },
);
