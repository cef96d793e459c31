/**
 * The limit L as a process: raw `node:http` that passes the body to one of its processes over a
 * pipe, and answers by SSE with one event before and one after.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "../../helpers/wait.ts";

const PROGRAM = fileURLToPath(new URL("../programs/limit.ts", import.meta.url));
const READY_MS = 20_000;

export interface Server {
  readonly url: string;
  readonly pid: number;
  end(): Promise<void>;
}

/** @param processes how many processes do the work. */
export async function startLimit(processes: number): Promise<Server> {
  const child = spawn(process.execPath, [PROGRAM, String(processes)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const [url] = (await within("the limit to listen", READY_MS, once(lines, "line"))) as [string];
  return {
    url,
    pid: child.pid as number,
    async end() {
      child.kill("SIGTERM");
      await within("the end of the limit", READY_MS, exited);
    },
  };
}
