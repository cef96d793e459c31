/** What answers tell: children, slots, pools, members, loads, endings. */
import { z } from "@hono/zod-openapi";
import { ErrorCodeSchema, FunctionErrorSchema, LoadSchema, ProblemSchema } from "./errors.ts";
import { SandboxLevelSchema } from "./limits.ts";
import {
  ChildIdSchema,
  MemberNameSchema,
  PoolNameSchema,
  SlotIdSchema,
  TaskNameSchema,
} from "./names.ts";
import { KINDS } from "./spec.ts";

export const SlotSchema = z
  .object({
    id: SlotIdSchema,
    pool: PoolNameSchema,
    member: MemberNameSchema,
    heldUntil: z.iso
      .datetime()
      .openapi({ description: "When it returns by itself unless a child has taken it." }),
  })
  .openapi("Slot", {
    description: "The right to run one child on this member, held for a moment.",
  });

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

export const SignalSchema = z
  .strictObject({ signal: z.enum(SIGNALS, `expected one of ${SIGNALS.join(", ")}`) })
  .openapi("Signal");

export const ChildStatusSchema = z.enum(["running", "stopping", "ended"]).openapi("ChildStatus");

export type ChildStatus = z.infer<typeof ChildStatusSchema>;

export const ChildReferenceSchema = z
  .object({
    id: ChildIdSchema,
    pool: PoolNameSchema,
    member: MemberNameSchema,
    url: z.string().openapi({ description: "The child, at its own member." }),
  })
  .openapi("ChildReference");

export type ChildReference = z.infer<typeof ChildReferenceSchema>;

export const ChildSchema = ChildReferenceSchema.extend({
  status: ChildStatusSchema,
  kind: z.enum(KINDS),
  startedAt: z.iso.datetime(),
  deadlineAt: z
    .union([z.iso.datetime(), z.null()])
    .openapi({ description: "When it will be stopped; null if never." }),
  endedAt: z
    .union([z.iso.datetime(), z.null()])
    .openapi({ description: "When its process was gone; null while it runs." }),
  exitCode: z.union([z.int(), z.null()]).openapi({
    description: "Of a command that has ended: its exit code, 128 + n when signal n ended it.",
  }),
  code: z
    .union([ErrorCodeSchema, z.null()])
    .openapi({ description: "Of a child that failed: the code of its problem." }),
  labels: z.record(z.string(), z.string()),
  sandbox: SandboxLevelSchema,
}).openapi("Child");

export type ChildInfo = z.infer<typeof ChildSchema>;

export const ChildListSchema = z.object({ children: z.array(ChildSchema) }).openapi("ChildList");

export const PoolChildListSchema = ChildListSchema.extend({
  unreachable: z.array(MemberNameSchema).openapi({
    description: "Members that did not answer in time; their children are not in the list.",
  }),
}).openapi("PoolChildList");

export const CountSchema = z
  .object({ member: MemberNameSchema, pools: z.record(z.string(), LoadSchema) })
  .openapi("Count", {
    example: { member: "m1", pools: { pipeline: { active: 2, max: 5, queued: 0 } } },
  });

export type Count = z.infer<typeof CountSchema>;

export const PoolMemberSchema = z
  .object({
    member: MemberNameSchema,
    url: z.string(),
    version: z.string(),
    sandbox: SandboxLevelSchema,
    load: z
      .union([LoadSchema, z.null()])
      .openapi({ description: "Null when the member did not answer in time." }),
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
    tasks: z
      .array(TaskNameSchema)
      .openapi({ description: "Tasks that at least one of its members has." }),
    runtimes: z
      .array(z.string())
      .openapi({ description: "Runtimes that at least one of its members has." }),
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
  value: z
    .any()
    .optional()
    .openapi({ description: "What the function returned; null for undefined. In `encoding`." }),
  encoding: z
    .literal("devalue")
    .optional()
    .openapi({ description: "How `value` is written, where that is not plain JSON." }),
  exitCode: z
    .int()
    .optional()
    .openapi({ description: "The command's exit code; 128 + n when signal n ended it." }),
  usage: UsageSchema,
  artifacts: z.array(ArtifactSchema),
};

/** What the waiting form adds to an ending: the child and its output. */
const waitedFields = {
  child: ChildReferenceSchema,
  stdout: z.string(),
  stderr: z.string(),
  truncated: z.boolean().openapi({
    description:
      "True when more output came than an answer holds (1 MiB for each of stdout and stderr).",
  }),
};

export const CallResultSchema = z
  .object({ ...waitedFields, ...endingFields })
  .openapi("CallResult");

export type CallResult = z.infer<typeof CallResultSchema>;

export const CallProblemSchema = ProblemSchema.extend(
  z.object({ ...waitedFields, ...endingFields, error: FunctionErrorSchema }).partial().shape,
).openapi("CallProblem", {
  description:
    "A problem; where a child had been placed, with what it left: the same fields as a result.",
});

export const HealthSchema = z
  .object({
    status: z.enum(["ok", "unavailable"]),
    member: MemberNameSchema,
    sandbox: SandboxLevelSchema,
    detail: z.string().optional(),
  })
  .openapi("Health");
