/**
 * The sandbox of Linux: a chain of small programs that each take a right away and run the next one.
 * The last one, bubblewrap, makes the namespaces and loads the seccomp filter.
 */
import { chmodSync, mkdirSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { SandboxLevel } from "../../openapi/limits.ts";
import {
  BASE_ENVIRONMENT,
  bubblewrapArguments,
  egressOf,
  type HostParts,
  insideArguments,
  variablesOf,
} from "./bubblewrap-arguments.ts";
import type { Cgroup } from "./cgroup.ts";
import { Cgroups } from "./cgroups.ts";
import type { Confinement } from "./confinement.ts";
import { Cores } from "./cores.ts";
import { SharedBounds } from "./egress/bounds.ts";
import { environmentInput, listenArguments, WITHOUT_CHANNEL } from "./egress/listener.ts";
import { EgressProxy } from "./egress/proxy.ts";
import { EtcFolders } from "./etc.ts";
import { ARGUMENTS_FD, ENVIRONMENT_FD, FILTER_FD } from "./fds.ts";
import { SOCKETS_PART } from "./group-limits.ts";
import { Janitor } from "./janitor.ts";
import { withOddNames } from "./odd-names.ts";
import { DEPTH_WITH_ARTIFACTS, packed } from "./packing.ts";
import { Pipes } from "./pipes.ts";
import { type Container, launchProcess, startProblem } from "./process.ts";
import { isReadableByAll, ReadableCopies } from "./readable-copies.ts";
import { refuseSetuid } from "./refuse-setuid.ts";
import { type RootEntries, readRoot } from "./root.ts";
import type { Program, Sandbox, SandboxedProcess } from "./sandbox.ts";
import { seccompArch, seccompProgram } from "./seccomp.ts";
import { SocketWatch } from "./socket-watch.ts";
import { Spawner } from "./spawner.ts";
import { FolderLocks, newName, sweep } from "./sweep.ts";
import { DEPTH_WITH_TERMINAL, inTerminal } from "./terminal.ts";
import { UidPool } from "./uid-pool.ts";

/** One for all sandboxes of this process, which share the machine. */
let machine: Cores | undefined;

export class Bubblewrap implements Sandbox {
  readonly level: SandboxLevel;
  readonly folder: string;
  readonly #groups: Cgroups | undefined;
  readonly #uids = new UidPool();
  readonly #cores: Cores;
  readonly #copies: ReadableCopies;
  readonly #etc: EtcFolders;
  readonly #pipes: Pipes;
  readonly #spawner: Spawner;
  readonly #janitor: Janitor;
  readonly #locks: FolderLocks;
  readonly #sweeping: Promise<void>;
  readonly #filter: Buffer;
  readonly #roots = new Map<string | undefined, RootEntries>();
  readonly #log: (message: string) => void;
  readonly #sockets = new SocketWatch();
  readonly #egressBounds: SharedBounds;
  readonly #running = new Set<SandboxedProcess>();
  #closing: Promise<void> | undefined;

  /**
   * @param level `full`, or `no-cgroup` for no limits on the whole of a child.
   * @param log receives why a child could not be started.
   * @throws {PoolError} `sandbox_unavailable` when groups cannot be made, on an architecture
   *   without a filter, and for a setuid bubblewrap, which would set a child up as root.
   */
  constructor(
    level: Extract<SandboxLevel, "full" | "no-cgroup">,
    log: (message: string) => void = () => {},
  ) {
    this.level = level;
    this.#log = log;
    this.#egressBounds = new SharedBounds(log);
    const arch = seccompArch(process.arch);
    if (arch === undefined)
      throw PoolError.of(
        "sandbox_unavailable",
        "expected the architecture x64 or arm64, for which there is a seccomp filter; " +
          `this is ${process.arch}`,
      );
    refuseSetuid(BASE_ENVIRONMENT.PATH.split(":"));
    machine ??= new Cores();
    this.#cores = machine;
    const name = newName();
    this.#groups = level === "full" ? new Cgroups(name) : undefined;
    // The user's own temporary folder may be closed to the user of the children.
    const isClosed = this.#uids.active && !isReadableByAll(tmpdir());
    this.folder = join(isClosed ? "/tmp" : tmpdir(), name);
    // It starts before there is anything to clean up: a server may be killed at any moment.
    const groups = this.#groups?.folders ?? [];
    this.#janitor = new Janitor(groups, [this.folder]);
    try {
      this.#groups?.make();
      mkdirSync(this.folder, { mode: 0o700 });
      this.#locks = new FolderLocks([...groups, this.folder]);
    } catch (error) {
      void this.#janitor.clean();
      throw error;
    }
    // The children's user may pass through the folder, but not list it.
    chmodSync(this.folder, 0o711);
    this.#copies = new ReadableCopies(this.folder);
    this.#etc = new EtcFolders(this.folder);
    this.#spawner = new Spawner(BASE_ENVIRONMENT.PATH);
    this.#pipes = new Pipes(() => this.#spawner.makePipes());
    this.#filter = seccompProgram(arch);
    this.#sweeping = sweep({ groups, folder: this.folder }, log);
  }

  async launch(program: Program, confinement: Confinement): Promise<SandboxedProcess> {
    const uid = this.#uids.acquire();
    let group: Cgroup | undefined;
    let cores: readonly number[] | undefined;
    try {
      const readable = await this.#readable(program);
      const { limits, grants } = confinement;
      group = this.#groups?.create(limits);
      const etc = grants.root === undefined ? await this.#etc.of(grants) : undefined;
      const container = this.#container(readable, confinement, { etc, group: group?.shown ?? [] });
      const takeCores = (count: number) => (cores = this.#cores.take(count));
      if (!program.waits) takeCores(limits.cpus);
      const child = await launchProcess(
        program,
        {
          ...container,
          chain: [{ joinFiles: group?.joinFiles ?? [], uid, cores }, limits],
          spawner: this.#spawner,
          group,
          takeCores,
          watchSockets: this.#watchSockets(confinement, uid),
        },
        this.#pipes,
      );
      this.#running.add(child);
      void child.exited.then(({ trouble }) => {
        if (trouble !== undefined) this.#log(`could not start a child: ${trouble}`);
        this.#running.delete(child);
        this.#uids.release(uid);
        this.#cores.giveBack(cores);
      });
      return child;
    } catch (error) {
      await group?.remove();
      this.#uids.release(uid);
      this.#cores.giveBack(cores);
      throw this.startProblem(error);
    }
  }

  startProblem(cause: unknown): PoolError {
    this.#log(`could not start a child: ${messageOf(cause)}`);
    return startProblem(cause);
  }

  /**
   * The watch over a child's sockets. On the host's network, only a user of its own tells a child's
   * sockets from others.
   */
  #watchSockets({ limits, grants }: Confinement, uid: number | undefined) {
    const isShared = grants.network === "host";
    if (isShared && !this.#uids.areUnique) return undefined;
    const maxBytes = limits.memoryBytes / SOCKETS_PART;
    return (pid: number, exceed: () => void) =>
      this.#sockets.add({ pid, maxBytes, uid: isShared ? uid : undefined, exceed });
  }

  /** The program with read-only files that the child's user can read. */
  async #readable(program: Program): Promise<Program> {
    if (!this.#uids.active) return program;
    const readOnly = program.readOnly.map(async ({ from, to }) => ({
      from: await this.#copies.readable(from),
      to,
    }));
    return { ...program, readOnly: await Promise.all(readOnly) };
  }

  /** bubblewrap around the program, without the chain before it. */
  #container(
    program: Program,
    confinement: Confinement,
    parts: Pick<HostParts, "etc" | "group">,
  ): Container {
    const { limits, grants } = confinement;
    const { files, artifacts = [], terminal } = program;
    const own = withOddNames(program.argv, { ...program.env, ...grants.env });
    const command = terminal ? inTerminal(own, terminal) : own;
    const packing = packed(command, { files: files !== undefined, artifacts });
    const host = {
      ...parts,
      root: this.#root(grants.root),
      level: this.level,
      cpus: availableParallelism(),
    };
    const flags = bubblewrapArguments(program, confinement, host);
    const egress = egressOf(grants);
    const inside = insideArguments(program.waits ? undefined : packing, limits);
    const bubblewrap = ["bwrap", "--args", String(ARGUMENTS_FD), "--"];
    const argv = [...bubblewrap, ...(egress ? listenArguments() : []), ...inside];
    return {
      argv: egress ? [...WITHOUT_CHANNEL, ...argv] : argv,
      // A child can read bubblewrap's own environment at /proc/1/environ.
      env: { PATH: BASE_ENVIRONMENT.PATH },
      // A descriptor keeps the environment and the paths out of the process list.
      inputs: new Map([
        [ARGUMENTS_FD, Buffer.from(flags.map((flag) => `${flag}\0`).join(""))],
        [FILTER_FD, this.#filter],
        ...(egress
          ? [[ENVIRONMENT_FD, environmentInput(variablesOf(program, confinement, host))] as const]
          : []),
      ]),
      proxy: egress && new EgressProxy(egress, this.#egressBounds),
      status: true,
      depth:
        (artifacts.length > 0 ? DEPTH_WITH_ARTIFACTS : 0) + (terminal ? DEPTH_WITH_TERMINAL : 0),
      cpuMs: limits.cpuMs,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const child of this.#running) child.kill();
    await Promise.all([...this.#running].map((child) => child.exited));
    await this.#pipes.close();
    await this.#spawner.close();
    await this.#sweeping;
    await this.#janitor.clean();
    this.#locks.release();
  }

  #root(path: string | undefined): RootEntries {
    let root = this.#roots.get(path);
    if (!root) {
      root = readRoot(path);
      this.#roots.set(path, root);
    }
    return root;
  }
}
