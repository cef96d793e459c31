/** For load balancers, supervisors of the process, and readers of the contract. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { buildDocument } from "../../openapi/document.ts";
import * as routes from "../../openapi/routes.ts";
import { guarded } from "../access/permissions.ts";
import type { AppOptions, Bindings } from "./context.ts";
import { docsAsset, docsPage } from "./docs.ts";
import { countOf } from "./this-member.ts";

export function operationRoutes(
  app: OpenAPIHono<Bindings>,
  { name, sandbox, streamLimit, supervisors, drain, trouble }: AppOptions,
): void {
  app.openapi(guarded(routes.livez, streamLimit), (c) =>
    c.json({ status: "ok" as const, member: name, sandbox }, 200),
  );

  app.openapi(guarded(routes.readyz, streamLimit), (c) => {
    const detail = trouble();
    return detail === undefined
      ? c.json({ status: "ok" as const, member: name, sandbox }, 200)
      : c.json({ status: "unavailable" as const, member: name, sandbox, detail }, 503);
  });

  app.openapi(guarded(routes.drain, streamLimit), (c) => {
    drain();
    return c.json(countOf(name, supervisors), 202);
  });

  let document: string | undefined;
  app.get("/openapi.json", (c) => {
    document ??= JSON.stringify(buildDocument());
    c.header("content-type", "application/json");
    return c.body(document);
  });
  app.get("/", (c) => c.redirect("/docs"));
  app.get("/docs", docsPage);
  app.get("/docs/:asset", docsAsset);
}
