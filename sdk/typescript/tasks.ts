/** Tasks: functions that the operator installed on the members. Callers run them by name. */
import { PoolError } from "../../openapi/errors.ts";
import { TaskNameSchema } from "../../openapi/names.ts";
import type { FunctionAt, PoolFunction, Runs } from "./functions.ts";

/** The name of a task, and, for the compiler alone, the type of its function. */
export interface Task<F extends PoolFunction = PoolFunction> extends Runs<F> {
  readonly task: string;
}

/**
 * Names a task for {@link DistributedPool.call}. It sends no request: when no member has the task,
 * the call fails with `task_not_found`.
 *
 * @typeParam M the task's module, whose default export gives the types of the arguments and the
 *   value. Default: they are unknown.
 * @param name the file name of the task on the members, without its ending.
 * @throws {PoolError} `invalid_request` for a string that cannot be the name of a task.
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
