/** A real Consul agent in development mode: one server that keeps everything in memory. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cleanEnvironment } from "./processes.ts";
import { eventually, within } from "./wait.ts";

const LEADER_TIMEOUT_MS = 30_000;
const EXIT_TIMEOUT_MS = 10_000;
/** A port that was free a moment ago may be taken by now. */
const ATTEMPTS = 3;

/** The variable names the program: one of another version, for example. */
function find(): string | undefined {
  if (process.env.DPOOL_TEST_CONSUL) return process.env.DPOOL_TEST_CONSUL;
  const unpacked = fileURLToPath(new URL("../../.tools/usr/bin", import.meta.url));
  for (const directory of [...(process.env.PATH ?? "").split(delimiter), unpacked]) {
    const file = join(directory, "consul");
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // The program is not in this directory.
    }
  }
  return undefined;
}

const binary = find();

/** Why there is no Consul to test with; undefined when there is one. */
export const consulMissing: string | undefined =
  binary === undefined
    ? "consul is neither on PATH nor in .tools/usr/bin: see .dev/setup.sh"
    : undefined;

/** The program's path. @throws when there is none. */
export function consulBinary(): string {
  if (binary === undefined) throw new Error(consulMissing);
  return binary;
}

/** Arguments for a newer Consul, which has one more port. */
const newerArgs =
  binary !== undefined &&
  spawnSync(binary, ["agent", "-help"], { encoding: "utf8" }).stdout?.includes("-grpc-tls-port")
    ? ["-grpc-tls-port=-1"]
    : [];

export interface ConsulAgent {
  /** `http://127.0.0.1:PORT`, the same over restarts. */
  readonly httpAddress: string;
  /** `https://127.0.0.1:PORT`, where the configuration has it. */
  readonly httpsAddress: string;
  /** Ends the process. Idempotent. */
  stop(): Promise<void>;
  /** Starts the agent again on the same ports, with an empty memory. */
  restart(): Promise<void>;
  /** Asks its HTTP API, with the token of the options; throws on anything but success. */
  ask<T>(path: string, method?: "GET" | "PUT" | "DELETE", body?: object): Promise<T>;
}

export interface ConsulAgentOptions {
  /** Further configuration in HCL; `{https}` in it becomes a free port. Default: none. */
  readonly config?: string;
  /** The token of `ask`. Default: none. */
  readonly token?: string;
}

/** Ports that are free at this moment, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return (server.address() as { port: number }).port;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

interface Running {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown>;
}

async function end({ process: agent, exited }: Running): Promise<void> {
  agent.kill("SIGKILL");
  await within("the end of the Consul agent", EXIT_TIMEOUT_MS, exited);
}

/** Starts the process and waits until it has elected itself. */
async function run(ports: readonly number[], httpAddress: string, hcl = ""): Promise<Running> {
  const [http, lan, wan, server, https] = ports;
  const child = spawn(
    binary as string,
    [
      "agent",
      "-dev",
      "-node=test",
      "-bind=127.0.0.1",
      "-client=127.0.0.1",
      "-dns-port=-1",
      "-grpc-port=-1",
      ...newerArgs,
      `-http-port=${http}`,
      `-serf-lan-port=${lan}`,
      `-serf-wan-port=${wan}`,
      `-server-port=${server}`,
      "-log-level=warn",
      `-hcl=${hcl.replace("{https}", String(https))}`,
    ],
    { env: cleanEnvironment(), stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream
      .setEncoding("utf8")
      .on("data", (text: string) => (output = (output + text).slice(-8_192)));
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve()).once("error", () => resolve());
  }).finally(() => process.off("exit", killAtExit));
  const running = { process: child, exited };
  const gone = exited.then(() => {
    throw new Error(`the Consul agent ended before it was ready: ${output}`);
  });
  const leader = eventually(
    "a leader of the Consul agent",
    async () => {
      const answer = await fetch(`${httpAddress}/v1/status/leader`);
      const text = await answer.text();
      if (!answer.ok || !/^"[^"]+"$/.test(text.trim()))
        throw new Error(`HTTP ${answer.status}: ${text}`);
    },
    LEADER_TIMEOUT_MS,
  );
  try {
    // If the process has ended, the polling runs to its deadline without a listener.
    leader.catch(() => {});
    await Promise.race([leader, gone]);
    gone.catch(() => {});
  } catch (error) {
    await end(running);
    throw new Error(`${(error as Error).message}\n${output}`, { cause: error });
  }
  return running;
}

export async function startConsul({
  config,
  token,
}: ConsulAgentOptions = {}): Promise<ConsulAgent> {
  if (binary === undefined) throw new Error(consulMissing);
  let running: Running | undefined;
  let ports: number[] = [];
  let httpAddress = "";
  for (let attempt = 1; running === undefined; attempt++) {
    ports = await freePorts(5);
    httpAddress = `http://127.0.0.1:${ports[0]}`;
    try {
      running = await run(ports, httpAddress, config);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
  const stop = async () => {
    const current = running;
    running = undefined;
    if (current) await end(current);
  };
  return {
    httpAddress,
    httpsAddress: `https://127.0.0.1:${ports[4]}`,
    stop,
    async restart() {
      await stop();
      running = await run(ports, httpAddress, config);
    },
    async ask<T>(path: string, method: "GET" | "PUT" | "DELETE" = "GET", body?: object) {
      const answer = await fetch(`${httpAddress}${path}`, {
        method,
        headers: token === undefined ? {} : { "x-consul-token": token },
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: HTTP ${answer.status}: ${text}`);
      return (text === "" ? undefined : JSON.parse(text)) as T;
    },
  };
}
