/**
 * No sandbox, for a machine and callers that the operator trusts. Each child is a plain process in
 * a process group of its own.
 */
import { mkdtempSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { messageOf } from "../../openapi/errors.ts";
import type { Confinement } from "./confinement.ts";
import { environmentOf } from "./environment.ts";
import { Janitor } from "./janitor.ts";
import { shellNames, withOddNames } from "./odd-names.ts";
import { packed } from "./packing.ts";
import { anonymousPipes, namedPipes } from "./pipe-sources.ts";
import { Pipes } from "./pipes.ts";
import { launchProcess, startProblem } from "./process.ts";
import type { Program, Sandbox } from "./sandbox.ts";

export class NoSandbox implements Sandbox {
  readonly level = "none";
  readonly folder = mkdtempSync(join(tmpdir(), "distributed-pool-"));
  // Elsewhere than on Linux, a child that opens `/dev/stdin` gets its descriptor, not the pipe.
  readonly #pipes = new Pipes(
    process.platform === "linux" ? anonymousPipes : namedPipes(join(this.folder, "pipes")),
  );
  readonly #janitor = new Janitor([], [this.folder]);
  readonly #path: string;

  readonly #log: (message: string) => void;

  /**
   * @param path the children's `PATH`.
   * @param log receives why a child could not be started.
   */
  constructor(path: string, log: (message: string) => void = () => {}) {
    this.#path = path;
    this.#log = log;
  }

  async launch(program: Program, confinement: Confinement) {
    const workspace = await mkdtemp(join(this.folder, "work-")).catch((error) => {
      throw this.startProblem(error);
    });
    const remove = () => rm(workspace, { recursive: true, force: true }).catch(() => {});
    // Nothing is mounted: arguments name the host's files themselves.
    const hostPaths = new Map(program.readOnly.map(({ from, to }) => [to, from]));
    const own = program.argv.map((argument) => hostPaths.get(argument) ?? argument);
    const argv = packed(withOddNames(own, { ...program.env, ...confinement.grants.env }), {
      files: program.files !== undefined,
      artifacts: program.artifacts ?? [],
    });
    const variables = {
      PATH: this.#path,
      HOME: workspace,
      ...userNames(),
      TMPDIR: workspace,
      LANG: "C.UTF-8",
      ...program.env,
    };
    const host = { level: this.level, cpus: availableParallelism() } as const;
    const env = shellNames(environmentOf(variables, confinement, host));
    try {
      const process = await launchProcess(
        program,
        {
          argv: ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", workspace, ...argv],
          env,
          status: false,
        },
        this.#pipes,
      );
      process.exited.then(remove);
      return process;
    } catch (error) {
      await remove();
      throw this.startProblem(error);
    }
  }

  startProblem(cause: unknown) {
    this.#log(`could not start a child: ${messageOf(cause)}`);
    return startProblem(cause);
  }

  async close() {
    await this.#pipes.close();
    await this.#janitor.clean();
  }
}

/** The variables that name the server's user, where the machine has a name for it. */
function userNames(): Record<string, string> {
  try {
    const { username } = userInfo();
    return { USER: username, LOGNAME: username };
  } catch {
    return {};
  }
}
