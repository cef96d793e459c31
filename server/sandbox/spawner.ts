/**
 * A small process that forks children for the server. The kernel copies the page tables of a
 * process that forks, which stops a server of 60 to 200 MB for 3 to 10 ms.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { afterSilence } from "../../sdk/typescript/time/silence.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import { signalName } from "./exit.ts";
import { withoutInherited } from "./inherited-descriptors.ts";
import { anonymousPipes, type PipeSource, sourcesOf } from "./pipe-sources.ts";
import { frame, type SpawnRequest, socketsOf, startFrame } from "./spawner-request.ts";
import { PERL, spawnerArguments } from "./spawner-script.ts";
import type { Tree, TreeEnd } from "./tree.ts";

/** A spawner that takes longer is ended, and its children with it. */
const ANSWER_TIMEOUT_MS = 10_000;
/** For this long after a start of the spawner, the server forks children itself. */
const RESTART_PAUSE_MS = 10_000;

/** The number of pipes that the spawner makes at a time. */
const PIPES = 32;

/** An answer of the spawner. */
interface Message {
  readonly ready?: true;
  /** Its descriptors of new pipes. */
  readonly pipes?: readonly number[];
  readonly id?: number;
  readonly pid?: number;
  /** The child's descriptor that is the other end of the socket that comes along. */
  readonly fd?: number;
  /** Why the child could not be started. */
  readonly errno?: number;
  /** How the child ended. */
  readonly code?: number;
  readonly signal?: number;
}

/** A child from its request to its end. */
interface Pending {
  readonly sockets: Map<number, Socket>;
  /** The number of sockets that the child has. */
  readonly count: number;
  readonly started: PromiseWithResolvers<Tree>;
  readonly ended: PromiseWithResolvers<TreeEnd>;
}

/** The spawner of one sandbox. It is started again when it has ended. */
export class Spawner {
  readonly #pending = new Map<number, Pending>();
  readonly #path: string;
  #process: ChildProcess | undefined;
  #ready = Promise.resolve(false);
  #startedAt = Number.NEGATIVE_INFINITY;
  #made: PromiseWithResolvers<readonly number[]> | undefined;
  #isClosed = false;
  #nextId = 0;

  /** @param path the children's `PATH`, in which bubblewrap is looked for. */
  constructor(path: string) {
    this.#path = path;
    void this.isReady;
  }

  /** Whether the spawner works. False without Perl, and for some seconds after its end. */
  get isReady(): Promise<boolean> {
    const now = performance.now();
    if (!this.#process && !this.#isClosed && now - this.#startedAt > RESTART_PAUSE_MS) {
      this.#startedAt = now;
      this.#ready = this.#open();
    }
    return this.#ready;
  }

  /**
   * Starts a child.
   *
   * @throws the error of a child that cannot be started.
   */
  async start(request: SpawnRequest): Promise<Tree> {
    const id = this.#nextId++;
    const pending: Pending = {
      sockets: new Map(),
      count: socketsOf(request).length,
      started: Promise.withResolvers(),
      ended: Promise.withResolvers(),
    };
    this.#pending.set(id, pending);
    this.#process?.channel?.ref();
    this.#process?.stdin?.write(startFrame(id, request));
    const own = this.#process;
    const cancel = afterSilence(ANSWER_TIMEOUT_MS, () => own?.kill("SIGKILL"));
    try {
      return await pending.started.promise;
    } finally {
      cancel();
    }
  }

  /** Makes pipes. One call at a time. */
  async makePipes(): Promise<PipeSource[]> {
    if (!(await this.isReady)) return anonymousPipes();
    this.#made = Promise.withResolvers();
    this.#process?.stdin?.write(frame("pipes", PIPES));
    const own = this.#process;
    // A late answer must not be taken for that of another request.
    const cancel = afterSilence(ANSWER_TIMEOUT_MS, () => own?.kill("SIGKILL"));
    const fds = await this.#made.promise;
    cancel();
    const folder = `/proc/${this.#process?.pid}/fd`;
    try {
      return fds.length > 0 ? sourcesOf(fds.map((fd) => `${folder}/${fd}`)) : anonymousPipes();
    } finally {
      this.#process?.stdin?.write(frame("drop"));
    }
  }

  /** Ends the spawner, and the children that it still has. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const child = this.#process;
    if (!child) return;
    child.ref();
    const ended = once(child, "exit");
    child.stdin?.end();
    await within(ANSWER_TIMEOUT_MS, ended);
    child.kill("SIGKILL");
  }

  async #open(): Promise<boolean> {
    const child = spawn(PERL, spawnerArguments(), {
      cwd: "/",
      env: { PATH: this.#path },
      // Ctrl-C in a terminal reaches only the server.
      detached: true,
      stdio: withoutInherited(["pipe", "ignore", "ignore", "ipc"]),
    });
    const ready = Promise.withResolvers<boolean>();
    const end = () => {
      ready.resolve(false);
      this.#ended(child);
    };
    child.once("error", end).once("exit", end);
    child.stdin?.on("error", () => {});
    child.on("message", (message: Message, socket) => {
      if (message.ready) ready.resolve(true);
      else if (message.pipes) this.#made?.resolve(message.pipes);
      else this.#take(message, socket as Socket | undefined);
    });
    child.unref();
    child.channel?.unref();
    if (child.stdin instanceof Socket) child.stdin.unref();
    this.#process = child;
    if (await within(ANSWER_TIMEOUT_MS, ready.promise)) return true;
    child.kill("SIGKILL");
    return false;
  }

  #take({ id = -1, pid, fd, errno, code, signal }: Message, socket: Socket | undefined): void {
    const pending = this.#pending.get(id);
    if (code !== undefined || signal !== undefined) {
      pending?.ended.resolve({
        code: code ?? null,
        signal: signal === undefined ? null : signalName(signal),
      });
      this.#forget(id);
      // The server signals the child until it has heard of its end.
      const reap = frame("reap", pid ?? 0);
      setImmediate(() => this.#process?.stdin?.write(reap));
    } else if (errno !== undefined) {
      const name = getSystemErrorName(-errno);
      pending?.started.reject(Object.assign(new Error(`spawn: ${name}`), { code: name }));
      for (const one of pending?.sockets.values() ?? []) one.destroy();
      this.#forget(id);
    } else if (socket && pid !== undefined && fd !== undefined) {
      if (!pending) return void socket.destroy();
      pending.sockets.set(fd, socket);
      if (pending.sockets.size < pending.count) return;
      pending.started.resolve({ pid, sockets: pending.sockets, ended: pending.ended.promise });
    }
  }

  #forget(id: number): void {
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#process?.channel?.unref();
  }

  /** The kernel ends each child with the spawner. */
  #ended(child: ChildProcess): void {
    if (this.#process !== child) return;
    this.#process = undefined;
    this.#ready = Promise.resolve(false);
    this.#made?.resolve([]);
    for (const { sockets, count, started, ended } of this.#pending.values()) {
      if (sockets.size < count) for (const socket of sockets.values()) socket.destroy();
      started.reject(new Error("the spawner has ended"));
      ended.resolve({ code: null, signal: "SIGKILL" });
    }
    this.#pending.clear();
  }
}
