/** Installs the peers into `.tools/bench`, and says which are missing. */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cleanEnvironment } from "../../helpers/processes.ts";

const SETUP = fileURLToPath(new URL("setup.sh", import.meta.url));
const TIMEOUT_MS = 180_000;

export const TOOLS = fileURLToPath(new URL("../../../.tools/bench", import.meta.url));

/** Where the packages of npm are. */
export const PACKAGES = join(TOOLS, "npm");

/** The environment in which the unpacked programs run. */
export function toolsEnvironment(): NodeJS.ProcessEnv {
  const under = (path: string) => join(TOOLS, path);
  const programs = ["usr/bin", "usr/sbin", "usr/lib/erlang/bin"].map(under);
  const erlang = under("usr/lib/erlang");
  return {
    ...cleanEnvironment(),
    PATH: [...programs, process.env.PATH ?? ""].join(delimiter),
    LD_LIBRARY_PATH: globSync(under("usr/lib/*-linux-gnu*")).join(delimiter),
    LC_ALL: "C.UTF-8",
    ...(existsSync(erlang) && { ERL_ROOTDIR: erlang }),
  };
}

/** Installs what is not there yet. @returns the reason for each peer that is missing. */
export function installPeers(): ReadonlyMap<string, string> {
  const { status, error } = spawnSync("sh", [SETUP, TOOLS], {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: TIMEOUT_MS,
  });
  const names = ["BullMQ", "piscina", "tinypool", "gearmand", "Elixir"];
  if (status !== 0)
    return new Map(names.map((name) => [name, `the set-up failed: ${error?.message ?? status}`]));
  const lines = readFileSync(join(TOOLS, "missing"), "utf8").split("\n").filter(Boolean);
  return new Map(lines.map((line) => line.split(": ", 2) as [string, string]));
}
