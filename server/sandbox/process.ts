/** Starts a contained process tree, and gives its starter the streams, the signals and the exit. */
import { type Duplex, pipeline, type Writable } from "node:stream";
import { PoolError } from "../../openapi/errors.ts";
import type { TerminalSize } from "../../openapi/schemas/limits.ts";
import { BubblewrapStatus, programPid } from "./bubblewrap-status.ts";
import type { Cgroup } from "./cgroup.ts";
import { hasChildren, hasOneDescendant, residentBytes } from "./descendants.ts";
import { serveListener } from "./egress/listener.ts";
import type { EgressProxy } from "./egress/proxy.ts";
import { exitOf } from "./exit.ts";
import { faultOf } from "./fault.ts";
import { BEGIN_FD, CHANNEL_FD, FILES_FD, STATUS_FD, TERMINAL_FD } from "./fds.ts";
import { GroupWatch } from "./group-watch.ts";
import { ChildPipes, type Pipes } from "./pipes.ts";
import type { Exit, Program, SandboxedProcess, Waiting } from "./sandbox.ts";
import { startTree, type TreeOptions } from "./start-tree.ts";
import { stdioOf } from "./stdio.ts";
import type { Tree } from "./tree.ts";

/**
 * A command line that contains a program, and the descriptors that it needs beside the program's.
 */
export interface Container extends Omit<TreeOptions, "stdio"> {
  /** Whether the container is bubblewrap, which writes its status to {@link STATUS_FD}. */
  readonly status: boolean;
  /** How many processes stand between the child of the sandbox's first process and the program. */
  readonly depth?: number;
  /** The group that the tree joins, which counts its usage. It is removed when the tree ends. */
  readonly group?: Cgroup | undefined;
  /** Processor time after which the tree is killed, in milliseconds. Default: no limit. */
  readonly cpuMs?: number;
  /** The tree's way to names outside; it closes with the tree. Default: there is none. */
  readonly proxy?: EgressProxy | undefined;
  /**
   * Watches the sockets of a process of the sandbox, until the returned function is called. Calls
   * `exceed` when they take more memory than the tree may have.
   */
  readonly watchSockets?: ((pid: number, exceed: () => void) => () => void) | undefined;
  /** Takes processors for a program that has waited for its call. */
  readonly takeCores?: ((count: number) => readonly number[] | undefined) | undefined;
}

