/** The resources in answers: children, slots and members. */
import { z } from "@hono/zod-openapi";
import { MAX_SLOTS_WAITED_FOR } from "../limits.ts";
import { CHILD_STATUSES, SIGNALS } from "../names.ts";
import { SandboxLevelSchema } from "./limits.ts";
import {
  ChildIdSchema,
  MemberNameSchema,
  PoolNameSchema,
  RuntimeNameSchema,
  SlotIdSchema,
  TaskNameSchema,
} from "./names.ts";
import { ErrorCodeSchema, LoadSchema } from "./problem.ts";
import { ChildKindSchema, commonFields } from "./spec.ts";
import { orNull } from "./values.ts";

export const MEMBER_URL = "http://127.0.0.1:7400";
const CHILD_ID = "m1.5f0c2c8d4b1e4f2f9a3f6f0f2d6c1b7e";
export const LOAD_EXAMPLE = { active: 2, max: 5, queued: 0 };

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
    description: "The right to run one child on one member. It is held for a short time.",
    example: {
      id: "m1.0a6b7f5e9d0c4c1fb7a9d2f1c3e5a7b9",
      pool: "pipeline",
      member: "m1",
      heldUntil: "2026-01-31T12:00:05.000Z",
    },
  });

export type Slot = z.infer<typeof SlotSchema>;

const slotCount = z.int().max(MAX_SLOTS_WAITED_FOR);

export const SlotRequestSchema = z
  .strictObject({
    pool: PoolNameSchema.describe("The pool of the slot."),
    waitMs: commonFields.waitMs,
    sandbox: commonFields.sandbox,
    count: slotCount
      .min(1)
      .optional()
      .describe(
        "Slots that the caller could use: it gets them one after the other in one stream, which " +
          "stays open. Only the form of a stream has it. Default: one slot.",
      ),
  })
  .openapi("SlotRequest", {
    description: "A request for a slot in one of the member's pools, or for several.",
    example: { pool: "pipeline", waitMs: 10_000 },
  });

export const SlotCountSchema = z
  .strictObject({
    count: slotCount.min(0).describe("Slots to wait for from now on."),
  })
  .openapi("SlotCount", {
    description: "The number of slots that a request waits for.",
    example: { count: 20 },
  });

export const SignalNameSchema = z
  .enum(SIGNALS, `expected one of ${SIGNALS.join(", ")}`)
  .openapi("SignalName", { description: "The name of a signal of Linux.", example: "SIGUSR1" });

export const SignalRequestSchema = z
  .strictObject({ signal: SignalNameSchema.describe("The signal to send.") })
  .openapi("SignalRequest", {
    description: "A signal for a child's program.",
    example: { signal: "SIGUSR1" },
  });

export const ChildStatusSchema = z.enum(CHILD_STATUSES).openapi("ChildStatus", {
  description:
    "What a child does. `running`: its program runs or is being started. `stopping`: it is being " +
    "stopped. `ended`: its process is gone, and its artifacts can be read.",
  example: "running",
});

const referenceFields = {
  id: ChildIdSchema,
  pool: PoolNameSchema.describe("The pool of the child."),
  member: MemberNameSchema.describe("The member that runs the child."),
  url: z.string().describe("The URL of the child on its own member."),
};

export const REFERENCE_EXAMPLE = {
  id: CHILD_ID,
  pool: "pipeline",
  member: "m1",
  url: `${MEMBER_URL}/children/${CHILD_ID}`,
} as const;

export const ChildReferenceSchema = z.object(referenceFields).openapi("ChildReference", {
  description: "A child, and where it runs.",
  example: REFERENCE_EXAMPLE,
});

export type ChildReference = z.infer<typeof ChildReferenceSchema>;

const CHILD = {
  ...REFERENCE_EXAMPLE,
  owner: "ci",
  status: "running",
  kind: "command",
  startedAt: "2026-01-31T12:00:00.000Z",
  deadlineAt: "2026-01-31T12:05:00.000Z",
  endedAt: null,
  exitCode: null,
  code: null,
  labels: { job: "nightly" },
  sandbox: "full",
} as const;

