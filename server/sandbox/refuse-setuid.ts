/** Refuses a bubblewrap that runs as root, so that a flaw in it cannot make a child root. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { PoolError } from "../../openapi/errors.ts";

/**
 * @param folders in which bubblewrap is looked for; the first file that is found is the one that
 *   runs.
 * @throws {PoolError} `sandbox_unavailable` for a setuid file.
 */
export function refuseSetuid(folders: readonly string[]): void {
  for (const folder of folders) {
    const stat = statSync(join(folder, "bwrap"), { throwIfNoEntry: false });
    if (!stat?.isFile() || (stat.mode & 0o111) === 0) continue;
    if ((stat.mode & 0o4000) === 0) return;
    throw PoolError.of(
      "sandbox_unavailable",
      `${folder}/bwrap is setuid, so a flaw in it would make a child root. ` +
        `Mend it with: chmod u-s ${folder}/bwrap`,
    );
  }
}
