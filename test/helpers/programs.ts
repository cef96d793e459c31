/** Which programs of the system the tests may use. */
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Whether a program is on PATH. */
export function onPath(program: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why there is no Python inside the sandbox, which shows `/usr`; undefined where there is. */
export const pythonMissing = existsSync("/usr/bin/python3")
  ? undefined
  : "there is no /usr/bin/python3";
/** Why there is no Bun; undefined where there is. */
export const bunMissing = onPath("bun") ? undefined : "bun is not on PATH";
