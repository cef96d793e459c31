import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Runs ffmpeg until it ends, or the signal aborts. Throws ffmpeg's own message when it fails. */
export async function ffmpeg(args: readonly string[], signal: AbortSignal): Promise<void> {
  await run("ffmpeg", ["-v", "error", ...args], { signal });
}
