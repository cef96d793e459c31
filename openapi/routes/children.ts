/** Operations on one child. Its id names its member, so any member can forward to the owner. */
import { createRoute, z } from "@hono/zod-openapi";
import { bytes, json, jsonBody } from "../bodies.ts";
import { ChildIdSchema } from "../schemas/names.ts";
import { ChildSchema, SignalRequestSchema, WrittenSchema } from "../schemas/resources.ts";
import { ok, problems, stream } from "./responses.ts";

const tags = ["Children"];
const params = z.object({ id: ChildIdSchema });

const unreachable = ["invalid_request", "child_not_found", "member_lost"] as const;

export const getChild = createRoute({
  operationId: "getChild",
  method: "get",
  path: "/children/{id}",
  tags,
  summary: "Get one child; any member answers",
  request: { params },
  responses: ok("The child.", ChildSchema, unreachable),
});

export const stopChild = createRoute({
  operationId: "stopChild",
  method: "delete",
  path: "/children/{id}",
  tags,
  summary: "Stop a child: TERM, grace, KILL",
  description:
    "The member answers at once. The child's stream ends with `failed` / `cancelled`. A child " +
    "that has already ended stays as it is.",
  request: {
    params,
    query: z.strictObject({
      graceMs: z
        .string()
        .regex(/^\d{1,9}$/, "expected a whole number of milliseconds")
        .optional()
        .openapi({
          description:
            "Milliseconds between TERM and KILL; 0 kills at once. Default: the member's grace.",
          type: "integer",
        }),
    }),
  },
  responses: {
    202: { description: "The child, which is being stopped.", content: json(ChildSchema) },
    ...problems(unreachable),
  },
});

const eventsHeaders = z.object({
  "last-event-id": z
    .string()
    .regex(/^\d{1,15}$/, "expected the id of an event: a number")
    .optional()
    .describe("The id of the last event that the reader has."),
  range: z
    .string()
    .regex(
      /^bytes=\d{1,15}-$/,
      "expected bytes=N-, N being the first byte of stdout that is wanted",
    )
    .optional()
    .openapi({
      description: "With the raw form: the first byte of stdout to send. The first of all is 0.",
      example: "bytes=1048576-",
    }),
});

export const childEvents = createRoute({
  operationId: "childEvents",
  method: "get",
  path: "/children/{id}/events",
  tags,
  summary:
    "Attach to a child: read its events from the first one that is kept, or after " +
    "`Last-Event-ID`; or read its stdout",
  description:
    "The event `gap` reports output that the reader has missed. The raw form has no events: it " +
    "answers `events_expired` when its first byte is no longer kept, and breaks the connection " +
    "of a reader that falls behind.",
  request: { params, headers: eventsHeaders },
  responses: {
    200: {
      description:
        `${stream.description} \`Accept: application/octet-stream\` gives the child's stdout; it ` +
        "ends like the raw form of a call.",
      content: { ...stream.content, ...bytes },
    },
    204: {
      description:
        "`Last-Event-ID` is the id of the terminal event, so no more events come. An " +
        "`EventSource` stops here.",
    },
    206: {
      description:
        "With `Range`: stdout from that byte on. The end is not known yet, so `Content-Range` " +
        "names a last byte that is never reached.",
      content: bytes,
    },
    ...problems(["invalid_request", "child_not_found", "events_expired", "member_lost"]),
  },
});

export const writeStdin = createRoute({
  operationId: "writeStdin",
  method: "post",
  path: "/children/{id}/stdin",
  tags,
  summary: "Send bytes to a child's standard input, no faster than the child reads",
  description:
    "The child gets the bodies one after the other. The input stays open for the next body " +
    "unless `end` is true. With `stdin: {open: true, once: true}` there is one body: its " +
    "end is the end of the input, and the child is stopped when it breaks off.",
  request: {
    params,
    query: z.strictObject({
      end: z
        .enum(["true", "false"])
        .default("false")
        .describe("Whether the input ends after this body."),
    }),
    body: { content: bytes },
  },
  responses: {
    200: {
      description: "The child's pipe took the whole body.",
      content: json(WrittenSchema),
    },
    ...problems(["invalid_request", "child_not_found", "stdin_closed", "member_lost"]),
  },
});

export const signalChild = createRoute({
  operationId: "signalChild",
  method: "post",
  path: "/children/{id}/signal",
  tags,
  summary: "Send a signal to the child's program",
  request: { params, body: jsonBody(SignalRequestSchema) },
  responses: {
    202: { description: "The child.", content: json(ChildSchema) },
    ...problems(unreachable),
  },
});

export const getChildFile = createRoute({
  operationId: "getChildFile",
  method: "get",
  path: "/children/{id}/files/{path}",
  tags,
  summary: "Get an artifact that the child left, while its member remembers the child",
  request: {
    params: params.extend({
      path: z.string().describe("The artifact's path in the workspace. Slashes need no escape."),
    }),
  },
  responses: {
    200: { description: "The bytes of the artifact.", content: bytes },
    ...problems(["invalid_request", "child_not_found", "not_found", "member_lost"]),
  },
});
