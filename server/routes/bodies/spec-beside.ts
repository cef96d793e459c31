/** The child spec of a request whose body is the child's input: it stands beside the body. */
import type { Upload } from "../../../openapi/bodies.ts";
import { PoolError } from "../../../openapi/errors.ts";
import { SPEC_HEADER } from "../../../openapi/names.ts";
import type { NodeContext } from "../../http/request.ts";

/**
 * The child spec beside a body that is the child's input: a command in the query, where every body
 * is the input, or a whole spec.
 */
export function specBeside(c: NodeContext, { inputOnly }: Upload): string {
  // The router leaves such an escape as it is, which would be another argument.
  if (!isEscaped(new URL(c.req.url).search))
    throw refusal("a query in UTF-8, each byte of it that is escaped as % and two digits");
  const command = inputOnly ? c.req.queries("command") : undefined;
  const pool = inputOnly ? c.req.query("pool") : undefined;
  const inQuery = c.req.query("spec");
  const inHeader = c.req.header(SPEC_HEADER);
  const given = [command, inQuery, inHeader].filter((each) => each !== undefined).length;
  if (given !== 1 || (pool !== undefined && !command)) {
    const places = `${inputOnly ? "?command=, in " : ""}?spec= or in the header ${SPEC_HEADER}`;
    const got = given === 0 ? "none" : given > 1 ? "more than one" : "?pool= beside a whole spec";
    throw refusal(
      `the child spec beside a body that is the child's input, in ${places}; got ${got}`,
    );
  }
  if (inHeader !== undefined && /[^\t -~]/.test(inHeader))
    throw refusal(`JSON in ASCII in the header ${SPEC_HEADER}, other characters as \\u escapes`);
  return inQuery ?? inHeader ?? JSON.stringify({ pool, command });
}

function isEscaped(query: string): boolean {
  try {
    decodeURIComponent(query);
    return true;
  } catch {
    return false;
  }
}

/** @throws {PoolError} `invalid_request` for a spec beside a body that has one itself. */
export function refuseBeside(c: NodeContext): void {
  if (c.req.query("spec") === undefined && c.req.header(SPEC_HEADER) === undefined) return;
  throw refusal(
    "the child spec in the body, or beside a body that is the child's input; " +
      `got it beside one that is ${c.req.header("content-type")}`,
  );
}

function refusal(expected: string): PoolError {
  return PoolError.of("invalid_request", `expected ${expected}`);
}
