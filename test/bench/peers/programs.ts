/** The programs of the peers: servers, and the processes that do their work. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { eventually, within } from "../../helpers/wait.ts";
import { toolsEnvironment } from "./install.ts";

const READY_MS = 30_000;
const EXIT_MS = 10_000;

export interface Running {
  end(): Promise<void>;
}

/** A port that is free at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function runningOf(name: string, child: ChildProcess): Running {
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const exited = once(child, "exit").finally(() => process.off("exit", killAtExit));
  exited.catch(() => {});
  return {
    async end() {
      child.kill("SIGKILL");
      await within(`the end of ${name}`, EXIT_MS, exited);
    },
  };
}

/** Starts a server, and waits until it takes connections. */
export async function startServer(
  file: string,
  args: readonly string[],
  port: number,
): Promise<Running> {
  const child = spawn(file, args, { stdio: "ignore", env: toolsEnvironment() });
  const running = runningOf(file, child);
  child.once("error", () => {});
  await eventually(
    `${file} to listen`,
    async () => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
    },
    READY_MS,
  );
  return running;
}

/** Starts a program of `programs/`, and waits until it says that it is ready. */
export async function startProgram(name: string, args: readonly string[]): Promise<Running> {
  const file = fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url));
  const child = fork(file, args, { env: toolsEnvironment() });
  const running = runningOf(name, child);
  await within(`${name} to be ready`, READY_MS, once(child, "message"));
  return running;
}
