/** The folder of this machine for the files that a child leaves. */
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { messageOf } from "../../../openapi/errors.ts";
import { UsageError } from "../usage-error.ts";

/** Makes the folder of `--out`, where it is missing. @throws {UsageError} */
export function makeOutFolder(out: string): void {
  try {
    const folder = resolve(out);
    make(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UsageError(`--out: expected a folder to write into; got ${messageOf(error)}`);
  }
}

/** Node's own recursive `mkdir` does not end in a folder such as /proc. */
function make(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(folder);
  if (parent !== folder) make(parent);
  mkdirSync(folder);
}