/** The two of bubblewrap, and the program. */
const PROCESSES_ALONE = 3;

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
    const call = program.waits ? await pipes.open("input") : undefined;
    const opened = { stdin, stdout, stderr, progress, artifacts, call };
    const tree = await startTree({ ...container, stdio: stdioOf(program, container, opened) });
    const { pid, sockets } = tree;
    const { begin, ...controls } = controlsOf(tree, container);
    if (!call) begin(container.cpuMs);
    // A child that ends before it has read its files takes no more of them.
    if (program.files) pipeline(program.files, sockets.get(FILES_FD) as Duplex, () => {});
    pipes.handOver();
    return {
      ...controls,
      pid,
      stdin: stdin?.stream ?? null,
      stdout: stdout.stream,
      stderr: stderr.stream,
      channel: program.channel ? (sockets.get(CHANNEL_FD) as Duplex) : null,
      progress: progress?.stream ?? null,
      artifacts: artifacts?.stream ?? null,
      ...(program.terminal && { resize: resizer(sockets.get(TERMINAL_FD) as Duplex) }),
      ...(container.status && { began: tookByte(sockets.get(BEGIN_FD) as Duplex) }),
      ...(call && { waiting: waitingOf(container, call.stream, begin) }),
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

/** Writes sizes of a terminal. Of those that come while one is on its way, the last one counts. */
function resizer(socket: Duplex): (size: TerminalSize) => void {
  let next: TerminalSize | undefined;
  const send = () => {
    if (!next || !socket.writable) return;
    socket.write(`${next.rows} ${next.columns}\n`, send);
    next = undefined;
  };
  return (size) => {
    next = size;
    if (socket.writableLength === 0) send();
  };
}

function waitingOf(
  { group, takeCores }: Container,
  call: Writable,
  beginWatches: (cpuMs: number, hasWaited: true) => void,
): Waiting {
  return {
    call,
    begin(limits) {
      beginWatches(limits.cpuMs, true);
      group?.limit(limits);
      return takeCores?.(limits.cpus);
    },
  };
}

/** The problem of a child that could not be started. Nothing was run. */
export function startProblem(cause: unknown): PoolError {
  return PoolError.of("sandbox_unavailable", `could not start the child: ${faultOf(cause)}`, {
    cause,
    admitted: false,
  });
}

/** The parts of a sandboxed process beside its streams. */
function controlsOf({ pid, sockets, ended, sender }: Tree, container: Container) {
  const { group, depth, status, watchSockets, proxy } = container;
  const bubblewrap = status
    ? new BubblewrapStatus(sockets.get(STATUS_FD) as Duplex, sockets.get(2) as Duplex)
    : undefined;
  const watch = group && new GroupWatch(group, () => killGroup("SIGKILL"));
  let endSockets: (() => boolean) | undefined;
  let isReaped = false;
  let hasEnded = false;
  const killGroup = (signal: NodeJS.Signals) => {
    if (isReaped) return;
    send(signal, -pid);
    // The first process may be about to begin its group.
    send(signal, pid);
  };
  const listener = proxy && sender && serveListener(sender, (socket) => proxy.serve(socket));
  const exited = ended.then(async ({ code, signal }): Promise<Exit> => {
    isReaped = true;
    // A process that the program left in its process group ends with it.
    send("SIGKILL", -pid);
    const haveExceeded = endSockets?.() ?? false;
    const counted = watch?.end() ?? { exceeded: undefined, usage: undefined };
    proxy?.close();
    await group?.remove();
    // A bubblewrap that was killed reports no exit code.
    const trouble = signal === null ? await bubblewrap?.trouble(listener) : undefined;
    hasEnded = true;
    return {
      ...exitOf(code, signal),
      started: trouble === undefined,
      trouble,
      ...counted,
      exceeded: haveExceeded ? "memory" : counted.exceeded,
    };
  });
  return {
    /** Begins to watch the limits. */
    begin(cpuMs?: number, hasWaited?: true) {
      if (isReaped) throw new Error("expected a sandbox that waits; it has ended");
      watch?.begin(cpuMs, hasWaited);
      endSockets = startSocketWatch(bubblewrap, watchSockets, () => killGroup("SIGKILL"));
    },
    exited,
    kill: () => killGroup("SIGKILL"),
    usedMs: () => watch?.usedMs(),
    peakBytes: () => watch?.peakBytes(),
    tasks: () => watch?.tasks(),
    holds: (bytes: number) => (watch ? watch.holds(bytes) === true : residentBytes(pid) > bytes),
    isAlone: () => {
      if (watch) return watch.processes() === PROCESSES_ALONE;
      if (bubblewrap) return bubblewrap.pid !== undefined && hasOneDescendant(bubblewrap.pid);
      return !hasChildren(pid);
    },
    async signal(signal: NodeJS.Signals) {
      const firstPid = await bubblewrap?.firstPid;
      if (firstPid === undefined) return killGroup(signal);
      const own = await programPid(firstPid, depth ?? 0, () => hasEnded);
      if (!hasEnded) send(signal, own);
    },
  };
}

/** @returns a function that ends the watch, and returns whether the sockets took too much. */
function startSocketWatch(
  bubblewrap: BubblewrapStatus | undefined,
  watchSockets: Container["watchSockets"],
  kill: () => void,
): () => boolean {
  let hasExceeded = false;
  let end: (() => void) | undefined;
  let hasEnded = false;
  void bubblewrap?.firstPid.then((pid) => {
    if (pid === undefined || hasEnded) return;
    end = watchSockets?.(pid, () => {
      hasExceeded = true;
      kill();
    });
  });
  return () => {
    hasEnded = true;
    end?.();
    return hasExceeded;
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
