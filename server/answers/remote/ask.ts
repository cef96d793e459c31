/** Requests to the member of a child, for the caller of one request. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { memberOfChild } from "../../../openapi/names.ts";
import type { Answer, RequestOptions } from "../../../sdk/typescript/http/client.ts";
import { HeadedError } from "../../http/problems.ts";
import { ENDING_TRAILER } from "../stdout.ts";
import type { OtherMembers } from "./through.ts";

/** The headers of a problem that pass on. */
const PASSED = ["content-range", ENDING_TRAILER] as const;

/**
 * Asks a child's member.
 *
 * @param path below the child's URL.
 * @throws {PoolError} the problem that came back; the transport's own error.
 */
export async function askChild(
  { client, access }: Pick<OtherMembers, "client" | "access">,
  { id, path }: { readonly id: string; readonly path: string },
  request: RequestOptions = {},
): Promise<Answer> {
  const answer = await client.send(`${await access.childUrl(id)}${path}`, request);
  if (answer.status < 400) return answer;
  const error = await client.problem(answer);
  const headers = PASSED.flatMap((name) => {
    const value = answer.headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  throw headers.length > 0 ? new HeadedError(error.problem, Object.fromEntries(headers)) : error;
}

/**
 * The answer of a child's member.
 *
 * @throws {PoolError} `member_lost` where the member does not answer; the problem that came back.
 */
export async function reached(id: string, asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof PoolError) throw error;
    throw PoolError.of(
      "member_lost",
      `member ${memberOfChild(id)} does not answer: ${messageOf(error)}`,
      { admitted: true, cause: error },
    );
  }
}

/** The rest of a child's stdout whose bytes have all come: its ending alone. @throws `error`. */
export function nothingLeft(error: unknown): Answer {
  const ending = error instanceof HeadedError ? error.headers[ENDING_TRAILER] : undefined;
  if (ending === undefined) throw error;
  const trailers = { [ENDING_TRAILER]: ending };
  return { status: 206, headers: new Headers(), body: nothing(), trailers, cancel: () => {} };
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
