/** Starts a contained process and keeps hold of it: its pipes, its own pid inside the containment, its end. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { constants } from "node:os";
import type { Duplex, Readable, Writable } from "node:stream";
import { messageOf, PoolError } from "../../sdk/typescript/errors.ts";
import { inheritedDescriptors } from "./descriptors.ts";
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
}

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/** The program's own ending: shells and bubblewrap report a death by signal n as exit code 128 + n. */
export function exitOf(code: number | null, signal: NodeJS.Signals | null): Omit<Exit, "started"> {
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

export async function launch(program: Program, { argv, env, arguments: data, status }: Launch, pipes: Pipes): Promise<SandboxedProcess> {
  const opened: Pipe[] = [];
  try {
    for (const make of [program.stdin ? () => pipes.input() : null, () => pipes.output(), () => pipes.output()]) if (make) opened.push(await make());
    const [stdin, stdout, stderr] = (program.stdin ? opened : [null, ...opened]) as [Pipe | null, Pipe, Pipe];
    const [file = "", ...args] = argv;
    const child = spawn(file, args, {
      env,
      cwd: "/",
      // A process group of its own, so that the group can be ended and a terminal's Ctrl-C reaches only the server.
      detached: true,
      stdio: withoutInherited([
        stdin?.childFd ?? "ignore",
        stdout.childFd,
        stderr.childFd,
        program.channel ? "pipe" : "ignore",
        data ? "pipe" : "ignore",
        status ? "pipe" : "ignore",
      ]),
    });
    const sandbox = status ? readStatus((child.stdio as unknown as Readable[])[5] as Readable) : undefined;
    const exited = new Promise<Exit>((resolve) =>
      child.once("exit", async (code, signal) => {
        // What the program left in its group ends with it.
        endGroup(child.pid, "SIGKILL");
        // bubblewrap tells the exit code of a program only where it could start one. A bubblewrap that was killed tells nothing.
        const started = sandbox === undefined || signal !== null || (await sandbox.toldExit());
        resolve({ ...exitOf(code, signal), started });
      }),
    );
    const spawned = new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    for (const stream of [...child.stdio, stdin?.stream, stdout.stream, stderr.stream]) stream?.on("error", () => {});
    if (data) (child.stdio[4] as Writable).end(data);
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
      channel: program.channel ? (child.stdio[3] as Duplex) : null,
      exited,
      kill: () => killGroup("SIGKILL"),
      async signal(signal) {
        const first = await sandbox?.firstPid;
        if (first === undefined) return killGroup(signal);
        // bubblewrap's first process would ignore it, and its outer one would end at once: the program is the first one's child.
        const own = await firstChild(first, () => over);
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
    throw PoolError.of("sandbox_unavailable", `could not start the child: ${messageOf(error)}`, { cause: error });
  }
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
function readStatus(status: Readable): { readonly firstPid: Promise<number | undefined>; toldExit(): Promise<boolean> } {
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
