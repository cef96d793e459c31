/** What travels in bodies: the child spec, the child, pools, loads. Unknown keys are refused everywhere. */
import { z } from "@hono/zod-openapi";
import { ErrorCodeSchema, FunctionErrorSchema, LoadSchema, ProblemSchema } from "./errors.ts";

/** Consul allows these characters in the keys of service metadata, which carry the pool's name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const NAME_RULE = "1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit";

export const PoolNameSchema = z.string().regex(NAME, `expected a pool name: ${NAME_RULE}`).openapi("PoolName", { example: "pipeline" });
export const MemberNameSchema = z.string().regex(NAME, `expected a member name: ${NAME_RULE}`).openapi("MemberName", { example: "m1" });
const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.[0-9a-f]{32}$/;
export const ChildIdSchema = z
  .string()
  .regex(ID, "expected a child id: a member name, a dot, 32 hexadecimal digits")
  .openapi("ChildId", { example: "m1.5f0c2c8d4b1e4f2f9a3f6f0f2d6c1b7e" });

export const SlotIdSchema = z.string().regex(ID, "expected a slot id: a member name, a dot, 32 hexadecimal digits").openapi("SlotId");

/** The member's part of a child id. */
export function memberOfChild(id: string): string {
  return id.slice(0, id.lastIndexOf("."));
}

/** Linux refuses a longer single argument (MAX_ARG_STRLEN, 32 pages of 4 KiB, with its final NUL). */
const MAX_ARGUMENT_BYTES = 131_071;
/** bubblewrap takes 9,000 arguments, its own included. */
const MAX_ARGUMENTS = 8_000;
/** `--setenv NAME VALUE`. */
const ARGUMENTS_PER_VARIABLE = 3;
/** Linux takes a quarter of the stack's limit for arguments and variables, 2 MiB by default; a NUL and a pointer go with each. */
const MAX_ARGUMENT_TOTAL_BYTES = 1_048_576;
const POINTER_BYTES = 9;
/** A day: beyond it a wait is most likely a mistake of units. */
export const MAX_WAIT_MS = 86_400_000;
/** A week: beyond it a deadline is most likely a mistake of units. */
export const MAX_DEADLINE_MS = 604_800_000;

const noNul = (value: string) => !value.includes("\0");
const utf8Bytes = (value: string) => new TextEncoder().encode(value).length;

const ArgumentSchema = z
  .string()
  .refine(noNul, "expected a string without NUL characters")
  .refine(
    (value) => value.length <= MAX_ARGUMENT_BYTES && utf8Bytes(value) <= MAX_ARGUMENT_BYTES,
    `expected at most ${MAX_ARGUMENT_BYTES} bytes; longer data goes in by stdin`,
  );

/** A record that refuses the key `__proto__`, which the library would leave out without a word. */
function record<V extends z.ZodType>(key: z.ZodString, value: V): z.ZodRecord<z.ZodString, V> {
  const refuse = (given: unknown, context: z.RefinementCtx) => {
    if (typeof given === "object" && given !== null && Object.hasOwn(given, "__proto__"))
      context.addIssue({ code: "custom", message: "expected no key __proto__" });
    return given;
  };
  // To its users it is the record that it ends in.
  return z.preprocess(refuse, z.record(key, value)) as unknown as z.ZodRecord<z.ZodString, V>;
}

const EnvironmentSchema = record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected a variable name: letters, digits and _, not beginning with a digit"),
  ArgumentSchema,
).superRefine((variables, context) => {
  // Linux holds a variable as one string, NAME=VALUE.
  for (const [name, value] of Object.entries(variables)) {
    if (name.length + 1 + utf8Bytes(value) > MAX_ARGUMENT_BYTES)
      context.addIssue({
        code: "custom",
        path: [name],
        message: `expected at most ${MAX_ARGUMENT_BYTES} bytes with its name and =; longer data goes in by stdin`,
      });
  }
});

/** Deeper values cannot be written as JSON in every place that passes them on: the engine's own limit depends on the stack. */
export const MAX_NESTING = 1_000;

