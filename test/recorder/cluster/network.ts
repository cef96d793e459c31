/**
 * The hosts of a cluster. As root each has a network namespace on a common bridge, and a small
 * temporary folder of its own; they go with their holder process, also when this one is killed.
 * Elsewhere each has an address of loopback, and the faults of networks and disks are left out.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { onPath } from "../../helpers/programs.ts";
import { within } from "../../helpers/wait.ts";

const HOLDER_MS = 10_000;
/** Bytes and files of a host's temporary folder. */
const TEMP_BYTES = 64 * 1024 * 1024;
const TEMP_FILES = 4_096;
const PROGRAMS = ["ip", "tc", "unshare", "nsenter", "mount"];

export interface Host {
  readonly name: string;
  readonly address: string;
  /** The beginning of a command that runs on the host. */
  readonly enter: readonly string[];
  /** Its temporary folder, as its programs see it. */
  readonly temp: string;
  /** The same folder, as this process sees it. */
  readonly tempHere: string;
}

/** Why hosts share one network here; undefined where each has its own. */
export const networkMissing: string | undefined = (() => {
  const missing = PROGRAMS.find((program) => !onPath(program));
  if (missing) return `${missing} is not on PATH`;
  const script =
    "ip link add name hub0 type bridge && ip link add name up0 type veth peer name up1 && " +
    "tc qdisc add dev up0 root pfifo limit 0 && mount -t tmpfs tmpfs /tmp";
  const tried = spawnSync("unshare", ["--net", "--mount", "sh", "-c", script]);
  return tried.status === 0 ? undefined : "no namespace with a bridge may be made here";
})();

type Direction = "in" | "out";
const DROP = ["root", "pfifo", "limit", "0"];
/** An address that no host has: frames that are sent there get lost. */
const NOWHERE = "02:00:00:00:00:01";

async function hold(script: string): Promise<{ pid: number; end(): void }> {
  const holder = spawn("unshare", ["--net", "--mount", "sh", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await within("a namespace", HOLDER_MS, once(holder.stdout, "data"));
  return { pid: holder.pid as number, end: () => void holder.stdin.end() };
}

export class Network {
  readonly #folder: string;
  readonly #hosts = new Map<string, { host: Host; pid: number; end(): void }>();
  /** The process that holds the bridge; undefined on loopback. */
  #hub: { pid: number; end(): void } | undefined;
  readonly #prefix = `198.18.${process.pid & 0xff}`;

  /** @param folder for what the hosts keep; any user may pass through it. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(): Promise<void> {
    if (networkMissing) return;
    this.#hub = await hold("echo up; exec cat");
    const { pid } = this.#hub;
    const near = `rec${process.pid}`;
    execFileSync("ip", [
      ...["link", "add", near, "type", "veth"],
      ...["peer", "name", "up0", "netns", String(pid)],
    ]);
    const script =
      "ip link add name hub0 type bridge && ip link set hub0 up && " +
      "ip link set up0 master hub0 && ip link set up0 up";
    this.#inside(pid, "sh", "-c", script);
    execFileSync("ip", ["address", "add", `${this.#prefix}.254/24`, "dev", near]);
    execFileSync("ip", ["link", "set", near, "up"]);
  }

  async host(name: string): Promise<Host> {
    const number = this.#hosts.size + 1;
    const shared = join(this.#folder, `tmp-${this.#hub ? "here" : name}`);
    mkdirSync(shared, { recursive: true, mode: 0o755 });
    if (!this.#hub) {
      const address = `127.${100 + (process.pid % 100)}.${(process.pid >> 8) & 0xff}.${number}`;
      const host = { name, address, enter: [], temp: shared, tempHere: shared };
      this.#hosts.set(name, { host, pid: 0, end: () => {} });
      return host;
    }
    const size = `size=${TEMP_BYTES},nr_inodes=${TEMP_FILES}`;
    const mount = `mount -t tmpfs -o ${size},mode=755 tmpfs ${shared}`;
    // The library of false clocks keeps shared memory, which a killed process leaves behind.
    const memory = "mount -t tmpfs tmpfs /dev/shm";
    const holder = await hold(`${mount} && ${memory} && echo up && exec cat`);
    const { pid } = holder;
    const port = `port${number}`;
    this.#hubRun(
      "ip",
      "link",
      "add",
      port,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      `${pid}`,
    );
    this.#hubRun("ip", "link", "set", port, "master", "hub0");
    this.#hubRun("ip", "link", "set", port, "up");
    const address = `${this.#prefix}.${number}`;
    this.#inside(pid, "ip", "link", "set", "lo", "up");
    this.#inside(pid, "ip", "address", "add", `${address}/24`, "dev", "eth0");
    this.#inside(pid, "ip", "link", "set", "eth0", "up");
    const enter = ["nsenter", "-t", String(pid), "--net", "--mount", "--"];
    const host = { name, address, enter, temp: shared, tempHere: `/proc/${pid}/root${shared}` };
    this.#hosts.set(name, { host, ...holder });
    return host;
  }

  #inside(pid: number, ...command: string[]): void {
    execFileSync("nsenter", ["-t", String(pid), "--net", "--", ...command]);
  }

  #hubRun(...command: string[]): void {
    if (this.#hub) this.#inside(this.#hub.pid, ...command);
  }

  #of(name: string) {
    const entry = this.#hosts.get(name);
    if (!entry) throw new Error(`there is no host ${name}`);
    return entry;
  }

  /** Loses all packets to the host (`in`) or from it (`out`), without a word to either side. */
  lose(name: string, direction: Direction): void {
    const { pid } = this.#of(name);
    const port = `port${[...this.#hosts.keys()].indexOf(name) + 1}`;
    if (direction === "in") this.#hubRun("tc", "qdisc", "replace", "dev", port, ...DROP);
    else this.#inside(pid, "tc", "qdisc", "replace", "dev", "eth0", ...DROP);
  }

  pass(name: string, direction: Direction): void {
    const { pid } = this.#of(name);
    const port = `port${[...this.#hosts.keys()].indexOf(name) + 1}`;
    if (direction === "in") this.#hubRun("tc", "qdisc", "del", "dev", port, "root");
    else this.#inside(pid, "tc", "qdisc", "del", "dev", "eth0", "root");
  }

  /** Loses the packets from the first host to the second one; others are not touched. */
  separate(from: string, to: string): void {
    const { host } = this.#of(to);
    const entry = [host.address, "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent"];
    this.#inside(this.#of(from).pid, "ip", "neigh", "replace", ...entry);
  }

  join(from: string, to: string): void {
    const { host } = this.#of(to);
    this.#inside(this.#of(from).pid, "ip", "neigh", "del", host.address, "dev", "eth0");
  }

  close(): void {
    for (const { end } of this.#hosts.values()) end();
    this.#hub?.end();
  }
}
