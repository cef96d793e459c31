/** Operations on the slots of the member that is asked. */
import { createRoute, z } from "@hono/zod-openapi";
import { json, jsonBody } from "../bodies.ts";
import { SlotEventSchema } from "../schemas/events.ts";
import { SlotIdSchema } from "../schemas/names.ts";
import { SlotCountSchema, SlotRequestSchema, SlotSchema } from "../schemas/resources.ts";
import { headers } from "./headers.ts";
import { needs, problems, waiting } from "./responses.ts";

const tags = ["This member"];

export const requestSlot = createRoute({
  operationId: "requestSlot",
  method: "post",
  path: "/slots",
  tags,
  security: needs("call"),
  summary: "Wait for a slot of this member and hold it for a short time",
  description:
    "Callers take turns, and each caller's requests are served in the order of their arrival. A " +
    "closed connection withdraws the request and returns a slot that was granted meanwhile. A " +
    "slot that no child takes in time becomes free by itself. A request with `count` waits for " +
    "several slots in one stream: it takes turns with the caller's other requests, and " +
    "`PATCH` of its `Location` changes the number.",
  request: { body: jsonBody(SlotRequestSchema) },
  responses: {
    200: {
      description:
        "`Accept: text/event-stream` or none gives a stream: `queued` with each change of the " +
        "position, then `granted` or `failed`.",
      content: { "text/event-stream": { schema: SlotEventSchema } },
      headers: headers("location"),
    },
    201: {
      description: "`Accept: application/json` gives the slot once it is granted.",
      content: json(SlotSchema),
      headers: headers("location"),
    },
    ...problems([
      ...waiting,
      "not_acceptable",
      "unsupported_media_type",
      "sandbox_unavailable",
      "cancelled",
    ]),
  },
});

export const changeSlotRequest = createRoute({
  operationId: "changeSlotRequest",
  method: "patch",
  path: "/slots/{id}",
  tags,
  security: needs("call"),
  summary: "Change the number of slots that a request waits for",
  description:
    "The id is that of a request with `count`: its `Location`. Slots that were granted before do " +
    "not count.",
  request: { params: z.object({ id: SlotIdSchema }), body: jsonBody(SlotCountSchema) },
  responses: {
    200: {
      description: "The number that the member agreed to: less where its queue is full.",
      content: json(SlotCountSchema),
      headers: headers(),
    },
    ...problems(["slot_not_found", "unsupported_media_type"]),
  },
});

export const releaseSlot = createRoute({
  operationId: "releaseSlot",
  method: "delete",
  path: "/slots/{id}",
  tags,
  security: needs("call"),
  summary: "Return a slot that this member holds",
  description: "Only the caller that holds a slot may return it before its time is over.",
  request: { params: z.object({ id: SlotIdSchema }) },
  responses: {
    204: { description: "The slot is free.", headers: headers() },
    ...problems(["slot_not_found"]),
  },
});