/** Whether arrays and objects of a JSON value are at most so many levels deep. Does not recurse. */
export function nestsAtMost(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; ; depth++) {
    level = level.filter((item) => typeof item === "object" && item !== null);
    if (level.length === 0) return true;
    if (depth === levels) return false;
    level = level.flatMap((item) => Object.values(item as object));
  }
}

const Base64Schema = z.base64("expected base64");

const DataSchema = z
  .union(
    [z.string().openapi({ description: "The text itself." }), z.strictObject({ text: z.string() }), z.strictObject({ base64: Base64Schema })],
    'expected a string, {"text": ...} or {"base64": ...}',
  )
  .openapi("Data", { description: "Text, or bytes in base64." });

export type Data = z.output<typeof DataSchema>;

const FileSchema = z
  .union(
    [...DataSchema.options, z.strictObject({ url: z.url({ protocol: /^https?$/, error: "expected an http or https URL" }) })],
    'expected a string, {"text": ...}, {"base64": ...} or {"url": ...}',
  )
  .openapi("File", { description: "Text, bytes in base64, or a URL that the member fetches, where its operator allows that." });

const StdinSchema = z
  .union(
    [
      ...DataSchema.options,
      z.strictObject({
        open: z.literal(true),
        once: z.literal(true).optional().openapi({
          description:
            "One body is all of the input, and its end the end of the input. A body that breaks off, or that does not begin within 10 seconds, stops the child: `cancelled`.",
        }),
      }),
    ],
    'expected a string, {"text": ...}, {"base64": ...}, {"open": true} or {"open": true, "once": true}',
  )
  .openapi("Stdin");

const argumentFields = {
  args: z
    .array(z.any())
    .refine((args) => nestsAtMost(args, MAX_NESTING), `expected values nested at most ${MAX_NESTING} levels deep`)
    .default([])
    .openapi({ description: "Values, passed in order; a context object follows them. In `encoding`.", type: "array", items: {} }),
  encoding: z.enum(["json", "devalue"]).default("json").openapi({
    description:
      "How `args` and the `value` of the result are written. `devalue` carries dates, maps, sets, big integers, typed arrays, undefined and cycles: the flattened form of the npm package devalue, as JSON.",
  }),
};

/** The hash by which a source is known: of its UTF-8 bytes. */
export const SourceHashSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, "expected sha256: and 64 hexadecimal digits")
  .openapi("SourceHash");
/** An identifier, as far as every runtime agrees on it. */
const ExportSchema = z.string().regex(/^[\p{ID_Start}$_][\p{ID_Continue}$]{0,254}$/u, "expected the name of an export");

export const FunctionSchema = z
  .strictObject({
    source: z.string().min(1).optional().openapi({
      description:
        "JavaScript or TypeScript source: one function expression, or with `export` an ES module. It sees the globals of its runtime and what is passed to it, nothing else. In another runtime, source of its language.",
      example: "(a, b) => a + b",
    }),
    hash: SourceHashSchema.optional().openapi({
      description:
        "Names the source by its content. A member that keeps it needs no `source`; one that does not answers `source_unknown`. With both, they have to match.",
    }),
    export: ExportSchema.optional().openapi({ description: "The function's name among the exports of a module; in Python the name of the function." }),
    runtime: z
      .string()
      .regex(NAME, `expected the name of a runtime: ${NAME_RULE}`)
      .default("node")
      .openapi({ description: "What runs it: `node`, `bun`, `python`, or what the operator has configured. `GET /pools/{pool}` lists them." }),
    ...argumentFields,
  })
  .refine(({ source, hash }) => source !== undefined || hash !== undefined, "expected source, or the hash of one that was sent before")
  .openapi("Function");

/** Names of tasks: those of the operator's files, without their ending. */
export const TaskNameSchema = z.string().regex(NAME, `expected a task name: ${NAME_RULE}`).openapi("TaskName", { example: "thumbnails" });

export const TaskSchema = z.strictObject({ name: TaskNameSchema, ...argumentFields }).openapi("Task", {
  description: "A function that the operator installed on the members. `GET /pools/{pool}` lists them.",
});

/** Longest path of a file in the workspace, as Linux has it (PATH_MAX), and longest name in it (NAME_MAX), in bytes. */
const MAX_PATH_BYTES = 4_095;
const MAX_NAME_BYTES = 255;
/** So many files go in with a child, and so many patterns may ask for files that come out. */
export const MAX_FILES = 1_000;
const MAX_ARTIFACT_PATTERNS = 100;

