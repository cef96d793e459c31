/** Registers the routes of the contract, each behind the checks that all of them share. */
import type { OpenAPIHono, RouteHandler } from "@hono/zod-openapi";
import { uploadAt } from "../../openapi/bodies.ts";
import type { Route } from "../../openapi/routes.ts";
import { checkCaller } from "../access/permissions.ts";
import type { AppOptions, Bindings } from "./context.ts";

type Handler<R extends Route> = RouteHandler<R, Bindings>;

/**
 * An answer whose form the types of the contract do not describe, such as a stream. `c.json` gives
 * none.
 */
type PlainResponse = Response & { readonly _data?: never };

type Answer<R extends Route> = Awaited<ReturnType<Handler<R>>> | PlainResponse;

/** Registers the handler of a route. It runs once the caller has passed the check. */
export type Register = <R extends Route>(
  route: R,
  handler: (c: Parameters<Handler<R>>[0]) => Answer<R> | Promise<Answer<R>>,
) => void;

export function registerAt(
  app: OpenAPIHono<Bindings>,
  { streamLimit, uploadReceiver }: AppOptions,
): Register {
  return (route, handler) => {
    const upload = uploadAt(route.path);
    const check = checkCaller(route, streamLimit);
    const checked = {
      ...route,
      // An artifact's path may contain slashes.
      path: route.path.replace("/{path}", "/:path{[\\s\\S]+}"),
      middleware: upload?.spec ? [check, uploadReceiver.receiving(upload)] : check,
    };
    const handle = upload?.spec ? uploadReceiver.withLargeValues(handler) : handler;
    app.openapi(checked as typeof route, handle as Handler<typeof route>);
  };
}
