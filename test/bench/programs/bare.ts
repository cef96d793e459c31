/** A small process that makes bare starts: a start costs a large process more. */
import { type BareTask, runBare } from "../setting/bare.ts";

process.on("message", async (task: BareTask) => process.send?.(await runBare(task)));
process.once("disconnect", () => process.exit());