/** Whether a path stays in the workspace: relative, without empty names, `.` or `..`. */
export function isWorkspacePath(path: string): boolean {
  return (
    noNul(path) &&
    utf8Bytes(path) <= MAX_PATH_BYTES &&
    path.split("/").every((name) => name !== "" && name !== "." && name !== ".." && utf8Bytes(name) <= MAX_NAME_BYTES)
  );
}

const PATH_RULE = "a path in the workspace: relative, without empty names, . and ..";
const WorkspacePathSchema = z.string().refine(isWorkspacePath, `expected ${PATH_RULE}`);

export const LimitsSchema = z
  .strictObject({
    memoryBytes: z.int().min(16_777_216).openapi({
      description:
        "Memory of all its processes together, its workspace and temporary files included; no swap. Beyond it everything is killed: `out_of_memory`.",
    }),
    processes: z.int().min(32).max(32_768).openapi({ description: "Processes and threads at a time. Node alone takes 11." }),
    cpus: z.number().min(0.01).openapi({ description: "Share of the processors: 1.5 is one and a half of them." }),
    cpuMs: z.int().min(1).openapi({ description: "Processor time of all its processes together, in milliseconds. Beyond it: `deadline_exceeded`." }),
    workspaceBytes: z.int().min(65_536).openapi({ description: "Size of the workspace, and of its largest file." }),
    openFiles: z.int().min(32).openapi({ description: "Open descriptors of each process." }),
    outputBytes: z.int().min(0).openapi({ description: "Bytes of stdout and stderr together. Beyond it the child is stopped: `payload_too_large`." }),
    artifactBytes: z.int().min(0).openapi({ description: "Bytes of all artifacts together." }),
  })
  .partial()
  .openapi("Limits", { description: "Tighter limits than the pool's own. Asking for more than the pool allows is `invalid_request`." });
export type Limits = z.infer<typeof LimitsSchema>;

/** What a child is held by, the strongest first. */
export const SANDBOX_LEVELS = ["full", "no-cgroup", "none"] as const;
export const SandboxLevelSchema = z.enum(SANDBOX_LEVELS).openapi("SandboxLevel", {
  description: "`full`: namespaces, seccomp filter and cgroup. `no-cgroup`: no limits on memory and cpu of the whole child. `none`: a plain process.",
});
export type SandboxLevel = z.infer<typeof SandboxLevelSchema>;

/** Whether a level is at least as strong as the one demanded. */
export function isAtLeast(level: SandboxLevel, demanded: SandboxLevel): boolean {
  return SANDBOX_LEVELS.indexOf(level) <= SANDBOX_LEVELS.indexOf(demanded);
}

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
  env: EnvironmentSchema.optional().openapi({ description: "Variables added to the child's minimal environment." }),
  stdin: StdinSchema.optional().openapi({
    description:
      "What the child reads on its standard input: data, or `{open: true}` for what is sent to `/children/{id}/stdin`. By default a call's input is empty and a placed child's is open.",
  }),
  files: record(WorkspacePathSchema, FileSchema)
    .refine((files) => Object.keys(files).length <= MAX_FILES, `expected at most ${MAX_FILES} files`)
    .optional()
    .openapi({ description: `Files for the workspace, by ${PATH_RULE}.`, example: { "in.txt": { text: "hello" } } }),
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
  sandbox: SandboxLevelSchema.optional().openapi({ description: "The least level that will do. Members below it are not asked." }),
  outputEncoding: z.enum(["text", "base64"]).default("text").openapi({
    description: "How `stdout` and `stderr` events carry bytes: UTF-8 text, invalid bytes replaced, or base64.",
  }),
  waitMs: z.int().min(0).max(MAX_WAIT_MS).default(0).openapi({
    description: "Milliseconds to wait for a slot where all are taken. 0 answers at once. A wait that is too long ends with `queue_timeout`.",
  }),
  deadlineMs: z.int().min(1).max(MAX_DEADLINE_MS).optional().openapi({
    description:
      "Milliseconds from the arrival of the request until the child is stopped, the wait for a slot included. A call has the operator's default (5 minutes) unless told; a placed child has none.",
  }),
  link: z.boolean().default(false).openapi({ description: "Stop the child when the caller's connection goes." }),
  labels: record(z.string().max(63), z.string().max(255)).optional().openapi({ description: "Words of the caller's own, shown with the child." }),
};

