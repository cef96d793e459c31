/** The calls of a client, as the seed determines them, and their specs. */
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import { type CallPlan, OPERATIONS, type Way, WORKS } from "./history.ts";
import type { Random } from "./random.ts";

/** The pool of one child a process, and the one whose processes are warm and used again. */
export const POOLS = ["pipeline", "warm"] as const;
/** The folder of the sink, as the children see it. */
export const SINK_FOLDER = "/sink";
const SINK = `${SINK_FOLDER}/marks`;
export const TASK = "marked";

/** An endless sequence of calls. It does not depend on how the calls end. */
export function* callsOf(random: Random, client: string, way: Way): Generator<CallPlan, never> {
  for (let number = 1; ; number++) {
    const id = `${client}-${number}`;
    const operation = random.pick(OPERATIONS);
    const work = operation === "pipe" ? "command" : random.pick(WORKS);
    const isLong = random.chance(0.04);
    const leaves = random.chance(0.08);
    const takesMs = isLong ? random.between(2_000, 9_000) : random.pick([0, 0, 20, 100, 400]);
    const link = random.chance(0.3) && operation !== "place";
    yield {
      id,
      workId: id,
      way,
      operation,
      work,
      pool: random.pick(POOLS),
      takesMs: leaves && link ? 20_000 : takesMs,
      deadlineMs: random.pick([2_000, 10_000, 30_000]),
      waitMs: random.pick([0, 500, 5_000]),
      link,
      throws: work !== "command" && random.chance(0.05),
      stubborn: work === "command" && random.chance(0.1),
      target: random.between(0, 1_000_000),
      ...(leaves && operation !== "place" && { leavesAfterMs: random.between(0, 3_000) }),
    };
  }
}

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
  const { workId, takesMs, throws, stubborn, deadlineMs, waitMs, link } = plan;
  const shared = { deadlineMs, waitMs, link };
  const args = [workId, takesMs, throws];
  switch (plan.work) {
    case "command": {
      const script = stubborn ? `trap '' TERM\n${COMMAND}` : COMMAND;
      const words = [workId, String(takesMs / 1_000), plan.operation === "pipe" ? "cat" : ""];
      return { command: ["bash", "-c", script, ...words], ...shared };
    }
    case "javascript":
      return { function: { source: JAVASCRIPT, args }, ...shared };
    case "python":
      return { function: { source: PYTHON, runtime: "python", export: "marked", args }, ...shared };
    case "task":
      return { task: { name: TASK, args }, ...shared };
  }
}
