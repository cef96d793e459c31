/** The resources in answers: children, slots, pools, members and endings. */
import { z } from "@hono/zod-openapi";
import { SandboxLevelSchema } from "./limits.ts";
import {
  ChildIdSchema,
  MemberNameSchema,
  PoolNameSchema,
  SlotIdSchema,
  TaskNameSchema,
} from "./names.ts";
import { ErrorCodeSchema, FunctionErrorSchema, LoadSchema, ProblemSchema } from "./problem.ts";
import { KINDS } from "./spec.ts";

/** A value that may be absent; its key is always there. */
const orNull = <S extends z.ZodType>(schema: S) => z.union([schema, z.null()]);

export const SlotSchema = z
  .object({
    id: SlotIdSchema,
    pool: PoolNameSchema,
    member: MemberNameSchema,
    heldUntil: z.iso
      .datetime()
      .describe("The slot becomes free at this time unless a child has taken it."),
  })
  .openapi("Slot", {
    description: "The right to run one child on this member. It is held for a short time.",
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
    url: z.string().describe("The URL of the child on its own member."),
  })
  .openapi("ChildReference");

export type ChildReference = z.infer<typeof ChildReferenceSchema>;

export const ChildSchema = ChildReferenceSchema.extend({
  status: ChildStatusSchema,
  kind: z.enum(KINDS),
  startedAt: z.iso.datetime(),
  deadlineAt: orNull(z.iso.datetime()).describe(
    "The time when the child will be stopped; null if it has no deadline.",
  ),
  endedAt: orNull(z.iso.datetime()).describe(
    "The time when the child's process ended; null while it runs.",
  ),
  exitCode: orNull(z.int()).describe(
    "The exit code of a command that has ended; 128 + n when signal n ended it.",
  ),
  code: orNull(ErrorCodeSchema).describe("The code of the problem of a child that failed."),
  labels: z.record(z.string(), z.string()),
  sandbox: SandboxLevelSchema,
}).openapi("Child");

export type ChildInfo = z.infer<typeof ChildSchema>;

/** Where the next page of a listing begins. */
const nextCursor = z
  .string()
  .optional()
  .describe("The `cursor` of the next page; absent on the last page.");

export const ChildListSchema = z
  .object({ children: z.array(ChildSchema), nextCursor })
  .openapi("ChildList");

export const PoolChildListSchema = ChildListSchema.extend({
  unreachable: z
    .array(MemberNameSchema)
    .describe("Members that did not answer in time. Their children are missing from the list."),
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
    load: orNull(LoadSchema).describe("The member's load; null when it did not answer in time."),
  })
  .openapi("PoolMember");

export type PoolMember = z.infer<typeof PoolMemberSchema>;

export const TasksSchema = z
  .object({
    member: MemberNameSchema,
    tasks: z.array(TaskNameSchema),
    runtimes: z.array(z.string()),
  })
  .openapi("Tasks", { description: "The tasks and runtimes of this member." });

export type Tasks = z.infer<typeof TasksSchema>;

export const PoolSchema = z
  .object({
    pool: PoolNameSchema,
    members: z.array(PoolMemberSchema),
    tasks: z.array(TaskNameSchema).describe("Tasks that at least one member of the pool has."),
    runtimes: z.array(z.string()).describe("Runtimes that at least one member of the pool has."),
  })
  .openapi("Pool");

export const PoolListSchema = z
  .object({
    pools: z.array(
      z.object({
        pool: PoolNameSchema,
        members: z.int().describe("The number of its members."),
        max: z.int().describe("The number of slots of all its members together."),
      }),
    ),
    nextCursor,
  })
  .openapi("PoolList");

export const UsageSchema = z
  .object({
    wallMs: z.number().describe("Milliseconds from placement to the end of the process."),
    cpuMs: orNull(z.number()).describe(
      "Milliseconds of user and system time of all processes of the child, with the start of " +
        "its sandbox; null when the member cannot measure it (a command without a cgroup).",
    ),
    maxRssBytes: orNull(z.int()).describe(
      "The most memory that all processes of the child and its workspace took at any time; " +
        "null when the member cannot measure it (a command without a cgroup).",
    ),
  })
  .openapi("Usage");

export type Usage = z.infer<typeof UsageSchema>;

export const ArtifactSchema = z.object({ path: z.string(), bytes: z.int() }).openapi("Artifact");

/** The ending of a child: the fields that `result`, `failed` and the JSON answer share. */
export const endingFields = {
  value: z
    .any()
    .optional()
    .describe("The value that the function returned; null for undefined. `encoding` says how."),
  encoding: z
    .literal("devalue")
    .optional()
    .describe("How `value` is written; absent for plain JSON."),
  exitCode: z.int().optional().describe("The command's exit code; 128 + n when signal n ended it."),
  usage: UsageSchema,
  artifacts: z.array(ArtifactSchema),
};

/** The JSON answer adds the child and its output to the ending. */
const waitedFields = {
  child: ChildReferenceSchema,
  stdout: z.string(),
  stderr: z.string(),
  truncated: z
    .boolean()
    .describe(
      "True when the child wrote more output than an answer has: 1 MiB each of stdout and stderr.",
    ),
};

export const CallResultSchema = z
  .object({ ...waitedFields, ...endingFields })
  .openapi("CallResult");

export type CallResult = z.infer<typeof CallResultSchema>;

export const CallProblemSchema = ProblemSchema.extend(
  z.object({ ...waitedFields, ...endingFields, error: FunctionErrorSchema }).partial().shape,
).openapi("CallProblem", {
  description:
    "A problem. When a child had been placed, the fields of a result that it left are beside it.",
});

export const HealthSchema = z
  .object({
    status: z.enum(["ok", "unavailable"]),
    member: MemberNameSchema,
    sandbox: SandboxLevelSchema,
    detail: z.string().optional(),
  })
  .openapi("Health");
