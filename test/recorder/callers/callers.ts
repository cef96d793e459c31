/** Makes planned calls, by the SDK and by plain HTTP, and records what the caller learned. */
import { setTimeout as pause } from "node:timers/promises";
import { PoolError } from "../../../openapi/errors.ts";
import { outputBytes } from "../../../sdk/typescript/http/output.ts";
import { DistributedPool, type Spec } from "../../../sdk/typescript/node.ts";
import { specOf } from "../calls.ts";
import type { CallPlan, CallRecord, Ending } from "../history.ts";
import { LATE_MS } from "../rules/calls.ts";
import { HttpCaller } from "./http-caller.ts";

/** The caller waits for a call this much longer than the model allows, then it hangs. */
const HUNG_MS = LATE_MS + 5_000;

/** The reason of a caller that leaves. */
export class Left extends Error {}

/** What a caller learns on the way. */
export interface Notes {
  placed(child: string): void;
}

export interface CallersOptions {
  readonly members: readonly { readonly name: string; readonly url: string }[];
  readonly consul: readonly string[];
}

export class Callers {
  readonly #options: CallersOptions;
  readonly #gateways: readonly DistributedPool[];
  readonly #direct: readonly DistributedPool[];
  readonly #http = new HttpCaller();

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#gateways = options.members.map(({ url }) => new DistributedPool({ url }));
    this.#direct = options.consul.map((consul) => new DistributedPool({ consul }));
  }

  /** Makes one call. It never rejects. */
  async make(plan: CallPlan, client: string): Promise<CallRecord> {
    const { members } = this.#options;
    const asked = plan.way === "direct" ? undefined : members[plan.target % members.length];
    const leaving = new AbortController();
    const { signal } = leaving;
    let placed: CallRecord["placed"];
    const notes = {
      placed: (child: string) => {
        placed ??= { child, at: Date.now() };
      },
    };
    const startedAt = Date.now();
    const timer =
      plan.leavesAfterMs === undefined
        ? undefined
        : setTimeout(() => leaving.abort(new Left()), plan.leavesAfterMs);
    const hung = new AbortController();
    const ending = await Promise.race([
      this.#ending(plan, asked?.url, { signal, notes }),
      pause(plan.deadlineMs + HUNG_MS, undefined, { signal: hung.signal }).catch(() => undefined),
    ]);
    hung.abort();
    clearTimeout(timer);
    // A call that hangs is given up, so that the rest of the run can go on.
    if (!ending) leaving.abort(new Left());
    const endedAt = ending ? Date.now() : undefined;
    return { ...plan, client, asked: asked?.name, startedAt, placed, endedAt, ending };
  }

  async #ending(
    plan: CallPlan,
    url: string | undefined,
    { signal, notes }: { readonly signal: AbortSignal; readonly notes: Notes },
  ): Promise<Ending> {
    try {
      if (plan.way === "http") return await this.#http.make(plan, url as string, { signal, notes });
      const pools = plan.way === "gateway" ? this.#gateways : this.#direct;
      const pool = pools[plan.target % pools.length] as DistributedPool;
      return { type: "result", value: await bySdk(pool, plan, { signal, notes }) };
    } catch (error) {
      return endingOf(error, { signal, notes });
    }
  }

  async close(): Promise<void> {
    this.#http.close();
    await Promise.all([...this.#gateways, ...this.#direct].map((pools) => pools.close()));
  }
}

function endingOf(error: unknown, { signal, notes }: Options): Ending {
  if (signal.aborted) return { type: "left" };
  if (error instanceof PoolError) {
    const { problem, code, retryable } = error;
    if (problem.child) notes.placed(problem.child.id);
    const { admitted } = problem;
    const known = admitted === undefined ? {} : { admitted };
    return { type: "failed", code, retryable, detail: problem.detail, ...known };
  }
  return { type: "broken", detail: String((error as Error)?.stack ?? error) };
}

interface Options {
  readonly signal: AbortSignal;
  readonly notes: Notes;
}

/** The value of a function, or the output of a command. @throws as the SDK does. */
async function bySdk(
  pools: DistributedPool,
  plan: CallPlan,
  { signal, notes }: Options,
): Promise<string | undefined> {
  const given = specOf(plan);
  const options = { signal, retries: plan.retries };
  const spec = (plan.operation === "pipe"
    ? { ...given, stdin: inputOf(plan) }
    : given) as unknown as Spec;
  switch (plan.operation) {
    case "place": {
      const child = await pools.placeChild(plan.pool, spec, options);
      notes.placed(child.id);
      const output = { text: "" };
      for await (const event of child.events()) {
        if (event.type === "stdout") output.text += text(event);
        if (event.type === "result") return toldBy(plan, event.value, output.text);
        if (event.type === "failed") throw new PoolError(event.problem);
      }
      throw new Error("the events have no end");
    }
    case "run": {
      const run = await pools.run(plan.pool, spec as never, options);
      const { child, stdout, value } = run as { value?: unknown } & typeof run;
      notes.placed(child.id);
      return toldBy(plan, value, stdout);
    }
    default: {
      let output = "";
      for await (const event of pools.stream(plan.pool, spec, options)) {
        if (event.type === "placed") notes.placed(event.child.id);
        if (event.type === "stdout") output += text(event);
        if (event.type === "failed") throw new PoolError(event.problem);
        if (event.type === "result") return toldBy(plan, event.value, output);
      }
      throw new Error("the stream has no end");
    }
  }
}

export const text = (event: Parameters<typeof outputBytes>[0]) =>
  Buffer.from(outputBytes(event)).toString();

/** A command's value is its output. */
export const toldBy = (plan: CallPlan, value: unknown, output: string) =>
  plan.work === "command" ? output : String(value);

async function* inputOf({ workId }: CallPlan) {
  yield Buffer.from(workId);
}
