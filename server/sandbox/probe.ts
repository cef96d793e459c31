/** Whether a sandbox works on this machine, tried before a member serves. */
import type { Readable } from "node:stream";
import { messageOf } from "../../sdk/typescript/errors.ts";
import type { Sandbox } from "./sandbox.ts";

const PROBE_TIMEOUT_MS = 5_000;

async function read(stream: Readable): Promise<string> {
  let text = "";
  for await (const chunk of stream) text = (text + chunk).slice(0, 4_096);
  return text.trim();
}

/** Runs `true` in the sandbox. Answers undefined when it works, else what went wrong and what to do about it. */
export async function probeSandbox(sandbox: Sandbox): Promise<string | undefined> {
  try {
    const child = await sandbox.launch({ argv: ["true"], env: {}, readOnly: [], channel: false, stdin: false });
    const timer = setTimeout(() => child.kill(), PROBE_TIMEOUT_MS);
    const [{ exitCode }, stderr] = await Promise.all([child.exited, read(child.stderr), read(child.stdout)]);
    clearTimeout(timer);
    return exitCode === 0 ? undefined : `the sandbox's probe ended with exit code ${exitCode}: ${stderr || "no message"}`;
  } catch (error) {
    const detail = messageOf((error as Error).cause ?? error);
    return detail.includes("ENOENT")
      ? "bubblewrap (bwrap), util-linux (prlimit) or coreutils (mkfifo) is missing: install them, on Debian with `apt-get install bubblewrap`"
      : detail;
  }
}
