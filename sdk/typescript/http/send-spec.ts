/** Sends a child spec. A source that has a hash is named by it, and sent where it is not known. */
import { PoolError } from "../../../openapi/errors.ts";
import type { CommandSpec, FunctionBySource, TaskSpec } from "../../../openapi/types.gen.ts";
import { Deadline } from "../time/deadline.ts";
import type { Answer, Client, RequestOptions } from "./client.ts";

/**
 * The spec of a child as a request has it, with exactly one of `command`, `function` and `task`. A
 * key that has a default may be left out.
 */
export interface ChildSpecInput extends Omit<CommandSpec, "command"> {
  readonly command?: CommandSpec["command"] | undefined;
  readonly function?: FunctionInput | undefined;
  readonly task?: TaskSpec["task"] | undefined;
}

/** A function by its source, by the hash of a source, or by both. */
type FunctionInput = Omit<FunctionBySource, "source"> & { readonly source?: string | undefined };

export interface SpecRequest extends Omit<RequestOptions, "method" | "body"> {
  readonly spec: ChildSpecInput;
}

/**
 * Posts a child spec, which is one try to be admitted. A member that lacks the source has run
 * nothing and taken no slot; it is sent the whole spec, with the rest of the deadline.
 *
 * @returns the open answer, or the problem in it. Rejects with the transport's own error.
 */
export async function postSpec(
  client: Client,
  url: string,
  { spec, ...options }: SpecRequest,
): Promise<Answer | PoolError> {
  const { function: fn, deadlineMs } = spec;
  const deadline = new Deadline(deadlineMs);
  const post = async (body: ChildSpecInput) => {
    const answer = await client.send(url, { ...options, method: "POST", body });
    return answer.status < 300 ? answer : client.problem(answer);
  };
  // Parts may be far larger than any source, so a spec with parts is sent once, with its source.
  if (fn?.source === undefined || fn.hash === undefined || options.parts?.length) return post(spec);
  const { source: _, ...named } = fn;
  const answer = await post({ ...spec, function: named });
  if (!(answer instanceof PoolError) || answer.code !== "source_unknown") return answer;
  if (deadline.hasPassed)
    return PoolError.of(
      "deadline_exceeded",
      `the deadline of ${deadlineMs} ms passed before the source could be sent`,
    );
  return post({ ...spec, ...deadline.forSpec });
}
