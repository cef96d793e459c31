/** Calls functions in one runtime, each in a process of its own. */
import type { Runner } from "./definition.ts";
import type { Place, Runtime, Started, Work } from "./runtime.ts";
import { jobOf, Worker } from "./worker.ts";

export class FunctionRuntime implements Runtime {
  readonly runner: Runner;

  constructor(runner: Runner) {
    this.runner = runner;
  }

  async start(work: Work, { sandbox, confinement, files, artifacts }: Place): Promise<Started> {
    const { spec } = work;
    const { argv, readOnly } = this.runner;
    const program = { argv, env: { ...spec.env }, readOnly, channel: true, stdin: spec.stdin !== undefined, files, artifacts };
    const worker = await Worker.launch(program, sandbox, confinement);
    return worker.call(jobOf(work), artifacts.length > 0);
  }
}
