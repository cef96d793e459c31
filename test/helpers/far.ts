/**
 * A machine of its own as far as the network goes: a network namespace at the end of a cable that
 * can be pulled.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { onPath } from "./programs.ts";

const PROGRAMS = ["ip", "unshare", "nsenter"];

function missing(): string | undefined {
  const program = PROGRAMS.find((each) => !onPath(each));
  if (program) return `${program} is not on PATH`;
  const tried = spawnSync("unshare", [
    "--net",
    "ip",
    "link",
    "add",
    "near",
    "type",
    "veth",
    "peer",
    "name",
    "far",
  ]);
  return tried.status === 0
    ? undefined
    : "no network namespace with a link of its own may be made here";
}

/** Why there is no such machine here; undefined where there is. */
export const farMissing = missing();

export interface FarMachine {
  /** This side's address on the cable. */
  readonly near: string;
  /** Runs a module's text over there, with these arguments; gives the lines that it prints. */
  run(script: string, ...args: string[]): AsyncIterableIterator<string>;
  /** Pulls the cable: nothing passes any more, and neither side gets a message about it. */
  pull(): void;
  plug(): void;
}

let made = 0;

/**
 * Starts such a machine. It ends with the test, and also when this process is killed: a namespace
 * lives as long as its last process.
 */
export async function startFarMachine(): Promise<FarMachine> {
  const holder = spawn("unshare", ["--net", "sh", "-c", "echo up; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void holder.stdin.end());
  await once(holder.stdout, "data");
  const own = (process.pid * 2 + made) & 0x3fff;
  // An address of 198.18.0.0/15, which RFC 2544 reserves for tests of network devices.
  const subnet = `198.18.${own >> 6}.${(own & 63) << 2}`;
  const address = (host: number) => subnet.replace(/\d+$/, (last) => `${Number(last) + host}`);
  const name = `far${process.pid}x${made++}`;
  const ip = (...args: string[]) => execFileSync("ip", args);
  const inside = ["-t", String(holder.pid), "--net"];
  const ipInside = (...args: string[]) => execFileSync("nsenter", [...inside, "ip", ...args]);
  ip("link", "add", name, "type", "veth", "peer", "name", "cable", "netns", String(holder.pid));
  // Connections that still try to send would keep the namespace and the cable for a while.
  onTestFinished(() => void ip("link", "delete", name));
  ip("address", "add", `${address(1)}/30`, "dev", name);
  ip("link", "set", name, "up");
  ipInside("address", "add", `${address(2)}/30`, "dev", "cable");
  const plug = () => void ipInside("link", "set", "cable", "up");
  plug();
  return {
    near: address(1),
    run: (script, ...args) => {
      const program = spawn(
        "nsenter",
        [...inside, process.execPath, "--input-type=module", "-e", script, ...args],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      onTestFinished(() => void program.kill("SIGKILL"));
      return createInterface({ input: program.stdout })[Symbol.asyncIterator]();
    },
    pull: () => void ipInside("link", "set", "cable", "down"),
    plug,
  };
}
