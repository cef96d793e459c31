/** Pools and their members, as answers show them. */
import { z } from "@hono/zod-openapi";
import { SandboxLevelSchema } from "../limits.ts";
import { MemberNameSchema, PoolNameSchema, RuntimeNameSchema, TaskNameSchema } from "../names.ts";
import { LoadSchema } from "../problem.ts";
import { LOAD_EXAMPLE, MEMBER_URL, nextCursor } from "../resources.ts";
import { orNull } from "../values.ts";
import { memberStateFields } from "./feed.ts";

export const PoolMemberSchema = z
  .object({
    member: MemberNameSchema,
    url: z.string().describe("The URL of the member."),
    version: z.string().describe("The version of the member's program."),
    sandbox: SandboxLevelSchema.describe("The level of the member's sandbox."),
    load: orNull(LoadSchema).describe("The member's load; null when it did not answer in time."),
    ...z.object(memberStateFields).partial().shape,
  })
  .openapi("PoolMember", {
    description: "A member of a pool.",
    example: {
      member: "m1",
      url: MEMBER_URL,
      version: "0.2.0",
      sandbox: "full",
      load: LOAD_EXAMPLE,
    },
  });

export type PoolMember = z.infer<typeof PoolMemberSchema>;

export const PoolSchema = z
  .object({
    pool: PoolNameSchema,
    members: z.array(PoolMemberSchema).describe("The members of the pool."),
    tasks: z.array(TaskNameSchema).describe("Tasks that at least one member of the pool has."),
    runtimes: z
      .array(RuntimeNameSchema)
      .describe("Runtimes that at least one member of the pool has."),
  })
  .openapi("Pool", {
    description: "A pool with its members.",
    example: { pool: "pipeline", members: [], tasks: ["thumbnails"], runtimes: ["node"] },
  });

export const PoolSummarySchema = z
  .object({
    pool: PoolNameSchema,
    members: z.int().describe("The members that admit children."),
    max: z.int().describe("The slots of the members that admit children, together."),
    draining: z
      .int()
      .optional()
      .describe("The members that drain. Absent from a member of an earlier version."),
    lost: z
      .int()
      .optional()
      .describe("The members that are lost or sick. Absent from a member of an earlier version."),
  })
  .openapi("PoolSummary", {
    description: "A pool and its size.",
    example: { pool: "pipeline", members: 3, max: 15, draining: 1, lost: 0 },
  });

export const PoolListSchema = z
  .object({ pools: z.array(PoolSummarySchema).describe("The pools of this page."), nextCursor })
  .openapi("PoolList", {
    description: "The pools that have members.",
    example: { pools: [{ pool: "pipeline", members: 3, max: 15, draining: 1, lost: 0 }] },
  });
