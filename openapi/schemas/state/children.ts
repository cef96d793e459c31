/** A child as answers and events show it. */
import { z } from "@hono/zod-openapi";
import { CHILD_STATUSES } from "../../names.ts";
import { UsageSchema } from "../endings.ts";
import { ProgressSchema } from "../events.ts";
import { SandboxLevelSchema } from "../limits.ts";
import { MemberNameSchema } from "../names.ts";
import { ErrorCodeSchema } from "../problem.ts";
import { drainEndsAt, nextCursor, REFERENCE_EXAMPLE, referenceFields } from "../resources.ts";
import { ChildKindSchema } from "../spec.ts";
import { orNull } from "../values.ts";

export const ChildStatusSchema = z.enum(CHILD_STATUSES).openapi("ChildStatus", {
  description:
    "What a child does. `running`: its program runs or is being started. `stopping`: it is being " +
    "stopped. `ended`: its process is gone, and its artifacts can be read.",
  example: "running",
});

export const CHILD_EXAMPLE = {
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
  name: "make",
  command: ["make", "all"],
  progress: { done: 3, total: 10 },
  usage: { wallMs: 1_200, cpuMs: 900.5, maxRssBytes: 20_971_520 },
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
    name: z
      .string()
      .optional()
      .describe(
        "What runs, in short, for people: the file name of the program, the name of the task, or " +
          "the export of the function; at most 128 characters. Absent from a member of an " +
          "earlier version.",
      ),
    command: z
      .array(z.string().describe("An argument, or its beginning."))
      .optional()
      .describe(
        "The program and its arguments, for the caller that placed the child and the scope " +
          "`admin`. What goes beyond 1,024 characters together is left out, and `…` takes its " +
          "place. Absent for a function or a task, and for other callers.",
      ),
    progress: ProgressSchema.optional().describe(
      "The last progress that the child reported. Absent when there is none.",
    ),
    usage: UsageSchema.optional().describe(
      "The resources that the child took, so far while it runs. Absent when they are not " +
        "measured yet.",
    ),
  })
  .openapi("Child", { description: "One sandboxed process of a pool.", example: CHILD_EXAMPLE });

export type ChildInfo = z.infer<typeof ChildSchema>;

const childListFields = {
  children: z.array(ChildSchema).describe("The children of this page."),
  nextCursor,
};

export const ChildListSchema = z.object(childListFields).openapi("ChildList", {
  description: "Children of one member.",
  example: { children: [CHILD_EXAMPLE] },
});

export const DrainingMemberSchema = z
  .object({ member: MemberNameSchema, drainEndsAt })
  .openapi("DrainingMember", {
    description: "A member that drains: it admits no child, and finishes those that run.",
    example: { member: "m1", drainEndsAt: "2026-01-31T12:00:30.000Z" },
  });

export const PoolChildListSchema = z
  .object({
    ...childListFields,
    unreachable: z
      .array(MemberNameSchema)
      .describe("Members that did not answer in time. Their children are missing from the list."),
    draining: z
      .array(DrainingMemberSchema)
      .optional()
      .describe("Members that drain. Absent from a member of an earlier version."),
  })
  .openapi("PoolChildList", {
    description: "Children of one pool, on all its members.",
    example: { children: [CHILD_EXAMPLE], unreachable: [], draining: [] },
  });
