/** Operations on one child. Its id names its member, so any member can forward to the owner. */
import { createRoute, z } from "@hono/zod-openapi";
import { bytes, json, jsonBody } from "../bodies.ts";
import { ChildResultSchema } from "../schemas/endings.ts";
import { TerminalSizeSchema } from "../schemas/limits.ts";
import { ChildIdSchema } from "../schemas/names.ts";
import { SignalRequestSchema, WrittenSchema } from "../schemas/resources.ts";
import { ChildSchema } from "../schemas/state/children.ts";
import { headers } from "./headers.ts";
import { wholeNumber } from "./queries.ts";
import { needs, ok, problems, rawStdout, stdout, stream } from "./responses.ts";

const tags = ["Children"];
const params = z.object({ id: ChildIdSchema });

/** One day. A longer grace is most likely a mistake of units. */
const MAX_GRACE_MS = 86_400_000;
const unreachable = ["child_not_found", "child_forgotten", "member_lost"] as const;

export const getChild = createRoute({
  operationId: "getChild",
  method: "get",
  path: "/children/{id}",
  tags,
  security: needs("call", "observe"),
  summary: "Get one child; any member answers",
  description:
    "A child that has ended is remembered for a minute, unless the operator says otherwise. " +
    "Later the answer is `child_forgotten`.",
  request: { params },
  responses: ok("The child.", ChildSchema, unreachable),
});

export const stopChild = createRoute({
  operationId: "stopChild",
  method: "delete",
  path: "/children/{id}",
  tags,
  security: needs("call"),
  summary: "Stop a child: TERM, grace, KILL",
  description:
    "The member answers at once. The child's stream ends with `failed` / `cancelled`. A child " +
    "that has already ended stays as it is.",
  request: {
    params,
    query: z.strictObject({
      graceMs: wholeNumber(0, MAX_GRACE_MS).optional().openapi({
        description:
          "Milliseconds between TERM and KILL; 0 kills at once. Default: the member's grace.",
        type: "integer",
        minimum: 0,
        maximum: MAX_GRACE_MS,
        example: 1_000,
      }),
    }),
  },
  responses: {
    202: {
      description: "The child, which is being stopped.",
      content: json(ChildSchema),
      headers: headers(),
    },
    ...problems(unreachable),
  },
});

const eventsHeaders = z.object({
  "last-event-id": z
    .string()
    .regex(/^\d{1,15}$/, "expected the id of an event: a number")
    .optional()
    .describe(
      "The id of the last event that the reader has; the answer begins behind it. Default: the " +
        "first event that is kept.",
    ),
  // The handler refuses another form, because only it knows the length for `Content-Range`.
  range: z
    .string()
    .optional()
    .openapi({
      description:
        "With the raw form: `bytes=N-`, N being the first byte of stdout to send, counted from " +
        "0. Of a child that runs or has failed, N may be one behind the last byte. Of one that " +
        "has succeeded, the answer is then 416, with the header `pool-ending`. The raw form " +
        "refuses other ranges; a stream ignores them. Default: `bytes=0-`.",
      example: "bytes=1048576-",
    }),
});

export const childEvents = createRoute({
  operationId: "childEvents",
  method: "get",
  path: "/children/{id}/events",
  tags,
  security: needs("call", "observe"),
  summary: "Attach to a child's events, or to its stdout",
  description:
    "The events begin with the first one that is kept, or behind `Last-Event-ID`. With " +
    "`Accept: application/octet-stream` the answer is the raw form: the child's stdout. The " +
    "event `gap` reports output that the reader has missed. The raw form has no events: it " +
    "answers `events_expired` when its first byte is no longer kept, and breaks the connection " +
    "of a reader that falls behind.",
  request: { params, headers: eventsHeaders },
  responses: {
    200: {
      description: `${stream.description} In the raw form: ${rawStdout}`,
      content: { ...stream.content, ...stdout },
      headers: headers("pool-child-id", "pool-ending"),
    },
    204: {
      description:
        "`Last-Event-ID` is the id of the terminal event, so no more events come. An " +
        "`EventSource` stops here.",
      headers: headers(),
    },
    206: {
      description: "With `Range`: stdout from that byte on, in the raw form.",
      content: stdout,
      headers: headers("pool-child-id", "pool-ending", "content-range"),
    },
    ...problems([...unreachable, "not_acceptable", "events_expired", "range_not_satisfiable"]),
  },
});

