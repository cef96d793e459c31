/** `dpool map`: a command, a function or a task for each line of stdin. */
import { PoolError, type RunProblem } from "../../../openapi/errors.ts";
import { fanOut } from "../../../sdk/typescript/calls/fan-out.ts";
import { MAP_DEFAULTS, RETRIES, slotsOf } from "../../../sdk/typescript/calls/map.ts";
import type { DistributedPool, Spec } from "../../../sdk/typescript/node.ts";
import { isJson, type Parsed } from "../parse.ts";
import { exitCodeOf } from "../terminal/signals.ts";
import { UsageError } from "../usage-error.ts";
import { poolOf } from "./call.ts";
import { inputOf, type Line, linesOf, specFor } from "./inputs.ts";
import { hasFailed, MapReport, type Outcome } from "./map-report.ts";
import { ownStdin, specOf } from "./spec.ts";

/** 1: an input failed. */
const SOME_FAILED = 1;
const LEAVING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The refusals that each further input would get, too. */
const OF_ALL = new Set([
  ...["unauthorized", "forbidden", "no_members_available", "pool_not_found"],
  ...["task_not_found", "runtime_not_found"],
]);

/** Ends the map before its end, with an exit code. */
class Ended extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("ended");
    this.exitCode = exitCode;
  }
}

/**
 * Exit code 0 when all inputs succeeded, 1 when one failed. Ctrl-C stops all children.
 *
 * @throws {PoolError} a refusal that concerns every input.
 */
export async function map(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const pool = poolOf(parsed);
  const spec = withoutArguments({ ...MAP_DEFAULTS, ...(await specOf(parsed)) });
  const { jobs, unordered = false, failFast = false, input } = parsed.values;
  const stdin = ownStdin();
  const report = new MapReport(isJson(parsed));
  const leaving = new AbortController();
  const handlers = LEAVING.map((name) => [name, () => leave(leaving, name)] as const);
  for (const [name, handler] of handlers) process.on(name, handler);
  if (process.stdin.isTTY)
    process.stderr.write("dpool: one input a line; Ctrl-D on an empty line ends them\n");
  let running = 0;
  let index = 0;
  const work = async (line: Line, signal: AbortSignal): Promise<Outcome> => {
    running += 1;
    const key = spec.idempotencyKey;
    const own = { ...spec, ...(key !== undefined && { idempotencyKey: `${key}/${index++}` }) };
    const one = { pool, spec: own as Spec, line, isJson: input === "json", signal };
    const outcome = await outcomeOf(pools, one).finally(() => (running -= 1));
    report.count(outcome, running);
    if (failFast && hasFailed(outcome)) throw new Ended(SOME_FAILED);
    return outcome;
  };
  const limit = jobs === undefined ? slotsOf(() => pools.pool(pool)) : () => jobs;
  const options = { limit, ordered: !unordered, signal: leaving.signal };
  try {
    const inputs = linesOf(stdin);
    for await (const { value } of fanOut(work, { ...options, inputs })) await report.print(value);
    return report.failed > 0 ? SOME_FAILED : 0;
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return error.exitCode;
  } finally {
    for (const [name, handler] of handlers) process.off(name, handler);
    // Inputs that have not come yet would keep this process alive.
    process.stdin.destroy();
    await report.end();
  }
}

function leave(leaving: AbortController, name: NodeJS.Signals): void {
  if (leaving.signal.aborted) process.exit(exitCodeOf(name));
  process.stderr.write("dpool: stopping all children\n");
  leaving.abort(new Ended(exitCodeOf(name)));
}

/** Each input is the argument of a function, so the spec has none. @throws {UsageError} */
function withoutArguments(spec: Spec): Spec {
  const work: object = spec.function ?? spec.task ?? {};
  if ("args" in work)
    throw new UsageError("--spec: expected no args: each input is the argument of its call");
  return spec;
}

interface One {
  readonly pool: string;
  readonly spec: Spec;
  readonly line: Line;
  readonly isJson: boolean;
  readonly signal: AbortSignal;
}

/** Runs one input to its end. @throws {PoolError} a refusal that concerns every input. */
async function outcomeOf(pools: DistributedPool, one: One): Promise<Outcome> {
  const { line, signal } = one;
  let input: unknown = line.text;
  try {
    input = inputOf(line, one.isJson);
    const spec = specFor(one.spec, input) as Parameters<DistributedPool["run"]>[1];
    const run = await pools.run(one.pool, spec, { signal, retries: RETRIES });
    const { child, file: _, ...result } = run;
    return { line: line.line, input, result: { child: child.id, ...result } };
  } catch (error) {
    if (signal.aborted || (error instanceof PoolError && OF_ALL.has(error.code))) throw error;
    return { line: line.line, input, problem: problemOf(error) };
  }
}

function problemOf(error: unknown): RunProblem {
  if (error instanceof PoolError) return error.problem;
  if (error instanceof UsageError) return PoolError.of("invalid_request", error.message).problem;
  throw error;
}