const KINDS = ["command", "function", "task"] as const;
export type ChildKind = (typeof KINDS)[number];

function exactlyOneKind(spec: Partial<Record<ChildKind, unknown>> & { readonly env?: Record<string, string> | undefined }, context: z.RefinementCtx): void {
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
  const bytes = [...command, ...Object.entries(spec.env ?? {}).flat()].reduce((sum, text) => sum + utf8Bytes(text) + POINTER_BYTES, 0);
  if (bytes > MAX_ARGUMENT_TOTAL_BYTES) {
    context.addIssue({
      code: "custom",
      message: `expected at most ${MAX_ARGUMENT_TOTAL_BYTES} bytes of arguments and variables; got ${bytes}; longer data goes in by stdin or files`,
    });
  }
}

const specDocs = { oneOf: KINDS.map((kind) => ({ required: [kind] })) };

export const ChildSpecSchema = z.strictObject(specFields).superRefine(exactlyOneKind).openapi("ChildSpec", specDocs);
/** A child spec as the server holds it, defaults filled in. */
export type ChildSpec = z.output<typeof ChildSpecSchema>;
/** A child spec as a caller writes it. */
export type ChildSpecInput = z.input<typeof ChildSpecSchema>;

export const MemberChildSpecSchema = z
  .strictObject({
    pool: PoolNameSchema,
    ...specFields,
    slot: SlotIdSchema.optional().openapi({ description: "A slot that this member granted to the same caller; the child takes it." }),
  })
  .superRefine(exactlyOneKind)
  .openapi("MemberChildSpec", { description: "A child spec that names its pool, for this member only.", ...specDocs });

export const SlotRequestSchema = z
  .strictObject({ pool: PoolNameSchema, waitMs: specFields.waitMs, sandbox: specFields.sandbox })
  .openapi("SlotRequest", { description: "Asks this member for a slot in one of its pools." });

export const SlotSchema = z
  .object({
    id: SlotIdSchema,
    pool: PoolNameSchema,
    member: MemberNameSchema,
    heldUntil: z.iso.datetime().openapi({ description: "When it returns by itself unless a child has taken it." }),
  })
  .openapi("Slot", { description: "The right to run one child on this member, held for a moment." });
export type Slot = z.infer<typeof SlotSchema>;

export const SIGNALS = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGKILL",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGWINCH",
] as const;
export const SignalSchema = z.strictObject({ signal: z.enum(SIGNALS, `expected one of ${SIGNALS.join(", ")}`) }).openapi("Signal");

export const ChildStatusSchema = z.enum(["running", "stopping", "ended"]).openapi("ChildStatus");
export type ChildStatus = z.infer<typeof ChildStatusSchema>;

export const ChildReferenceSchema = z
  .object({ id: ChildIdSchema, pool: PoolNameSchema, member: MemberNameSchema, url: z.string().openapi({ description: "The child, at its own member." }) })
  .openapi("ChildReference");
export type ChildReference = z.infer<typeof ChildReferenceSchema>;

export const ChildSchema = ChildReferenceSchema.extend({
  status: ChildStatusSchema,
  kind: z.enum(KINDS),
  startedAt: z.iso.datetime(),
  deadlineAt: z.union([z.iso.datetime(), z.null()]).openapi({ description: "When it will be stopped; null if never." }),
  endedAt: z.union([z.iso.datetime(), z.null()]).openapi({ description: "When its process was gone; null while it runs." }),
  exitCode: z.union([z.int(), z.null()]).openapi({ description: "Of a command that has ended: its exit code, 128 + n when signal n ended it." }),
  code: z.union([ErrorCodeSchema, z.null()]).openapi({ description: "Of a child that failed: the code of its problem." }),
  labels: z.record(z.string(), z.string()),
  sandbox: SandboxLevelSchema,
}).openapi("Child");
export type ChildInfo = z.infer<typeof ChildSchema>;