/** 25 seconds: proxies cut a silent connection after 30 at the earliest, as a rule. */
const MAX_RESULT_WAIT_MS = 25_000;

export const childResult = createRoute({
  operationId: "childResult",
  method: "get",
  path: "/children/{id}/result",
  tags,
  security: needs("call", "observe"),
  summary: "Get how a child ended, or wait for its end",
  description:
    "For a caller whose answer was lost, of a child that any operation has started. The answer " +
    "has no output: `/children/{id}/events` has what is kept of it. A child that has ended is " +
    "remembered for a minute, unless the operator says otherwise.",
  request: {
    params,
    query: z.strictObject({
      waitMs: wholeNumber(0, MAX_RESULT_WAIT_MS).optional().openapi({
        description: "Milliseconds to wait for the end of a child that still runs. Default 0.",
        type: "integer",
        minimum: 0,
        maximum: MAX_RESULT_WAIT_MS,
        example: 100,
      }),
    }),
  },
  responses: {
    200: {
      description: "How the child ended. A child that failed has a `problem`.",
      content: json(ChildResultSchema),
      headers: headers("pool-child-id"),
    },
    204: { description: "The child still runs. Ask again.", headers: headers("pool-child-id") },
    ...problems(unreachable),
  },
});

export const writeStdin = createRoute({
  operationId: "writeStdin",
  method: "post",
  path: "/children/{id}/stdin",
  tags,
  security: needs("call"),
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
        .describe("`true` ends the input after this body. Default `false`."),
    }),
    body: { content: bytes("The bytes for the child.") },
  },
  responses: {
    200: {
      description: "The child's pipe took the whole body.",
      content: json(WrittenSchema),
      headers: headers(),
    },
    ...problems([...unreachable, "stdin_closed", "cancelled"]),
  },
});

export const signalChild = createRoute({
  operationId: "signalChild",
  method: "post",
  path: "/children/{id}/signal",
  tags,
  security: needs("call"),
  summary: "Send a signal to the child's program",
  description: "The signal goes to the program alone. A child that has ended stays as it is.",
  request: { params, body: jsonBody(SignalRequestSchema) },
  responses: {
    202: { description: "The child.", content: json(ChildSchema), headers: headers() },
    ...problems([...unreachable, "unsupported_media_type"]),
  },
});

export const resizeTty = createRoute({
  operationId: "resizeTty",
  method: "post",
  path: "/children/{id}/tty",
  tags,
  security: needs("call"),
  summary: "Set the size of the terminal of a child",
  description:
    "The kernel sends SIGWINCH to the programs in front. Of sizes that come faster than the " +
    "child takes them, the last one counts. A child without `tty` in its spec has no such thing: " +
    "`not_found`. One that has ended stays as it is.",
  request: { params, body: jsonBody(TerminalSizeSchema) },
  responses: {
    202: { description: "The child.", content: json(ChildSchema), headers: headers() },
    ...problems([...unreachable, "not_found", "unsupported_media_type"]),
  },
});

export const getChildFile = createRoute({
  operationId: "getChildFile",
  method: "get",
  path: "/children/{id}/files/{path}",
  tags,
  security: needs("call", "observe"),
  summary: "Get an artifact that the child left, while its member remembers the child",
  description: "The child kept its artifacts by the patterns of its spec.",
  request: {
    params: params.extend({
      path: z.string().openapi({
        description: "The artifact's path in the workspace. Slashes need no escape.",
        example: "film.txt",
      }),
    }),
  },
  responses: {
    200: {
      description: "The bytes of the artifact.",
      content: bytes("The artifact."),
      headers: headers(),
    },
    ...problems([...unreachable, "not_found"]),
  },
});
