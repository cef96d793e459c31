/** Checks the temporary folder, and the memory for the children of all pools. */
import { accessSync, constants, statfsSync } from "node:fs";
import { tmpdir, totalmem } from "node:os";
import { messageOf } from "../../../../openapi/errors.ts";
import type { Settings } from "../../../member/check-options.ts";
import { confinementOf } from "../../../member/pool-rules.ts";
import { type Cure, type Finding, failed, ok, warning } from "../finding.ts";

const MIB = 1024 * 1024;
/** 64 MiB: a member keeps its sandboxes' files and uploads there. */
const MIN_FREE = 64 * MIB;
/** 1,000 files and folders: each child takes a few. */
const MIN_INODES = 1_000;
/** A folder on the disk, which systems keep beside one in memory. */
const OTHER_FOLDER = "/var/tmp";

const inMib = (bytes: number) => `${Math.floor(bytes / MIB)} MiB`;

/** @param folder Default: that of `TMPDIR`. */
export function temporaryFinding({ maxUploadBytes }: Settings, folder = tmpdir()): Finding {
  const name = "temporary folder";
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    const { bytes, inodes } = freeIn(folder);
    const shown = `${folder} has ${inMib(bytes)} free`;
    if (bytes < MIN_FREE)
      return failed(name, `${shown}; expected ${inMib(MIN_FREE)}`, cure(folder));
    if (inodes < MIN_INODES)
      return failed(name, `${folder} has room for ${inodes} files only`, cure(folder));
    return bytes < maxUploadBytes
      ? warning(name, `${shown}, less than one upload may have`, cure(folder))
      : ok(name, shown);
  } catch (error) {
    return failed(name, messageOf(error), cure(folder));
  }
}

function freeIn(folder: string): { readonly bytes: number; readonly inodes: number } {
  const { bavail, bsize, ffree, files } = statfsSync(folder);
  // A file system without a table of inodes tells 0 of both.
  return { bytes: bavail * bsize, inodes: files === 0 ? Number.POSITIVE_INFINITY : ffree };
}

function cure(folder: string): Cure {
  const text = `remove files from ${folder}, or give the member another folder by TMPDIR`;
  try {
    const isBetter = folder !== OTHER_FOLDER && freeIn(OTHER_FOLDER).bytes >= MIN_FREE;
    if (isBetter) return { cure: `${text}:`, command: `export TMPDIR=${OTHER_FOLDER}` };
  } catch {
    // The machine has no such folder.
  }
  return { cure: text };
}

/** Whether the children of all pools may take more memory than there is. */
export function memoryFinding({ pools }: Settings): Finding {
  const there = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const most = [...pools.values()].reduce(
    (sum, pool) => sum + pool.maxChildren * confinementOf(pool).limits.memoryBytes,
    0,
  );
  const shown = `the children of all pools may take ${inMib(most)}; there are ${inMib(there)}`;
  return most <= there
    ? ok("memory", shown)
    : warning("memory", shown, {
        cure: "lower maxChildren (--pool NAME=MAX), or limits.memoryBytes of a pool in its file",
      });
}
