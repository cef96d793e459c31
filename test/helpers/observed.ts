/** Observes the answers of the members in this process, and compares them with the contract. */
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, expect } from "vitest";
import { buildDocument } from "../../openapi/document.ts";

interface Documented {
  readonly content?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, unknown>>;
}
type Responses = Readonly<Record<string, Documented>>;

const { paths = {} } = buildDocument();
/** The operations by path. Paths without parameters come first: they win. */
const PATHS = Object.entries(paths)
  .sort(([a], [b]) => Number(a.includes("{")) - Number(b.includes("{")))
  .map(([path, methods]) => {
    const pattern = path.replaceAll(/{\w+}/g, (name) => (name === "{path}" ? ".+" : "[^/]+"));
    return { pattern: new RegExp(`^${pattern}$`, "s"), path, methods };
  });

/** Headers that the contract states. */
const HEADERS = Object.keys(buildDocument().components?.headers ?? {});
/** Forms that `Accept` chooses on a call; the description of the operation tells them. */
const BY_ACCEPT = new Set(["/call", "/pools/{pool}/call"]);

const faults: string[] = [];

function check({ method = "", url = "" }: IncomingMessage, response: ServerResponse): void {
  // Other servers of the tests have no such header.
  if (!response.hasHeader("pool-member")) return;
  const path = url.replace(/\?.*/s, "");
  const found = PATHS.find(({ pattern }) => pattern.test(path));
  const name = method === "HEAD" ? "get" : method.toLowerCase();
  const operation = (found?.methods as Record<string, { responses: Responses }>)?.[name];
  if (!found || !operation) return;
  const where = `${method} ${found.path}: ${response.statusCode}`;
  const documented = operation.responses[response.statusCode];
  if (!documented) return void faults.push(`${where} is not in the document`);
  const headers = Object.keys(documented.headers ?? {});
  for (const header of HEADERS)
    if (response.hasHeader(header) && !headers.includes(header))
      faults.push(`${where} has ${header}, which is not in the document`);
  const type = String(response.getHeader("content-type") ?? "").replace(/;.*/s, "");
  const types = Object.keys(documented.content ?? {});
  const isOther = BY_ACCEPT.has(found.path) && response.statusCode === 200;
  if (type !== "" && !types.includes(type) && !isOther)
    faults.push(`${where} has ${type}; the document has ${types.join(", ")}`);
}

subscribe("http.server.response.finish", (message) => {
  const { request, response } = message as {
    request: IncomingMessage;
    response: ServerResponse;
  };
  check(request, response);
});

afterEach(() => {
  const seen = faults.splice(0);
  expect([...new Set(seen)], "answers that the contract does not have").toEqual([]);
});
