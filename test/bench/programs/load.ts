/** A process that loads servers: it runs the tasks that its parent sends. */
import { runTask } from "../load/run-task.ts";
import type { Task } from "../load/task.ts";

process.on("message", async (task: Task) => process.send?.(await runTask(task)));
process.once("disconnect", () => process.exit());
