/** Sources by their content: named by a hash, sent whole only where they are not known. */
import { createHash } from "node:crypto";
import { PoolError } from "../../../openapi/errors.ts";
import type { ChildSpecInput } from "../../../openapi/spec.ts";
import type { Answer, Client, RequestOptions } from "./client.ts";

/** The hash by which a source is known: of its UTF-8 bytes. */
export function hashOf(source: string): string {
  return `sha256:${createHash("sha256").update(source).digest("hex")}`;
}

/**
 * Posts a child spec: one try to be admitted. A source that has a hash is named by it first; a member that asks for the source
 * has run nothing and taken no slot, and is sent the whole spec with what is left of its deadline.
 *
 * @returns the open answer, or the problem that came instead. Rejects with the transport's own error.
 */
export async function postSpec(
  client: Client,
  url: string,
  spec: ChildSpecInput,
  options: RequestOptions,
): Promise<Answer | PoolError> {
  const { function: fn, deadlineMs } = spec;
  const startedAt = performance.now();
  const post = async (body: ChildSpecInput) => {
    const answer = await client.send(url, { ...options, method: "POST", body });
    return answer.statusCode < 300 ? answer : client.problem(answer);
  };
  // Parts beside it may be far larger than any source: they are sent once.
  if (fn?.source === undefined || fn.hash === undefined || options.parts?.length) return post(spec);
  const { source: _, ...named } = fn;
  const answer = await post({ ...spec, function: named });
  if (!(answer instanceof PoolError) || answer.code !== "source_unknown") return answer;
  if (deadlineMs === undefined) return post(spec);
  const remainder = Math.ceil(deadlineMs - (performance.now() - startedAt));
  if (remainder <= 0)
    return PoolError.of(
      "deadline_exceeded",
      `the deadline of ${deadlineMs} ms passed before the source could be sent`,
    );
  return post({ ...spec, deadlineMs: remainder });
}
