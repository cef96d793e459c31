/** Operations for load balancers and supervisors of the process. */
import * as routes from "../../openapi/routes.ts";
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

  on(routes.drain, (c) => {
    drain();
    return c.json(countOf(options), 202);
  });
}
