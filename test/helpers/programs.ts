/** Which programs of the system the tests may use. */
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The path of a program that is on PATH. */
export function whereIs(program: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Whether a program is on PATH. */
export const onPath = (program: string) => whereIs(program) !== undefined;

/** Why there is no Python inside the sandbox, which shows `/usr`; undefined where there is. */
export const pythonMissing = existsSync("/usr/bin/python3")
  ? undefined
  : "there is no /usr/bin/python3";
/** Why there is no Bun; undefined where there is. */
export const bunMissing = onPath("bun") ? undefined : "bun is not on PATH";
