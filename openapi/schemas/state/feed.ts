/** The events of the feed: what happens in the pools, on all their members. */
import { z } from "@hono/zod-openapi";
import { SandboxLevelSchema } from "../limits.ts";
import { MemberNameSchema, PoolNameSchema } from "../names.ts";
import { LoadSchema } from "../problem.ts";
import { drainEndsAt, LOAD_EXAMPLE, MEMBER_URL } from "../resources.ts";
import { orNull } from "../values.ts";
import { CHILD_EXAMPLE, ChildSchema } from "./children.ts";

const typed = <T extends string>(type: T) =>
  z.literal(type).openapi({ description: `The type of the event: \`${type}\`.` });

export const ResetEventSchema = z
  .object({
    type: typed("reset"),
    member: MemberNameSchema.optional().describe(
      "The member whose state is sent again. Absent for that of all members.",
    ),
  })
  .openapi("ResetEvent", {
    description:
      "The reader forgets what it knows of the member's pools, load, queues and children, or of " +
      "all members: their state follows, and then their changes. The first event of a feed that " +
      "does not resume, and of one whose reader was too slow.",
    example: { type: "reset" },
  });

export const SyncedEventSchema = z
  .object({
    type: typed("synced"),
    member: MemberNameSchema.optional().describe(
      "The member whose state is complete. Absent for that of all members.",
    ),
  })
  .openapi("SyncedEvent", {
    description: "The state that a `reset` announced is complete. Changes follow.",
    example: { type: "synced" },
  });

export const MemberStateSchema = z
  .enum(["up", "draining", "sick", "lost", "left"])
  .openapi("MemberState", {
    description:
      "`up`: it admits children. `draining`: it admits none, and finishes those that run. " +
      "`sick`: it can start none, and is still asked about its children. `lost`: the registry " +
      "has not heard of it, or it does not answer. `left`: it is no longer registered.",
    example: "up",
  });

export const memberStateFields = {
  state: MemberStateSchema,
  detail: z.string().optional().describe("For people: the reason for a state other than `up`."),
  startedAt: z.iso
    .datetime()
    .optional()
    .describe("The time when the member's process started. Absent while it does not answer."),
  drainEndsAt,
};

export const MemberEventSchema = z
  .object({
    type: typed("member"),
    member: MemberNameSchema,
    url: z.string().describe("The URL of the member."),
    version: z.string().describe("The version of the member's program."),
    sandbox: SandboxLevelSchema.describe("The level of the member's sandbox."),
    pools: z
      .record(z.string(), z.int().describe("Its slots in this pool."))
      .describe("The member's slots, by pool."),
    ...memberStateFields,
  })
  .openapi("MemberEvent", {
    description: "A member, when it is first seen and when a fact of it changes.",
    example: {
      type: "member",
      member: "m1",
      url: MEMBER_URL,
      version: "0.2.0",
      sandbox: "full",
      pools: { pipeline: 5 },
      state: "up",
      startedAt: "2026-01-31T12:00:00.000Z",
    },
  });

export const LoadEventSchema = z
  .object({
    type: typed("load"),
    member: MemberNameSchema,
    pool: PoolNameSchema,
    load: LoadSchema,
    warm: z
      .int()
      .min(0)
      .optional()
      .describe("The processes that wait for functions. Absent for a pool without any."),
  })
  .openapi("LoadEvent", {
    description: "The load of one pool on one member, when it has changed; ten a second at most.",
    example: { type: "load", member: "m1", pool: "pipeline", load: LOAD_EXAMPLE, warm: 1 },
  });

export const QueueEventSchema = z
  .object({
    type: typed("queue"),
    member: MemberNameSchema,
    pool: PoolNameSchema,
    queued: z.int().min(0).describe("The callers that wait for a slot of this member."),
    oldestAt: orNull(z.iso.datetime()).describe(
      "The time when the first of them began to wait; null when none waits.",
    ),
  })
  .openapi("QueueEvent", {
    description: "The queue of one pool on one member, when it has changed; ten a second at most.",
    example: {
      type: "queue",
      member: "m1",
      pool: "pipeline",
      queued: 1,
      oldestAt: "2026-01-31T12:00:00.000Z",
    },
  });

export const ChildChangeSchema = z
  .enum(["placed", "progress", "stopping", "ended"])
  .openapi("ChildChange", {
    description:
      "`placed`: the child got its slot. `progress`: it reported progress, or its usage was " +
      "measured. `stopping`: it is being stopped. `ended`: its process is gone.",
    example: "placed",
  });

export const ChildEventSchema = z
  .object({
    type: typed("child"),
    change: ChildChangeSchema,
    child: ChildSchema,
    waitedMs: z
      .number()
      .optional()
      .describe("Milliseconds for which the caller waited for the slot. Absent when unknown."),
  })
  .openapi("ChildEvent", {
    description:
      "A child, as it is now. A change that another one follows within 100 milliseconds may be " +
      "left out: a short child may show `ended` alone.",
    example: { type: "child", change: "placed", child: CHILD_EXAMPLE, waitedMs: 0.1 },
  });

export const FeedEventSchema = z
  .discriminatedUnion("type", [
    ResetEventSchema,
    SyncedEventSchema,
    MemberEventSchema,
    LoadEventSchema,
    QueueEventSchema,
    ChildEventSchema,
  ])
  .openapi("FeedEvent", {
    description:
      "An event of the feed. More types may come, so a client skips a type that it does not know.",
    example: { type: "reset" },
  });

export type FeedEvent = z.infer<typeof FeedEventSchema>;
