import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Runs ffmpeg to its end, or until it is no longer wanted. Throws with its own words when it fails. */
export async function ffmpeg(args: readonly string[], signal: AbortSignal): Promise<void> {
  await run("ffmpeg", ["-v", "error", ...args], { signal });
}
