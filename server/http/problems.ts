/** Problems as HTTP answers. */
import type { HttpBindings } from "@hono/node-server";
import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { bodiesTakenAt } from "../../openapi/bodies.ts";
import {
  ERRORS,
  isErrorCode,
  PoolError,
  type Problem,
  type ProblemStatus,
  problem,
  RETRY_AFTER_SECONDS,
} from "../../openapi/errors.ts";

/** A problem whose answer has headers of its own, such as `Content-Range`. */
export class HeadedError extends PoolError {
  readonly headers: Readonly<Record<string, string>>;

  constructor(problem: Problem, headers: Readonly<Record<string, string>>) {
    super(problem);
    this.headers = headers;
  }
}

/**
 * A problem as every answer of the server writes it: with `Retry-After` where a new try may help,
 * and with `WWW-Authenticate` where a token is required.
 */
export function problemAnswer(answer: Problem) {
  // A member of a newer version may have answered with a code that this one lacks.
  const status = (isErrorCode(answer.code) ? ERRORS[answer.code] : answer).status as ProblemStatus;
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (status === 503 || status === 429) headers["retry-after"] = String(RETRY_AFTER_SECONDS);
  if (status === 401) headers["www-authenticate"] = "Bearer";
  return { status, headers, body: JSON.stringify(answer) };
}

/** @param error the error that carried the problem; it may have headers for the answer. */
export function problemResponse(c: Context, answer: Problem, error?: unknown): Response {
  const { status, headers, body } = problemAnswer(answer);
  const more = error instanceof HeadedError ? error.headers : {};
  return c.body(body, status, { ...headers, ...more });
}

/** The findings of validation as one problem that names each field at fault. */
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

/** The message of one finding of validation. */
export function whatWasExpected(issue: Omit<z.core.$ZodIssue, "path">): string {
  if (issue.code === "unrecognized_keys") {
    const { keys } = issue as z.core.$ZodIssueUnrecognizedKeys;
    return `expected no such key; got ${keys.map((key) => JSON.stringify(key)).join(", ")}`;
  }
  if (issue.code === "invalid_key")
    return (issue as z.core.$ZodIssueInvalidKey).issues.map(({ message }) => message).join(" and ");
  if (issue.code !== "invalid_union" || issue.message !== "Invalid input")
    return inOurForm(issue.message);
  const alternatives = (issue as z.core.$ZodIssueInvalidUnion).errors.map((errors) =>
    errors.map(whatWasExpected).join(" and "),
  );
  return `none of the alternatives fits: ${alternatives.join("; or ")}`;
}

const KINDS: Readonly<Record<string, string>> = {
  array: "an array",
  boolean: "a boolean",
  fraction: "a fraction",
  int: "a whole number",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a string",
  undefined: "none",
};

/** Zod's own message as `expected …; got …`. A message of a schema has this form already. */
function inOurForm(message: string): string {
  const kind = (word: string) => KINDS[word] ?? word;
  return message
    .replace("expected int, received number", "expected int, received fraction")
    .replace(
      /^Invalid input: expected (\w+), received (\w+)$/,
      (_, expected: string, got: string) => `expected ${kind(expected)}; got ${kind(got)}`,
    )
    .replace(/^(?:Invalid|Too) \w+: expected /, "expected ");
}

/** Logs an unexpected error. Its problem tells the caller nothing of the server's insides. */
export function internalError(
  error: unknown,
  log: (message: string) => void,
  context = "",
): Problem {
  log(`${context}${error instanceof Error ? error.stack : String(error)}`);
  return problem("internal_error", "an unexpected error; the member's log has it");
}

/** The problem for an error of a handler. An error of an unknown kind is logged. */
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
        "unsupported_media_type",
        `expected content-type: ${bodiesTakenAt(c.req.path)}; ` +
          `got ${c.req.header("content-type")?.slice(0, 255) ?? "none"}`,
      );
    return problem("invalid_request", await malformed(c, error.message));
  }
  // The client went away while the server worked, so no one reads this answer.
  const { incoming } = (c.env ?? {}) as Partial<HttpBindings>;
  if (error instanceof Error && (error.name === "AbortError" || incoming?.errored))
    return problem("cancelled", "the caller went away");
  // `JSON.parse` throws this for JSON that nests too deep for the stack.
  if (error instanceof RangeError && error.message.includes("call stack"))
    return problem("invalid_request", "expected JSON that is nested less deep");
  return internalError(error, log, `${c.req.method} ${c.req.path}: `);
}

/** Parses the JSON body again, for a message that says where it is malformed. */
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
