/** The processor time that `dpool call` spends until its first request arrives at a member. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cleanEnvironment } from "../../helpers/processes.ts";
import { within } from "../../helpers/wait.ts";
import type { Context, Outcome } from "../benchmark.ts";
import { cpuMsOf } from "../measure/processes.ts";
import { figureOf } from "../measure/statistics.ts";
import { CLI } from "../setting/pools.ts";

const ARRIVAL_MS = 30_000;

/** Node itself, which does nothing but one request: the least that a command line can cost. */
const BARE = 'require("node:http").get(process.argv[1]).on("error", () => {})';

export async function run({ quick }: Context): Promise<Outcome> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const measure = async (args: readonly string[]) => {
    const begin = performance.now();
    const arrived = once(server, "request");
    const child = spawn(process.execPath, args, { stdio: "ignore", env: cleanEnvironment() });
    try {
      await within("the first request of the command line", ARRIVAL_MS, arrived);
      return { cpu: cpuMsOf(child.pid as number), wall: performance.now() - begin };
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  };
  const commands = {
    "node alone": ["-e", BARE, url],
    "dpool call": [CLI, "call", "pipeline", "--url", url, "--", "true"],
  };
  const seen = Object.entries(commands).map(([name, args]) => ({
    name,
    args,
    cpu: [] as number[],
    wall: [] as number[],
  }));
  for (let round = 0; round < (quick ? 1 : 11); round++)
    for (const each of seen) {
      const { cpu, wall } = await measure(each.args);
      each.cpu.push(cpu);
      each.wall.push(wall);
    }
  server.closeAllConnections();
  server.close();
  const rows = seen.map(({ name, cpu, wall }) => [name, figureOf(cpu), figureOf(wall)]);
  return {
    tables: [
      {
        title: "To the first request",
        columns: ["command", "processor time, ms", "time, ms"],
        rows,
      },
    ],
    figures: { "cli/cpu": figureOf(seen[1]?.cpu ?? []).median },
  };
}
