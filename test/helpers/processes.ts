/** Members as real processes: `dpool serve` of the built package. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { within } from "./wait.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const READY_TIMEOUT_MS = 30_000;
const EXIT_TIMEOUT_MS = 10_000;

/**
 * The environment without the variables that configure a member or a Consul agent. Members log in
 * the form for people, as at a terminal.
 */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !/^(CONSUL|DPOOL)_/.test(name));
  return { ...Object.fromEntries(others), DPOOL_LOG_FORMAT: "text" };
}

export interface ServeOptions {
  /** Its name in the pools. */
  readonly member: string;
  /** Address of the Consul agent. */
  readonly consul: string;
  /** Default `pipeline=5`; null for pools of a configuration file. */
  readonly pool?: string | null;
  /** Further options of `dpool serve`. */
  readonly args?: readonly string[];
  /** A program that runs the member, with its arguments. */
  readonly runBy?: readonly string[];
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
  /** Further variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface MemberProcess {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** The end of its log so far. */
  readonly log: string;
  /** How it ended. */
  readonly exited: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
  }>;
  kill(signal: NodeJS.Signals): void;
  /** Ends the process in whatever state it is, also a stopped one. Idempotent. */
  end(): Promise<void>;
}

/** Starts a member and waits until it says that it is ready, which is when Consul shows it. */
export async function startServe({
  member,
  consul,
  pool = "pipeline=5",
  args = [],
  runBy = [],
  nodeArgs = [],
  env = {},
}: ServeOptions): Promise<MemberProcess> {
  const [program = process.execPath, ...before] = [...runBy, process.execPath];
  const child = spawn(
    program,
    [
      ...before,
      ...nodeArgs,
      CLI,
      "serve",
      ...(pool === null ? [] : ["--pool", pool]),
      "--port",
      "0",
      "--member",
      member,
      "--consul",
      consul,
      ...args,
    ],
    {
      env: { ...cleanEnvironment(), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-8_192)));
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child
      .once("exit", (code, signal) => resolve({ code, signal }))
      .once("error", () => resolve({ code: null, signal: null }));
  }).finally(() => process.off("exit", killAtExit));
  const ready = new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const url = /^ready (\S+) member (\S+) pools \S+$/m.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    exited.then(({ code, signal }) =>
      reject(new Error(`it ended before it was ready: code ${code}, signal ${signal}`)),
    );
  });
  const end = async () => {
    child.kill("SIGKILL");
    await within(`the end of member ${member}`, EXIT_TIMEOUT_MS, exited);
  };
  let url: string;
  try {
    url = await within(`the ready line of member ${member}`, READY_TIMEOUT_MS, ready);
  } catch (error) {
    await end();
    throw new Error(`member ${member}: ${(error as Error).message}; its log:\n${log}`, {
      cause: error,
    });
  }
  return {
    name: member,
    url,
    pid: child.pid as number,
    get log() {
      return log;
    },
    exited,
    kill: (signal) => {
      child.kill(signal);
    },
    end,
  };
}
