/** Says who has the port that a member wanted, and how to choose another. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../usage-error.ts";

/** 500 ms for the program behind the port to say whether it is a member. */
const ASK_TIMEOUT_MS = 500;
/** Another port, so much higher that the members of both programs have room. */
const STEP = 10;
const MAX_PORT = 65_535;
const TAKEN = /cannot listen on (.+):(\d+): .*EADDRINUSE/;
/** A socket that listens, in Linux's table: its port in hexadecimal digits, and its inode. */
const LISTENS = /^\s*\d+: [\dA-F]+:([\dA-F]+) \S+ 0A (?:\S+ ){3}\s*\d+\s+\d+ (\d+) /gm;

/** Whether the error says that a port is taken. */
export const isPortTaken = (error: unknown): error is Error =>
  error instanceof Error && TAKEN.test(error.message);

/**
 * The error as one line: the port, the program that has it, and a command with another port.
 *
 * @param again the command without its port, such as `dpool dev`.
 */
export async function portTaken({ message }: Error, again: string): Promise<UsageError> {
  const [, host = "", port = ""] = TAKEN.exec(message) ?? [];
  const wanted = Number(port);
  const by = [await memberAt(`http://${host}:${port}`), processAt(wanted)].filter((each) => each);
  const free = wanted + STEP > MAX_PORT ? 0 : wanted + STEP;
  return new UsageError(
    `port ${port} of ${host} is taken by ${by.join(", ") || "another program"}; ` +
      `choose another: ${again} --port ${free}`,
  );
}

async function memberAt(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    const { member, sandbox } = (await answer.json()) as Record<string, unknown>;
    return typeof member === "string" && sandbox ? `member ${member}` : undefined;
  } catch {
    return undefined;
  }
}

/** The process that listens, where Linux shows it to this user. */
function processAt(port: number): string | undefined {
  const inodes = new Set<string>();
  try {
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"])
      for (const [, at = "", inode = ""] of readFileSync(table, "latin1").matchAll(LISTENS))
        if (Number.parseInt(at, 16) === port) inodes.add(`socket:[${inode}]`);
  } catch {
    // Another system, or a kernel without IPv6.
  }
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`))
        if (inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`)))
          return `process ${pid} (${basename(readlinkSync(`/proc/${pid}/exe`))})`;
    } catch {
      // Another user's process, or one that has ended.
    }
  }
  return undefined;
}
