/** JavaScript and TypeScript in `bun`, on machines that have it on their PATH. */
import { accessSync, constants, realpathSync } from "node:fs";
import { join } from "node:path";
import type { Definition } from "./definition.ts";
import { javascriptRunner } from "./javascript.ts";

const BUN = "/run/distributed-pool/bun";

export const bun: Definition = (machine) => {
  const program = find("bun", machine.path);
  return program === undefined
    ? undefined
    : javascriptRunner(machine, { program, path: BUN, options: [] });
};

/** The file of a program on a PATH. */
function find(program: string, path: string): string | undefined {
  for (const folder of path.split(":")) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return realpathSync(file);
    } catch {
      // The folder has no such program.
    }
  }
  return undefined;
}
