/** Tasks: functions that the operator installed on the members, called by their names. */
import { PoolError } from "../../openapi/errors.ts";
import { TaskNameSchema } from "../../openapi/names.ts";
import type { FunctionAt, PoolFunction, Runs } from "./functions.ts";

/** A task by its name, and for the compiler the function that it is. */
export interface Task<F extends PoolFunction = PoolFunction> extends Runs<F> {
  readonly task: string;
}

/**
 * Names a task, for {@link DistributedPool.call}. Nothing is asked yet: a name that no member has is `task_not_found` of the call.
 *
 * @typeParam M the task's module, of whose default export arguments and value are inferred; without it they are unknown.
 * @throws {PoolError} `invalid_request` for what cannot be a task's name.
 * @example
 * const thumbnails = task<typeof import("../tasks/thumbnails.ts")>("thumbnails");
 * const images = await pools.call("pipeline", thumbnails, film);
 */
export function task<M extends object = { default: PoolFunction }>(
  name: string,
): Task<FunctionAt<M, "default">> {
  const checked = TaskNameSchema.safeParse(name);
  if (!checked.success)
    throw PoolError.of(
      "invalid_request",
      `${checked.error.issues[0]?.message}; got ${JSON.stringify(name)}`,
    );
  return { task: name };
}