export const ChildListSchema = z.object({ children: z.array(ChildSchema) }).openapi("ChildList");

export const PoolChildListSchema = ChildListSchema.extend({
  unreachable: z.array(MemberNameSchema).openapi({ description: "Members that did not answer in time; their children are not in the list." }),
}).openapi("PoolChildList");

export const CountSchema = z
  .object({ member: MemberNameSchema, pools: z.record(z.string(), LoadSchema) })
  .openapi("Count", { example: { member: "m1", pools: { pipeline: { active: 2, max: 5, queued: 0 } } } });
export type Count = z.infer<typeof CountSchema>;

export const PoolMemberSchema = z
  .object({
    member: MemberNameSchema,
    url: z.string(),
    version: z.string(),
    sandbox: SandboxLevelSchema,
    load: z.union([LoadSchema, z.null()]).openapi({ description: "Null when the member did not answer in time." }),
  })
  .openapi("PoolMember");
export type PoolMember = z.infer<typeof PoolMemberSchema>;

export const TasksSchema = z
  .object({
    member: MemberNameSchema,
    tasks: z.array(TaskNameSchema),
    runtimes: z.array(z.string()),
  })
  .openapi("Tasks", { description: "What this member can run by name." });
export type Tasks = z.infer<typeof TasksSchema>;

export const PoolSchema = z
  .object({
    pool: PoolNameSchema,
    members: z.array(PoolMemberSchema),
    tasks: z.array(TaskNameSchema).openapi({ description: "Tasks that at least one of its members has." }),
    runtimes: z.array(z.string()).openapi({ description: "Runtimes that at least one of its members has." }),
  })
  .openapi("Pool");

export const PoolListSchema = z
  .object({
    pools: z.array(
      z.object({
        pool: PoolNameSchema,
        members: z.int().openapi({ description: "How many members belong to it." }),
        max: z.int().openapi({ description: "Slots over all its members." }),
      }),
    ),
  })
  .openapi("PoolList");

export const UsageSchema = z
  .object({
    wallMs: z.number().openapi({ description: "From placement to the end of the process." }),
    cpuMs: z.union([z.number(), z.null()]).openapi({
      description:
        "User and system time of all its processes, the start of the sandbox included; null where the member cannot measure it (a command without a cgroup).",
    }),
    maxRssBytes: z.union([z.int(), z.null()]).openapi({
      description:
        "Most memory held at a time by all its processes, the workspace included; null where the member cannot measure it (a command without a cgroup).",
    }),
  })
  .openapi("Usage");
export type Usage = z.infer<typeof UsageSchema>;

export const ArtifactSchema = z.object({ path: z.string(), bytes: z.int() }).openapi("Artifact");

/** How a child ended: the part that `result`, `failed` and the waiting form share. */
export const endingFields = {
  value: z.any().optional().openapi({ description: "What the function returned; null for undefined. In `encoding`." }),
  encoding: z.literal("devalue").optional().openapi({ description: "How `value` is written, where that is not plain JSON." }),
  exitCode: z.int().optional().openapi({ description: "The command's exit code; 128 + n when signal n ended it." }),
  usage: UsageSchema,
  artifacts: z.array(ArtifactSchema),
};

/** What the waiting form adds to an ending: the child and its output. */
const waitedFields = {
  child: ChildReferenceSchema,
  stdout: z.string(),
  stderr: z.string(),
  truncated: z.boolean().openapi({ description: "True when more output came than an answer holds (1 MiB for each of stdout and stderr)." }),
};

export const CallResultSchema = z.object({ ...waitedFields, ...endingFields }).openapi("CallResult");
export type CallResult = z.infer<typeof CallResultSchema>;

export const CallProblemSchema = ProblemSchema.extend(z.object({ ...waitedFields, ...endingFields, error: FunctionErrorSchema }).partial().shape).openapi(
  "CallProblem",
  {
    description: "A problem; where a child had been placed, with what it left: the same fields as a result.",
  },
);

export const HealthSchema = z
  .object({ status: z.enum(["ok", "unavailable"]), member: MemberNameSchema, sandbox: SandboxLevelSchema, detail: z.string().optional() })
  .openapi("Health");
