/** The calls of a client, as the seed determines them, and their specs. */
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import { type CallPlan, OPERATIONS, type Operation, WAYS, type Way, WORKS } from "./history.ts";
import type { Random } from "./random.ts";

/** A member of this pool that has lost touch with Consul for `FENCE_MS` kills its children. */
export const FENCED_POOL = "fenced";
/** 10 seconds, the least that a pool can have: two heartbeats. */
export const FENCE_MS = 10_000;
/** One child a process, twice without a fence; and processes that are warm and used again. */
const POOLS = ["pipeline", "pipeline", "warm", FENCED_POOL] as const;
/** The folder of the sink, as the children see it. */
export const SINK_FOLDER = "/sink";
const SINK = `${SINK_FOLDER}/marks`;
export const TASK = "marked";

/** At most 4 calls have one key. */
const MAX_REPEATS = 3;

/**
 * An endless sequence of steps: one call, or several calls with one key. It does not depend on how
 * the calls end.
 */
export function* callsOf(random: Random, client: string, way: Way): Generator<CallPlan[], never> {
  for (let number = 1; ; number++) {
    const plan = planOf(random, `${client}-${number}`, way);
    yield random.chance(0.25) ? keyed(random, plan) : [plan];
  }
}

function planOf(random: Random, id: string, way: Way): CallPlan {
  const operation = random.pick(OPERATIONS);
  const work = operation === "pipe" ? "command" : random.pick(WORKS);
  const pool = random.pick(POOLS);
  const isLong = random.chance(0.04);
  const leaves = random.chance(0.08);
  const link = random.chance(0.3) && operation !== "place";
  // A child that runs past the fence shows whether there is one.
  const outlasts = pool === FENCED_POOL && random.chance(0.2);
  const shortMs = isLong ? random.between(2_000, 9_000) : random.pick([0, 0, 20, 100, 400]);
  const longMs = random.between(2 * FENCE_MS, 2.5 * FENCE_MS);
  const takesMs = outlasts ? longMs : leaves && link ? 20_000 : shortMs;
  return {
    id,
    workId: id,
    isKeyed: false,
    begins: 0,
    retries: 0,
    way,
    operation,
    work,
    pool,
    takesMs,
    deadlineMs: outlasts ? 3 * FENCE_MS : random.pick([2_000, 10_000, 30_000]),
    waitMs: random.pick([0, 500, 5_000]),
    link,
    throws: work !== "command" && random.chance(0.05),
    stubborn: work === "command" && random.chance(0.1),
    target: random.between(0, 1_000_000),
    ...(leaves && operation !== "place" && { leavesAfterMs: random.between(0, 3_000) }),
  };
}

/** The call with a key, and further calls with it: at other members, by other ways. */
function keyed(random: Random, first: CallPlan): CallPlan[] {
  const { id, operation, way, target, leavesAfterMs: _, ...plan } = first;
  // A body that is the whole input is another form of input than the SDK's.
  const ways = WAYS.filter(
    (each) => operation !== "pipe" || (each === "http") === (way === "http"),
  );
  // `call` and `run` start the same child.
  const operations = OPERATIONS.filter((each) =>
    operation === "pipe" || operation === "place" ? each === operation : ONE_SPEC.has(each),
  );
  const repeats = random.between(0, MAX_REPEATS);
  return Array.from({ length: 1 + repeats }, (_, index): CallPlan => {
    const leaves = operation !== "place" && random.chance(0.15);
    return {
      ...plan,
      id: index === 0 ? id : `${id}-${index}`,
      isKeyed: true,
      begins: index === 0 ? 0 : random.pick([0, 0, "in turn", "in turn", random.between(1, 1_000)]),
      retries: random.pick([0, 3]),
      way: index === 0 ? way : random.pick(ways),
      operation: index === 0 ? operation : random.pick(operations),
      target: target + index,
      ...(leaves && { leavesAfterMs: random.between(0, 3_000) }),
    };
  });
}

const ONE_SPEC: ReadonlySet<Operation> = new Set(["call", "run"]);

/**
 * Opens the sink without creating or truncating it. One write of a short line to a pipe is whole.
 */
const JAVASCRIPT = `async (id, ms, throws, context) => {
  const { closeSync, constants, openSync, writeSync } = await import("node:fs");
  const mark = (what) => {
    const sink = openSync("${SINK}", constants.O_WRONLY);
    writeSync(sink, [id, context.childId, what, Date.now()].join(" ") + "\\n");
    closeSync(sink);
  };
  mark("begun");
  await new Promise((resolve) => setTimeout(resolve, ms));
  if (throws) throw new Error(id);
  mark("done");
  return id;
}`;

/** The module of the task. */
export const TASK_SOURCE = `export default ${JAVASCRIPT};\n`;

const PYTHON = `import os, time

def marked(id, ms, throws, context):
    def mark(what):
        sink = os.open("${SINK}", os.O_WRONLY)
        os.write(sink, f"{id} {context.child_id} {what} {time.time() * 1000}\\n".encode())
        os.close(sink)
    mark("begun")
    time.sleep(ms / 1000)
    if throws:
        raise ValueError(id)
    mark("done")
    return id
`;

const COMMAND = `
mark() { printf '%s %s %s %s\\n' "$0" "$POOL_CHILD_ID" "$1" "\${EPOCHREALTIME}s" >>${SINK}; }
mark begun
sleep "$1"
mark done
if [ "$2" ]; then exec cat; fi
printf %s "$0"
`;

/** The spec of a planned call. */
export function specOf(plan: CallPlan): ChildSpecInput {
  const { deadlineMs, waitMs, link, isKeyed, workId } = plan;
  // The SDK's `run` asks for base64, so all calls with its key do.
  const keyed = isKeyed && ({ idempotencyKey: workId, outputEncoding: "base64" } as const);
  return { ...workOf(plan), deadlineMs, waitMs, link, ...keyed };
}

function workOf({ workId, work, takesMs, throws, stubborn, operation }: CallPlan): ChildSpecInput {
  const args = [workId, takesMs, throws];
  switch (work) {
    case "command": {
      const script = stubborn ? `trap '' TERM\n${COMMAND}` : COMMAND;
      const words = [workId, String(takesMs / 1_000), operation === "pipe" ? "cat" : ""];
      return { command: ["bash", "-c", script, ...words] };
    }
    case "javascript":
      return { function: { source: JAVASCRIPT, args } };
    case "python":
      return { function: { source: PYTHON, runtime: "python", export: "marked", args } };
    case "task":
      return { task: { name: TASK, args } };
  }
}
