/** Operations for load balancers and supervisors of the process, and the contract as pages. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { buildDocument } from "../../openapi/document.ts";
import { FORMS, forms } from "../../openapi/documents/forms.ts";
import * as routes from "../../openapi/routes.ts";
import { countOf } from "../supervisor/this-member.ts";
import type { AppOptions, Bindings } from "./context.ts";
import { docsAsset, docsPage } from "./docs.ts";
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

/** The contract as documents and as pages. */
export function documentRoutes(app: OpenAPIHono<Bindings>): void {
  const documents = new Map<string, string>();
  for (const name of FORMS)
    app.get(`/${name}`, (c) => {
      const document = documents.get(name) ?? JSON.stringify(forms(buildDocument())[name]);
      documents.set(name, document);
      c.header("content-type", "application/json");
      return c.body(document);
    });
  app.get("/", (c) => c.redirect("/docs"));
  app.get("/docs", docsPage);
  app.get("/docs/:asset", docsAsset);
}
