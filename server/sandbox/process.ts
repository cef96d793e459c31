/** Starts a contained process and keeps hold of it: its pipes, its own pid inside the containment, its end. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { constants } from "node:os";
import { type Duplex, pipeline, type Readable, type Writable } from "node:stream";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { Cgroup } from "./cgroup.ts";
import { inheritedDescriptors } from "./descriptors.ts";
import { ARTIFACTS_FD, FILES_FD } from "./packing.ts";
import type { Pipe, Pipes } from "./pipes.ts";
import type { Exit, Program, SandboxedProcess } from "./sandbox.ts";

/** A command line of the container, and what it asks of the descriptors beyond 3. */
export interface Launch {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Descriptor 4: data the container reads at its start. */
  readonly arguments?: Buffer;
  /** Descriptor 5 receives bubblewrap's JSON status, which tells the pid of the sandbox's first process. */
  readonly status: boolean;
  /** A file that the container reads at {@link FILTER_FD}. The caller closes it. */
  readonly filterFd?: number;
  /** How many processes stand between the sandbox's first process's child and the program itself. */
  readonly depth?: number;
  /** The group that the tree joins: it tells what was used, and that nothing is left. Removed at the end. */
  readonly group?: Cgroup | undefined;
  /** Processor time after which the tree is killed, in milliseconds. */
  readonly cpuMs?: number;
}

/** Descriptors of the container and of what packs files; 3 is the program's channel or its progress, 4 the container's arguments. */
export const STATUS_FD = 5;
export const FILTER_FD = 6;
const CHANNEL_FD = 3;
const ARGUMENTS_FD = 4;

/** Limits that the kernel counts but does not keep for a whole group are looked at this often. */
const WATCH_MS = 500;

/** By number; the first of several names counts, such as SIGABRT before SIGIOT. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** The program's own ending: shells and bubblewrap report a death by signal n as exit code 128 + n. */
export function exitOf(
  code: number | null,
  signal: NodeJS.Signals | null,
): Pick<Exit, "exitCode" | "signal"> {
  if (signal !== null) return { exitCode: 128 + constants.signals[signal], signal };
  const exitCode = code ?? 1;
  return { exitCode, signal: exitCode > 128 ? (SIGNAL_NAMES.get(exitCode - 128) ?? null) : null };
}

/** What this process inherited itself; whatever Node opens later is closed in a child. */
let inherited: { readonly descriptors: number[]; readonly nothing: number } | undefined;

/** A child's descriptors, with nothing in the place of each that it would inherit from whoever started this process. */
function withoutInherited(stdio: ("ignore" | "pipe" | number)[]): ("ignore" | "pipe" | number)[] {
  if (!inherited) {
    const descriptors = inheritedDescriptors();
    inherited = { descriptors, nothing: descriptors.length > 0 ? openSync("/dev/null", "r+") : -1 };
  }
  for (const fd of inherited.descriptors) {
    while (stdio.length <= fd) stdio.push("ignore");
    if (stdio[fd] === "ignore") stdio[fd] = inherited.nothing;
  }
  return stdio;
}

function endGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended already.
  }
}

