/** Registers the routes of the contract, each behind the checks that all of them share. */
import type { OpenAPIHono, RouteHandler } from "@hono/zod-openapi";
import type { ROUTES } from "../../openapi/routes.ts";
import { guarded } from "../access/permissions.ts";
import type { AppOptions, Bindings } from "./context.ts";
import { withUploads } from "./receive-uploads.ts";

type Route = (typeof ROUTES)[number];
type Handler<R extends Route> = RouteHandler<R, Bindings>;

/**
 * An answer whose form the types of the contract do not describe, such as a stream. `c.json` gives
 * none.
 */
type PlainResponse = Response & { readonly _data?: never };

type Answer<R extends Route> = Awaited<ReturnType<Handler<R>>> | PlainResponse;

export interface Register {
  /** Registers a handler behind the check of its caller. */
  route<R extends Route>(
    route: R,
    handler: (c: Parameters<Handler<R>>[0]) => Answer<R> | Promise<Answer<R>>,
  ): void;
  /** Registers a handler whose body may bring files, or the child's input, beside the spec. */
  upload: Register["route"];
}

export function registerAt(
  app: OpenAPIHono<Bindings>,
  { streamLimit, uploadReceiver }: Pick<AppOptions, "streamLimit" | "uploadReceiver">,
): Register {
  return {
    route: (route, handler) =>
      void app.openapi(guarded(route, streamLimit), handler as Handler<typeof route>),
    upload: (route, handler) =>
      void app.openapi(
        withUploads(guarded(route, streamLimit), uploadReceiver),
        handler as Handler<typeof route>,
      ),
  };
}
