/** Which methods a path has. A request with another one learns them. */
import type { MiddlewareHandler } from "hono";
import { problem } from "../../openapi/errors.ts";
import { ROUTES } from "../../openapi/routes.ts";
import { HeadedError } from "../http/problems.ts";
import { pages } from "./docs.ts";

const OPERATIONS = [...ROUTES, ...Object.keys(pages()).map((path) => ({ method: "get", path }))];

/** The methods by path, in capitals. Paths without parameters come first: they win. */
const METHODS = [...Map.groupBy(OPERATIONS, ({ path }) => path)]
  .map(([path, operations]) => ({ path, methods: operations.flatMap(methodsOf) }))
  .sort((a, b) => Number(a.path.includes("{")) - Number(b.path.includes("{")))
  .map(({ path, methods }) => ({ pattern: patternOf(path), methods }));

/** The server answers HEAD as GET, without the body. */
function methodsOf({ method }: { readonly method: string }): string[] {
  return method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()];
}

function patternOf(path: string): RegExp {
  const text = path.replaceAll(/{\w+}/g, (name) => (name === "{path}" ? "[\\s\\S]+" : "[^/]+"));
  return new RegExp(`^${text}$`);
}

/** Refuses a method that the path does not have. Unknown paths pass: nothing answers them. */
export const checkMethod: MiddlewareHandler = async ({ req }, next) => {
  const { methods } = METHODS.find(({ pattern }) => pattern.test(req.path)) ?? {};
  if (methods && !methods.includes(req.method)) {
    const allow = methods.join(", ");
    throw new HeadedError(
      problem(
        "method_not_allowed",
        `expected ${methods.join(" or ")} at ${req.path.slice(0, 255)}; got ${req.method}`,
      ),
      { allow },
    );
  }
  await next();
};
