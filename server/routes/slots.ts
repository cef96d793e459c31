/** Slots of this member: a caller waits for them, and holds each until a child takes it. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { PoolError } from "../../openapi/errors.ts";
import type { SlotEvent } from "../../openapi/events.ts";
import * as routes from "../../openapi/routes.ts";
import { type CallerContext, permit } from "../access/permissions.ts";
import { acceptOf } from "../answers/accept.ts";
import { EarlyStream, slotEvents } from "../answers/events.ts";
import { problemOf } from "../http/problems.ts";
import { type NodeContext, onClientGone } from "../http/request.ts";
import type { AppOptions } from "./context.ts";
import type { Register } from "./register.ts";
import { permittedSupervisor } from "./this-member.ts";

export function slotRoutes(on: Register, options: AppOptions): void {
  const { name, supervisors, logError } = options;

  /** The slots of the pool in which a client has this slot or subscription. */
  const holderOf = (c: CallerContext, id: string) => {
    for (const { slots, options } of supervisors.values()) {
      if (!slots.holds(id)) continue;
      permit(c, options.pool);
      return slots;
    }
    throw PoolError.of(
      "slot_not_found",
      `member ${name} holds no slot ${id}: it was taken, given back, or its time is over`,
    );
  };

  on(routes.requestSlot, async (c) => {
    const form = acceptOf(c, ["stream", "json"]);
    const { pool, count, ...wish } = c.req.valid("json");
    const supervisor = permittedSupervisor(c, pool, options);
    const client = c.get("caller").name;
    if (count !== undefined) {
      if (form === "json")
        throw PoolError.of(
          "invalid_request",
          "/count: expected Accept: text/event-stream; got application/json",
        );
      const subscription = supervisor.subscribe(client, count, wish);
      onClientGone(c, () => subscription.close());
      c.env.outgoing.setHeader("location", `/slots/${subscription.id}`);
      return answerWith(c, subscription.events(), logError);
    }
    const waiter = supervisor.request(client, wish);
    onClientGone(c, () => waiter.leave());
    if (form === "stream") return answerWith(c, slotEvents(waiter), logError);
    const slot = await waiter.granted;
    return c.json(slot, 201, { location: `/slots/${slot.id}` });
  });

  on(routes.changeSlotRequest, (c) => {
    const { id } = c.req.valid("param");
    const { count } = c.req.valid("json");
    const agreed = holderOf(c, id).resubscribe(id, c.get("caller").name, count);
    return c.json({ count: agreed }, 200);
  });

  on(routes.releaseSlot, (c) => {
    const { id } = c.req.valid("param");
    holderOf(c, id).release(id, c.get("caller").name);
    return c.body(null, 204);
  });
}

/** Streams the events. The stream stays open while a slot is held: a killed holder returns it. */
function answerWith(
  c: NodeContext,
  events: AsyncIterable<SlotEvent>,
  logError: (message: string) => void,
): Response {
  const answer = new EarlyStream(c);
  const writeAll = async () => {
    for await (const event of events) {
      answer.write(event);
      await answer.drained();
    }
  };
  void writeAll().then(
    () => answer.end(),
    async (error) => answer.end(await problemOf(error, c, logError)),
  );
  return RESPONSE_ALREADY_SENT;
}
