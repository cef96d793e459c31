/** Checks whether a member can listen on its port, and names the program that has it. */
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { messageOf } from "../../../../openapi/errors.ts";
import type { Health } from "../../../../openapi/types.gen.ts";
import type { Client } from "../../../../sdk/typescript/http/client.ts";
import type { Member } from "../../../../sdk/typescript/placement/members.ts";
import type { Settings } from "../../../member/check-options.ts";
import { type Finding, failed, ok } from "../finding.ts";

const NAME = "port";
/** The state of a listening socket in the kernel's table. */
const LISTENING = "0A";
/** 2 seconds for the member that may have the port. */
const ANSWER_MS = 2_000;
const MAX_COMMAND = 80;

/**
 * @param self the member that would listen.
 * @param client asks the member that may run already.
 */
export async function portFinding(
  { host, port }: Settings,
  self: Member,
  client: Client,
): Promise<Finding> {
  const server = createServer();
  try {
    server.listen({ port, host });
    await once(server, "listening");
    server.close();
    return ok(NAME, port === 0 ? "any free one" : `${port} is free`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") return await taken(port, self, client);
    const cure =
      code === "EACCES"
        ? "ports below 1024 are for root: --port takes another one"
        : "name an address of this machine: --host";
    return failed(NAME, `cannot listen on ${host}:${port}: ${messageOf(error)}`, { cure });
  }
}

async function taken(port: number, { name, url }: Member, client: Client): Promise<Finding> {
  const health = await client
    .json<Health>(`${url}/livez`, { member: name, timeoutMs: ANSWER_MS })
    .catch(() => undefined);
  if (health?.member === name) return ok(NAME, `${port} belongs to member ${name}, which runs`);
  const owner = listenerOf(port);
  const by = owner ? `process ${owner.pid}: ${owner.command}` : "a process of another user";
  const other = "take another port: --port PORT, or 0 for any free one";
  return failed(NAME, `${port} is taken by ${by}`, {
    cure: owner ? `${other}; or end that process:` : other,
    command: owner && `kill ${owner.pid}`,
  });
}

/** The process that listens on a port; undefined where this user cannot see it. */
function listenerOf(port: number): { readonly pid: string; readonly command: string } | undefined {
  const inodes = new Set(["tcp", "tcp6"].flatMap((table) => inodesIn(table, port)));
  for (const pid of entries("/proc").filter((name) => /^\d+$/.test(name)))
    for (const fd of entries(`/proc/${pid}/fd`))
      if (inodes.has(target(`/proc/${pid}/fd/${fd}`)))
        return {
          pid,
          command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").slice(0, MAX_COMMAND).trim(),
        };
  return undefined;
}

/** The listening sockets on a port, as links of descriptors show them. */
function inodesIn(table: string, port: number): string[] {
  return read(`/proc/self/net/${table}`)
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = "", , state]) => {
      return state === LISTENING && Number.parseInt(local.split(":")[1] ?? "", 16) === port;
    })
    .map(({ 9: inode }) => `socket:[${inode}]`);
}

const read = (file: string) => orElse("", () => readFileSync(file, "utf8"));
const entries = (folder: string) => orElse([], () => readdirSync(folder));
const target = (link: string) => orElse("", () => readlinkSync(link));

/** Other users' processes cannot be read, and a process may end meanwhile. */
function orElse<T>(otherwise: T, look: () => T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
