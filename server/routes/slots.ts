/** Slots of this member: a caller waits for one, and holds it until a child takes it. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { PoolError } from "../../openapi/errors.ts";
import * as routes from "../../openapi/routes.ts";
import { permit } from "../access/permissions.ts";
import { acceptOf } from "../answers/accept.ts";
import { EarlyStream, slotEvents } from "../answers/events.ts";
import { problemOf } from "../http/problems.ts";
import { onClientGone } from "../http/request.ts";
import type { AppOptions } from "./context.ts";
import type { Register } from "./register.ts";
import { permittedSupervisor } from "./this-member.ts";

export function slotRoutes(on: Register, options: AppOptions): void {
  const { name, supervisors, logError } = options;

  on(routes.requestSlot, async (c) => {
    const form = acceptOf(c, ["stream", "json"]);
    const { pool, waitMs, sandbox } = c.req.valid("json");
    const waiter = permittedSupervisor(c, pool, options).request(
      waitMs,
      c.var.caller.name,
      sandbox,
    );
    onClientGone(c, () => waiter.leave());
    if (form === "json") {
      const slot = await waiter.granted;
      return c.json(slot, 201, { location: `/slots/${slot.id}` });
    }
    const stream = new EarlyStream(c);
    const writeAll = async () => {
      for await (const event of slotEvents(waiter)) stream.write(event);
    };
    // The stream stays open while the slot is held, so a holder that is killed returns it at once.
    void writeAll().then(
      () => stream.end(),
      async (error) => stream.end(await problemOf(error, c, logError)),
    );
    return RESPONSE_ALREADY_SENT;
  });

  on(routes.releaseSlot, (c) => {
    const { id } = c.req.valid("param");
    for (const { slots, options } of supervisors.values()) {
      if (!slots.holds(id)) continue;
      permit(c, options.pool);
      slots.release(id, c.var.caller.name);
      return c.body(null, 204);
    }
    throw PoolError.of(
      "slot_not_found",
      `member ${name} holds no slot ${id}: it was taken, given back, or its time is over`,
    );
  });
}