export async function launch(
  program: Program,
  given: Launch,
  pipes: Pipes,
): Promise<SandboxedProcess> {
  const { argv, env, arguments: data, status, filterFd, depth = 0, group } = given;
  const opened: Pipe[] = [];
  const open = async (make: () => Promise<Pipe>) => {
    const pipe = await make();
    opened.push(pipe);
    return pipe;
  };
  try {
    const stdin = program.stdin ? await open(() => pipes.input()) : null;
    const stdout = await open(() => pipes.output());
    const stderr = await open(() => pipes.output());
    const progress = program.progress ? await open(() => pipes.output()) : null;
    const artifacts = program.artifacts?.length ? await open(() => pipes.output()) : null;
    const [file = "", ...args] = argv;
    const stdio: ("ignore" | "pipe" | number)[] = [
      stdin?.childFd ?? "ignore",
      stdout.childFd,
      stderr.childFd,
    ];
    stdio[CHANNEL_FD] = program.channel ? "pipe" : (progress?.childFd ?? "ignore");
    stdio[ARGUMENTS_FD] = data ? "pipe" : "ignore";
    stdio[STATUS_FD] = status ? "pipe" : "ignore";
    stdio[FILTER_FD] = filterFd ?? "ignore";
    stdio[FILES_FD] = program.files ? "pipe" : "ignore";
    stdio[ARTIFACTS_FD] = artifacts?.childFd ?? "ignore";
    const child = spawn(file, args, {
      env,
      cwd: "/",
      // A process group of its own, so that the group can be ended and a terminal's Ctrl-C reaches only the server.
      detached: true,
      stdio: withoutInherited(stdio),
    });
    const streams = child.stdio as unknown as (Duplex | null)[];
    const sandbox = status ? readStatus(streams[STATUS_FD] as Readable) : undefined;
    const watch = group
      ? watched(group, given.cpuMs ?? Number.POSITIVE_INFINITY, () =>
          endGroup(child.pid, "SIGKILL"),
        )
      : undefined;
    const exited = new Promise<Exit>((resolve) =>
      child.once("exit", async (code, signal) => {
        // What the program left in its process group ends with it.
        endGroup(child.pid, "SIGKILL");
        const counted = watch?.end();
        await group?.remove();
        // bubblewrap tells the exit code of a program only where it could start one. A bubblewrap that was killed tells nothing.
        const started = sandbox === undefined || signal !== null || (await sandbox.toldExit());
        resolve({
          ...exitOf(code, signal),
          started,
          exceeded: counted?.exceeded,
          usage: counted?.usage,
        });
      }),
    );
    const spawned = new Promise<void>((resolve, reject) =>
      child.once("spawn", resolve).once("error", (error) => {
        watch?.end();
        reject(error);
      }),
    );
    for (const stream of [
      ...child.stdio,
      stdin?.stream,
      stdout.stream,
      stderr.stream,
      progress?.stream,
      artifacts?.stream,
    ])
      stream?.on("error", () => {});
    if (data) (streams[ARGUMENTS_FD] as Writable).end(data);
    // A child that ends before it has read its files takes no more of them.
    if (program.files) pipeline(program.files, streams[FILES_FD] as Writable, () => {});
    await spawned;
    for (const { childFd } of opened) closeSync(childFd);
    const { pid } = child;
    let over = false;
    exited.then(() => {
      over = true;
    });
    const killGroup = (signal: NodeJS.Signals) => {
      if (!over) endGroup(pid, signal);
    };
    return {
      stdin: stdin?.stream ?? null,
      stdout: stdout.stream,
      stderr: stderr.stream,
      channel: program.channel ? (streams[CHANNEL_FD] as Duplex) : null,
      progress: progress?.stream ?? null,
      artifacts: artifacts?.stream ?? null,
      exited,
      kill: () => killGroup("SIGKILL"),
      usedMs: () => watch?.usedMs(),
      async signal(signal) {
        const first = await sandbox?.firstPid;
        if (first === undefined) return killGroup(signal);
        // bubblewrap's first process would ignore it, and its outer one would end at once: the program is the first one's child.
        let own = await firstChild(first, () => over);
        for (let level = 0; level < depth && own !== undefined; level++)
          own = await firstChild(own, () => over);
        if (over || own === undefined) return;
        try {
          process.kill(own, signal);
        } catch {
          // It has ended in this moment.
        }
      },
    };
  } catch (error) {
    for (const { stream, childFd } of opened) {
      stream.destroy();
      try {
        closeSync(childFd);
      } catch {
        // It was closed already.
      }
    }
    program.files?.destroy();
    throw PoolError.of("sandbox_unavailable", `could not start the child: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Looks at what a group uses; kills it when it is over a limit. `end` tells what it used and which limit it broke. */
function watched(
  group: Cgroup,
  cpuMs: number,
  kill: () => void,
): { usedMs(): number | undefined; end(): Pick<Exit, "exceeded" | "usage"> } {
  /** Somebody with the rights may have removed the group: then nothing is known of it. */
  const asked = <T>(question: () => T): T | undefined => {
    try {
      return question();
    } catch {
      return undefined;
    }
  };
  const broken = () =>
    asked((): Exit["exceeded"] =>
      group.outOfMemory ? "memory" : group.cpuMs > cpuMs ? "cpu" : undefined,
    );
  let exceeded: Exit["exceeded"];
  const timer = setInterval(() => {
    exceeded ??= broken();
    if (exceeded === undefined) return;
    kill();
    asked(() => group.kill());
  }, WATCH_MS);
  return {
    usedMs: () => asked(() => group.cpuMs),
    end() {
      clearInterval(timer);
      const usage = asked(() => ({
        cpuMs: Math.round(group.cpuMs * 1_000) / 1_000,
        maxRssBytes: group.peakBytes,
      }));
      return { exceeded: exceeded ?? broken(), usage };
    },
  };
}

/** A sandbox that comes up takes less to start its program. */
const START_TIMEOUT_MS = 2_000;
const START_POLL_MS = 5;

/** The pid of a process's first child, which may be about to be started. */
async function firstChild(pid: number, over: () => boolean): Promise<number | undefined> {
  for (let waited = 0; waited < START_TIMEOUT_MS && !over(); waited += START_POLL_MS) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    const child = Number.parseInt(children, 10);
    if (child > 0) return child;
    await new Promise((resolve) => setTimeout(resolve, START_POLL_MS));
  }
  return undefined;
}

/** After the end of bubblewrap nothing holds its status open. */
const STATUS_TIMEOUT_MS = 1_000;

/** What bubblewrap says of its sandbox: the host's pid of the first process in it, and whether the program's exit was told. */
function readStatus(status: Readable): {
  readonly firstPid: Promise<number | undefined>;
  toldExit(): Promise<boolean>;
} {
  let text = "";
  status.setEncoding("utf8");
  const closed = new Promise<void>((resolve) => status.once("close", resolve));
  const firstPid = new Promise<number | undefined>((resolve) => {
    status.on("data", (chunk: string) => {
      text = (text + chunk).slice(0, 4_096);
      const pid = /"child-pid":\s*(\d+)/.exec(text)?.[1];
      if (pid !== undefined) resolve(Number(pid));
    });
    void closed.then(() => resolve(undefined));
  });
  const toldExit = async () => {
    const timer = setTimeout(() => status.destroy(), STATUS_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
    return text.includes('"exit-code"');
  };
  return { firstPid, toldExit };
}