export const ChildSchema = z
  .object({
    ...referenceFields,
    owner: z
      .string()
      .describe(
        "The caller that placed the child: the name of its token, `jwt:` and the `sub` of its " +
          "JWT, or `anyone` where callers need no token.",
      ),
    status: ChildStatusSchema,
    kind: ChildKindSchema,
    startedAt: z.iso.datetime().describe("The time when the child got its slot."),
    deadlineAt: orNull(z.iso.datetime()).describe(
      "The time when the child will be stopped; null if it has no deadline.",
    ),
    endedAt: orNull(z.iso.datetime()).describe(
      "The time when the child's process ended; null while it runs.",
    ),
    exitCode: orNull(z.int()).openapi({
      description:
        "The exit code of a child that has ended; 128 + n when signal n ended it. Null while it " +
        "runs, and for a function that returned or threw.",
      format: "int32",
    }),
    code: orNull(ErrorCodeSchema).describe(
      "The code of the problem of a child that failed; null otherwise.",
    ),
    labels: z
      .record(z.string(), z.string().describe("The label's value."))
      .describe("The names and values that the caller gave the child."),
    sandbox: SandboxLevelSchema.describe("The level of the child's sandbox."),
  })
  .openapi("Child", { description: "One sandboxed process of a pool.", example: CHILD });

export type ChildInfo = z.infer<typeof ChildSchema>;

export const nextCursor = z
  .string()
  .optional()
  .describe("The `cursor` of the next page; absent on the last one.");

const childListFields = {
  children: z.array(ChildSchema).describe("The children of this page."),
  nextCursor,
};

export const ChildListSchema = z.object(childListFields).openapi("ChildList", {
  description: "Children of one member.",
  example: { children: [CHILD] },
});

export const PoolChildListSchema = z
  .object({
    ...childListFields,
    unreachable: z
      .array(MemberNameSchema)
      .describe("Members that did not answer in time. Their children are missing from the list."),
  })
  .openapi("PoolChildList", {
    description: "Children of one pool, on all its members.",
    example: { children: [CHILD], unreachable: [] },
  });

export const CountSchema = z
  .object({
    member: MemberNameSchema.describe("The member that answers."),
    pools: z.record(z.string(), LoadSchema).describe("The load of the member, by pool."),
  })
  .openapi("Count", {
    description: "The load of one member.",
    example: { member: "m1", pools: { pipeline: LOAD_EXAMPLE } },
  });

export type Count = z.infer<typeof CountSchema>;

export const TasksSchema = z
  .object({
    member: MemberNameSchema.describe("The member that answers."),
    tasks: z.array(TaskNameSchema).describe("The tasks that the operator installed."),
    runtimes: z.array(RuntimeNameSchema).describe("The runtimes that work on the member."),
  })
  .openapi("Tasks", {
    description: "The tasks and runtimes of one member.",
    example: { member: "m1", tasks: ["thumbnails"], runtimes: ["node", "python"] },
  });

export type Tasks = z.infer<typeof TasksSchema>;

export const WrittenSchema = z
  .object({ bytes: z.int().min(0).describe("The number of bytes that the child's pipe took.") })
  .openapi("Written", {
    description: "The receipt for a body that a child took.",
    example: { bytes: 1_048_576 },
  });

export const HealthStatusSchema = z.enum(["ok", "unavailable"]).openapi("HealthStatus", {
  description: "`ok`: the member does its work. `unavailable`: it does not.",
  example: "ok",
});

export const HealthSchema = z
  .object({
    status: HealthStatusSchema,
    member: MemberNameSchema.describe("The member that answers."),
    sandbox: SandboxLevelSchema.describe("The level of the member's sandbox."),
    detail: z.string().optional().describe("For people: the reason why it is unavailable."),
  })
  .openapi("Health", {
    description: "The health of one member.",
    example: { status: "ok", member: "m1", sandbox: "full" },
  });
