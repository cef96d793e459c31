/** Problems as HTTP answers. */
import type { HttpBindings } from "@hono/node-server";
import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import {
  ERRORS,
  PoolError,
  type Problem,
  problem,
  RETRY_AFTER_SECONDS,
} from "../../openapi/errors.ts";

/** Answers with a problem: its status, `Retry-After` where trying again may help, what it wants where it wants a token. */
export function problemResponse(c: Context, given: Problem): Response {
  const entry = ERRORS[given.code];
  c.header("content-type", "application/problem+json");
  if (entry.status === 503 || entry.status === 429)
    c.header("retry-after", String(RETRY_AFTER_SECONDS));
  if (given.code === "unauthorized") c.header("www-authenticate", "Bearer");
  return c.body(JSON.stringify(given), entry.status);
}

/** What validation found, as one problem that names each field at fault. */
export function invalidFields(issues: readonly z.core.$ZodIssue[]): Problem {
  const fields = issues.map(({ path, ...issue }) => ({
    path: path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""),
    message: whatWasExpected(issue),
  }));
  const detail = fields
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`))
    .join("; ");
  return problem("invalid_request", detail, { fields });
}

/** What one finding of validation says was expected. */
export function whatWasExpected(issue: Omit<z.core.$ZodIssue, "path">): string {
  if (issue.code === "unrecognized_keys")
    return `expected no such key; got ${(issue as z.core.$ZodIssueUnrecognizedKeys).keys.map((key) => JSON.stringify(key)).join(", ")}`;
  if (issue.code === "invalid_key")
    return (issue as z.core.$ZodIssueInvalidKey).issues.map(({ message }) => message).join(" and ");
  if (issue.code !== "invalid_union" || issue.message !== "Invalid input") return issue.message;
  const alternatives = (issue as z.core.$ZodIssueInvalidUnion).errors.map((errors) =>
    errors.map((error) => error.message).join(" and "),
  );
  return `none of the alternatives fits: ${alternatives.join("; or ")}`;
}

/** The problem that an error of a handler is. What is not one of ours is logged and told to nobody. */
export async function problemOf(
  error: unknown,
  c: Context,
  log: (message: string) => void,
): Promise<Problem> {
  if (error instanceof PoolError) return error.problem;
  if (error instanceof HTTPException) {
    if (error.status === 413) return problem("payload_too_large", error.message);
    if (error.status === 415)
      return problem(
        "invalid_request",
        `expected content-type application/json; got ${c.req.header("content-type") ?? "none"}`,
      );
    return problem("invalid_request", await malformed(c, error.message));
  }
  // The client left while it was served: nobody reads this.
  if (error instanceof Error && (error.name === "AbortError" || wasCutOff(c)))
    return problem("cancelled", "the caller went away");
  // JSON nested too deep for the stack.
  if (error instanceof RangeError && error.message.includes("call stack"))
    return problem("invalid_request", "expected JSON that is nested less deep");
  log(`${c.req.method} ${c.req.path}: ${error instanceof Error ? error.stack : String(error)}`);
  return problem("internal_error", "an unexpected error; the member's log has it");
}

/** Whether the rest of the request's body will never come. */
function wasCutOff(c: Context): boolean {
  const { incoming } = (c.env ?? {}) as Partial<HttpBindings>;
  return incoming?.errored != null;
}

/** Where JSON went wrong; the body has been read by then. */
async function malformed(c: Context, message: string): Promise<string> {
  const text = await c.req.text().catch(() => undefined);
  if (text === undefined) return message;
  try {
    JSON.parse(text);
    return message;
  } catch (error) {
    return text === ""
      ? "expected a JSON body; got none"
      : `expected JSON: ${(error as Error).message}`;
  }
}
