/** Operations for load balancers and supervisors of the process. */
import { METRICS_TYPE } from "../../openapi/bodies.ts";
import { PoolError } from "../../openapi/errors.ts";
import * as routes from "../../openapi/routes.ts";
import type { Count } from "../../openapi/schemas/resources.ts";
import { permit } from "../access/permissions.ts";
import { type Through, through } from "../answers/remote/through.ts";
import { countOf } from "../supervisor/this-member.ts";
import type { AppOptions } from "./context.ts";
import type { Register } from "./register.ts";

export function operationRoutes(on: Register, options: AppOptions): void {
  const { name, sandbox, drain, trouble } = options;

  on(routes.livez, (c) => c.json({ status: "ok" as const, member: name, sandbox }, 200));

  on(routes.readyz, (c) => {
    const detail = trouble();
    return detail === undefined
      ? c.json({ status: "ok" as const, member: name, sandbox }, 200)
      : c.json({ status: "unavailable" as const, member: name, sandbox, detail }, 503);
  });

  on(routes.metrics, async (c) => {
    // They tell of every pool, so a token for some of them is not enough.
    for (const pool of options.supervisors.keys()) permit(c, pool);
    return c.text(await options.metrics(), 200, { "content-type": METRICS_TYPE });
  });

  on(routes.drain, async (c) => {
    const { member = name } = c.req.valid("query");
    if (member !== name) {
      c.set("target", member);
      return c.json(await drainOther(through(c, options), member), 202);
    }
    drain();
    return c.json(countOf(options), 202);
  });

  on(routes.caller, (c) => c.json(c.get("caller").shown, 200));
}

/**
 * Lets another member drain, with the caller's token.
 *
 * @throws {PoolError} `not_found`; `member_lost` where it does not answer; its own problem.
 */
async function drainOther({ access, client }: Through, member: string): Promise<Count> {
  const url = await access.memberUrl(member);
  if (url === undefined) throw PoolError.of("not_found", `no member is called ${member}`);
  return client.json<Count>(`${url}/drain`, { method: "POST", member });
}
