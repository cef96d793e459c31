/** Three Consul servers, each on a host of its own, which elect a leader among them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { consulBinary } from "../../helpers/consul.ts";
import { cleanEnvironment } from "../../helpers/processes.ts";
import { eventually, within } from "../../helpers/wait.ts";
import type { Host, Network } from "./network.ts";

const NAMES = ["s1", "s2", "s3"] as const;
const LEADER_MS = 60_000;
const EXIT_MS = 10_000;
const ASK_MS = 2_000;

interface Server {
  readonly host: Host;
  readonly data: string;
  process?: ChildProcess | undefined;
  log: string;
}

export class ConsulServers {
  readonly #servers: Server[];

  private constructor(servers: Server[]) {
    this.#servers = servers;
  }

  /** Starts them and waits for a leader. */
  static async start(network: Network, folder: string): Promise<ConsulServers> {
    const servers: Server[] = [];
    for (const name of NAMES) {
      const host = await network.host(name);
      servers.push({ host, data: join(folder, `consul-${name}`), log: "" });
    }
    const all = new ConsulServers(servers);
    for (const server of servers) all.#run(server);
    await all.leader();
    return all;
  }

  get addresses(): string[] {
    return this.#servers.map(({ host }) => `http://${host.address}:8500`);
  }

  get names(): readonly string[] {
    return NAMES;
  }

  #run(server: Server): void {
    const { host, data } = server;
    mkdirSync(data, { recursive: true });
    const others = this.#servers.map((each) => `-retry-join=${each.host.address}`);
    const command = [
      ...[...host.enter, consulBinary(), "agent", "-server", `-node=${host.name}`],
      ...[`-data-dir=${data}`, "-bootstrap-expect=3", ...others, "-retry-interval=1s"],
      ...[`-bind=${host.address}`, `-client=${host.address}`, "-dns-port=-1", "-grpc-port=-1"],
      ...["-hcl", "performance { raft_multiplier = 1 }", "-hcl", "disable_update_check = true"],
      "-log-level=warn",
    ];
    const [program = "", ...args] = command;
    const child = spawn(program, args, {
      env: cleanEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        server.log = (server.log + text).slice(-8_192);
      });
    const killAtExit = () => child.kill("SIGKILL");
    process.once("exit", killAtExit);
    child.once("exit", () => process.off("exit", killAtExit));
    server.process = child;
  }

  async #kill(server: Server): Promise<void> {
    const { process: child } = server;
    server.process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await within(`the end of ${server.host.name}`, EXIT_MS, exited);
  }

  /** The name of the leader, as soon as there is one. */
  leader(): Promise<string> {
    return eventually(
      "a leader of Consul",
      async () => {
        for (const address of this.addresses) {
          const answer = await fetch(`${address}/v1/status/leader`, {
            signal: AbortSignal.timeout(ASK_MS),
          }).catch(() => undefined);
          const leader = /^"([^"]+):\d+"/.exec((await answer?.text())?.trim() ?? "")?.[1];
          const server = this.#servers.find(({ host }) => host.address === leader);
          if (server) return server.host.name;
        }
        throw new Error(this.#servers.map(({ log }) => log.slice(-500)).join("\n"));
      },
      LEADER_MS,
    );
  }

  /** Kills a server, which keeps its data. */
  async kill(name: string): Promise<void> {
    const server = this.#servers.find(({ host }) => host.name === name);
    if (server) await this.#kill(server);
  }

  /** Starts the servers that do not run. */
  restart(): void {
    for (const server of this.#servers) if (!server.process) this.#run(server);
  }

  /** Kills all servers; nothing that they knew is left. */
  async wipe(): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#kill(server)));
    for (const { data } of this.#servers) rmSync(data, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#kill(server)));
  }
}
