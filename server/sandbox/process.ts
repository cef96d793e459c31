/** Starts a contained process tree, and gives its starter the streams, the signals and the exit. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type Duplex, pipeline, type Readable, type Writable } from "node:stream";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { BubblewrapStatus, programPid } from "./bubblewrap-status.ts";
import type { Cgroup } from "./cgroup.ts";
import { exitOf } from "./exit.ts";
import {
  ARGUMENTS_FD,
  ARTIFACTS_FD,
  BEGIN_FD,
  CHANNEL_FD,
  FILES_FD,
  FILTER_FD,
  SAVED_STDERR_FD,
  STATUS_FD,
} from "./fds.ts";
import { GroupWatch } from "./group-watch.ts";
import { type Stdio, withoutInherited } from "./inherited-descriptors.ts";
import { ChildPipes, type Pipes } from "./pipes.ts";
import type { Exit, Program, SandboxedProcess } from "./sandbox.ts";

/**
 * A command line that contains a program, and the descriptors that it needs beside the program's.
 */
export interface Container {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Data that the container reads when it starts, by descriptor. */
  readonly inputs?: ReadonlyMap<number, Buffer>;
  /** Whether the container is bubblewrap, which writes its status to {@link STATUS_FD}. */
  readonly status: boolean;
  /** How many processes stand between the child of the sandbox's first process and the program. */
  readonly depth?: number;
  /** The group that the tree joins, which counts its usage. It is removed when the tree ends. */
  readonly group?: Cgroup | undefined;
  /** Processor time after which the tree is killed, in milliseconds. Default: no limit. */
  readonly cpuMs?: number;
}

/** @throws the error of a container that cannot be started. */
export async function launchProcess(
  program: Program,
  container: Container,
  source: Pipes,
): Promise<SandboxedProcess> {
  const pipes = new ChildPipes(source);
  try {
    const stdin = program.stdin ? await pipes.open("input") : undefined;
    const stdout = await pipes.open("output");
    const stderr = await pipes.open("output");
    const progress = program.progress ? await pipes.open("output") : undefined;
    const artifacts = program.artifacts?.length ? await pipes.open("output") : undefined;
    const stdio: Stdio = [stdin?.childFd ?? "ignore", stdout.childFd, stderr.childFd];
    stdio[CHANNEL_FD] = program.channel ? "pipe" : (progress?.childFd ?? "ignore");
    stdio[ARGUMENTS_FD] = container.inputs ? "pipe" : "ignore";
    stdio[STATUS_FD] = container.status ? "pipe" : "ignore";
    stdio[FILTER_FD] = container.inputs ? "pipe" : "ignore";
    stdio[FILES_FD] = program.files ? "pipe" : "ignore";
    stdio[ARTIFACTS_FD] = artifacts?.childFd ?? "ignore";
    stdio[SAVED_STDERR_FD] = "ignore";
    stdio[BEGIN_FD] = container.status ? "pipe" : "ignore";
    const [file = "", ...args] = container.argv;
    const child = spawn(file, args, {
      env: container.env,
      cwd: "/",
      // A process group of its own: the server can end the whole group, and a terminal's Ctrl-C
      // reaches only the server.
      detached: true,
      stdio: withoutInherited(stdio),
    });
    const streams: readonly (Readable | Writable | null | undefined)[] = child.stdio;
    for (const stream of streams) stream?.on("error", () => {});
    const { spawned, ...controls } = controlsOf(child, container);
    for (const [fd, data] of container.inputs ?? []) (streams[fd] as Writable).end(data);
    // A child that ends before it has read its files takes no more of them.
    if (program.files) pipeline(program.files, streams[FILES_FD] as Writable, () => {});
    await spawned;
    pipes.handOver();
    return {
      ...controls,
      // A process that has been spawned has an id.
      pid: child.pid as number,
      stdin: stdin?.stream ?? null,
      stdout: stdout.stream,
      stderr: stderr.stream,
      channel: program.channel ? (streams[CHANNEL_FD] as Duplex) : null,
      progress: progress?.stream ?? null,
      artifacts: artifacts?.stream ?? null,
      ...(container.status && { began: tookByte(streams[BEGIN_FD] as Duplex) }),
    };
  } catch (error) {
    pipes.destroy();
    program.files?.destroy();
    throw error;
  }
}

/**
 * Whether bubblewrap takes the byte for which it waits in a sandbox that is complete. A socket that
 * closes with the byte unread is reset, and has no end.
 */
function tookByte(socket: Duplex): Promise<boolean> {
  socket.write("\n");
  return new Promise((resolve) => {
    socket.once("end", () => resolve(true)).once("close", () => resolve(false));
    socket.resume();
  });
}

/** The problem of a child that could not be started. */
export function startProblem(cause: unknown): PoolError {
  return PoolError.of("sandbox_unavailable", `could not start the child: ${messageOf(cause)}`, {
    cause,
  });
}

/** The parts of a sandboxed process beside its streams; `spawned` resolves when it has started. */
function controlsOf(child: ChildProcess, { group, cpuMs, depth, status }: Container) {
  const stdio: readonly unknown[] = child.stdio;
  const bubblewrap = status ? new BubblewrapStatus(stdio[STATUS_FD] as Readable) : undefined;
  const watch =
    group && new GroupWatch(group, cpuMs ?? Number.POSITIVE_INFINITY, () => killGroup("SIGKILL"));
  let hasEnded = false;
  const killGroup = (signal: NodeJS.Signals) => {
    if (!hasEnded) send(signal, child.pid && -child.pid);
  };
  const spawned = once(child, "spawn");
  spawned.catch(() => watch?.end());
  const exited = new Promise<Exit>((resolve) =>
    child.once("exit", async (code, signal) => {
      // A process that the program left in its process group ends with it.
      send("SIGKILL", child.pid && -child.pid);
      const counted = watch?.end() ?? { exceeded: undefined, usage: undefined };
      await group?.remove();
      // A bubblewrap that was killed reports no exit code.
      const started =
        bubblewrap === undefined || signal !== null || (await bubblewrap.reportedExit());
      hasEnded = true;
      resolve({ ...exitOf(code, signal), started, ...counted });
    }),
  );
  return {
    spawned,
    exited,
    kill: () => killGroup("SIGKILL"),
    usedMs: () => watch?.usedMs(),
    async signal(signal: NodeJS.Signals) {
      const firstPid = await bubblewrap?.firstPid;
      if (firstPid === undefined) return killGroup(signal);
      const pid = await programPid(firstPid, depth ?? 0, () => hasEnded);
      if (!hasEnded) send(signal, pid);
    },
  };
}

/** @param pid of a process, or of a process group as a negative number. */
function send(signal: NodeJS.Signals, pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended already.
  }
}
