/** Which methods a path has. A request with another one learns them. */
import type { Context } from "hono";
import { problem } from "../../openapi/errors.ts";
import { ROUTES } from "../../openapi/routes.ts";
import { HeadedError } from "../http/problems.ts";
import { pages } from "./pages/web-pages.ts";

const OPERATIONS = [...ROUTES, ...Object.keys(pages()).map((path) => ({ method: "get", path }))];

/** The methods by path, in capitals. */
const METHODS = new Map(
  [...Map.groupBy(OPERATIONS, ({ path }) => path)].map(
    ([path, operations]) => [path, operations.flatMap(methodsOf)] as const,
  ),
);
const PATTERNS = [...METHODS]
  .filter(([path]) => path.includes("{"))
  .map(([path, methods]) => ({ pattern: patternOf(path), methods }));

/** The server answers HEAD as GET, without the body. */
function methodsOf({ method }: { readonly method: string }): string[] {
  return method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()];
}

function patternOf(path: string): RegExp {
  const text = path.replaceAll(/{\w+}/g, (name) => (name === "{path}" ? "[\\s\\S]+" : "[^/]+"));
  return new RegExp(`^${text}$`);
}

/** The methods of a path. A path without parameters wins. */
function methodsAt(path: string): readonly string[] | undefined {
  return METHODS.get(path) ?? PATTERNS.find(({ pattern }) => pattern.test(path))?.methods;
}

/**
 * Refuses a method that the path does not have. Unknown paths pass: nothing answers them.
 *
 * @throws {HeadedError} `method_not_allowed`.
 */
export function checkMethod({ req }: Context): void {
  const methods = methodsAt(req.path);
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
}
