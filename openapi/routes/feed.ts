/** Operations that watch the pools. Any member answers for all members. */
import { createRoute, z } from "@hono/zod-openapi";
import { LAST_EVENT_HEADER } from "../names.ts";
import { MemberNameSchema, PoolNameSchema } from "../schemas/names.ts";
import { FeedEventSchema } from "../schemas/state/feed.ts";
import { HistorySchema } from "../schemas/state/history.ts";
import { headers } from "./headers.ts";
import { repeatable } from "./queries.ts";
import { needs, ok, problems } from "./responses.ts";

const tags = ["Pools"];

const TYPES = ["member", "load", "queue", "child"] as const;

const watched = {
  pool: repeatable(PoolNameSchema, 100).openapi({
    description: "Only this pool; it may be repeated. Default: all pools that the token is for.",
    type: "array",
    items: { $ref: "#/components/schemas/PoolName" },
    maxItems: 100,
    example: ["pipeline"],
  }),
  member: MemberNameSchema.optional().openapi({
    description: "Only this member. Default: all members.",
  }),
};

export const feed = createRoute({
  operationId: "feed",
  method: "get",
  path: "/events",
  tags,
  security: needs("call", "observe"),
  summary: "Watch what happens in the pools, on all members",
  description:
    "The state of the members, their loads and queues, and the children, and then each change. " +
    "Without the scope `observe` the children are the caller's own ones. `Last-Event-ID` resumes " +
    "at the member that gave the id, for about a minute; otherwise the feed begins again with " +
    "`reset`. So it does for a reader that is too slow, and where the token's rights change.",
  request: {
    query: z.strictObject({
      ...watched,
      type: repeatable(z.enum(TYPES, `expected one of ${TYPES.join(", ")}`), TYPES.length).openapi({
        description:
          "Only events of this type, `reset` and `synced`; it may be repeated. Default: all types.",
        type: "array",
        items: { type: "string", description: "The type of an event.", enum: [...TYPES] },
        maxItems: TYPES.length,
        example: ["member", "load"],
      }),
    }),
    headers: z.object({
      [LAST_EVENT_HEADER]: z
        .string()
        .max(200)
        .optional()
        .describe("The id of the last event that the reader has. Default: none."),
    }),
  },
  responses: {
    200: {
      description: "The events.",
      content: { "text/event-stream": { schema: FeedEventSchema } },
      headers: headers(),
    },
    ...problems(["not_found", "pool_not_found", "member_lost", "draining", "not_acceptable"]),
  },
});

export const history = createRoute({
  operationId: "history",
  method: "get",
  path: "/history",
  tags,
  security: needs("observe"),
  summary: "Count what happened in the pools in the last 30 minutes",
  description:
    "Members keep the counts in memory. They are asked, and all together have 2 seconds to answer.",
  request: {
    query: z.strictObject({
      ...watched,
      since: z.iso.datetime().optional().openapi({
        description: "Only steps that end after this time. Default: 30 minutes ago.",
      }),
    }),
  },
  responses: ok("The counts.", HistorySchema, ["not_found", "pool_not_found", "member_lost"]),
});
