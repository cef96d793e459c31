/** Operations for load balancers and supervisors of the process. */
import { METRICS_TYPE } from "../../openapi/bodies.ts";
import * as routes from "../../openapi/routes.ts";
import { permit } from "../access/permissions.ts";
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

  on(routes.drain, (c) => {
    drain();
    return c.json(countOf(options), 202);
  });
}
