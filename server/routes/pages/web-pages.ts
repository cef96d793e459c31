/** The pages for browsers: the dashboard, and the contract with its reference page. */
import type { Handler } from "hono";
import { FORMS } from "../../../openapi/documents/forms.ts";
import { dashboardPages, type OtherOrigins } from "./dashboard.ts";
import { docsPages } from "./docs.ts";

/** The pages by their paths, in the form of the contract's paths. They are read by `GET`. */
export const pages = (options: OtherOrigins = {}): Readonly<Record<string, Handler>> => ({
  ...dashboardPages(options),
  ...docsPages(options.publicUrl),
});

const PATHS = new Set(["/", "/docs", ...FORMS.map((name) => `/${name}`)]);

/** Whether a path is that of a page. Pages are the same for all callers and hold no data. */
export const isPage = (path: string) =>
  PATHS.has(path) || path.startsWith("/dashboard/") || path.startsWith("/docs/");
