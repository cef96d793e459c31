/** The resources in answers: references to children, slots and counts. */
import { z } from "@hono/zod-openapi";
import { MAX_SLOTS_WAITED_FOR } from "../limits.ts";
import { SIGNALS } from "../names.ts";
import { SandboxLevelSchema } from "./limits.ts";
import {
  ChildIdSchema,
  MemberNameSchema,
  PoolNameSchema,
  RuntimeNameSchema,
  SlotIdSchema,
  TaskNameSchema,
} from "./names.ts";
import { LoadSchema } from "./problem.ts";
import { commonFields } from "./spec.ts";

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

export const referenceFields = {
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

export const drainEndsAt = z.iso
  .datetime()
  .optional()
  .describe("With `draining`: the time when children that still run are stopped.");

export const nextCursor = z
  .string()
  .optional()
  .describe("The `cursor` of the next page; absent on the last one.");

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

export const CallerSchema = z
  .object({
    name: z
      .string()
      .describe("The name of the token, `jwt:` and the `sub` of a JWT, or `anyone` without both."),
    scopes: z
      .array(z.string().describe("A scope, such as `observe`. More may come."))
      .describe("The scopes of the token."),
    pools: z
      .array(PoolNameSchema)
      .optional()
      .describe("The pools that the token is for. Absent for all pools."),
  })
  .openapi("Caller", {
    description: "The caller, as the member knows it by its token.",
    example: { name: "ci", scopes: ["call"], pools: ["pipeline"] },
  });
