/** The interface of a sandbox, which launches a program as a contained process tree. */
import type { Duplex, Readable, Writable } from "node:stream";
import type { PoolError } from "../../openapi/errors.ts";
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { Usage } from "../../openapi/schemas/endings.ts";
import type { TerminalSize } from "../../openapi/schemas/limits.ts";
import type { ChildLimits, Confinement, ReadOnlyBind } from "./confinement.ts";

/** A program to run, and the host files that it sees beyond the sandbox's own system. */
export interface Program {
  /** The program's path or name, and its arguments. No shell interprets them. */
  readonly argv: readonly string[];
  /** The program's environment, beside the few variables that the sandbox sets. */
  readonly env: Readonly<Record<string, string>>;
  /** Host files that the program sees read-only. */
  readonly readOnly: readonly ReadOnlyBind[];
  /** Whether descriptor 3 is a socket to the server, for messages apart from the output. */
  readonly channel: boolean;
  /** Whether descriptor 3 is a pipe to the server, for progress. Only without a channel. */
  readonly progress?: boolean | undefined;
  /** Whether stdin is a pipe; otherwise it is empty. */
  readonly stdin: boolean;
  /**
   * The size of a terminal, which then is the program's stdin, stdout and stderr. What it shows
   * arrives as stdout. Only in a sandbox.
   */
  readonly terminal?: TerminalSize | undefined;
  /** Files for the workspace, as a tar stream that the sandbox unpacks inside. */
  readonly files?: Readable | undefined;
  /** Patterns of files that the sandbox packs inside at the end, and sends as a tar stream. */
  readonly artifacts?: readonly string[] | undefined;
  /**
   * Whether the sandbox's shell waits for the rest of the program, which comes later as
   * {@link Waiting.call}. Only in a sandbox, without files, artifacts and a terminal.
   */
  readonly waits?: boolean | undefined;
}

/** The part of a sandboxed process that waits for its call. */
export interface Waiting {
  /** Takes the shell script that sets the program. */
  readonly call: Writable;
  /**
   * Applies the limits that the control group holds, and begins to watch them.
   *
   * @returns the processors that the call has for its own; undefined for all.
   * @throws the error of a limit that the kernel refuses.
   */
  begin(limits: ChildLimits): readonly number[] | undefined;
}

/** The end of a process tree. */
export interface Exit {
  readonly exitCode: number;
  /** The signal that ended the program; null for an exit of its own. */
  readonly signal: NodeJS.Signals | null;
  /** False when the sandbox certainly failed before it started the program. */
  readonly started: boolean;
  /** The sandbox's messages where it did not start the program. They may name paths of the host. */
  readonly trouble?: string | undefined;
  /** The exceeded limit for which the sandbox killed the tree; undefined for none. */
  readonly exceeded: "memory" | "cpu" | undefined;
  /** The usage of the whole tree; undefined where nothing counts it. */
  readonly usage: Pick<Usage, "cpuMs" | "maxRssBytes"> | undefined;
}

/** A running process tree. */
export interface SandboxedProcess {
  /** The id of the tree's first process, which leads its process group. */
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly stdin: Writable | null;
  readonly channel: Duplex | null;
  /**
   * The server's end of the program's descriptor 3, where that is for progress. The caller must
   * read it: a full pipe would block the program.
   */
  readonly progress: Readable | null;
  /**
   * The tar stream of the artifacts; null without patterns. The child wrote it: trust nothing in
   * it.
   */
  readonly artifacts: Readable | null;
  /**
   * Resolves when no process of the tree is left. The output may still have bytes. Never rejects.
   */
  readonly exited: Promise<Exit>;
  /**
   * Resolves with true when the sandbox is complete and the program begins, and with false when the
   * sandbox failed before. Default: the program begins with the process.
   */
  readonly began?: Promise<boolean>;
  /**
   * Processor time of the whole tree so far, in milliseconds; undefined where nothing counts it.
   */
  usedMs(): number | undefined;
  /** The most memory of the whole tree so far, in bytes; undefined where nothing counts it. */
  peakBytes?(): number | undefined;
  /**
   * Whether no process of the tree runs beside the program and the sandbox's own. Counted from
   * outside. Without a sandbox, a process whose parent has ended does not count.
   */
  isAlone(): boolean;
  /** The threads of the whole tree; undefined where nothing counts them. */
  tasks(): number | undefined;
  /**
   * Whether the tree holds more memory than `bytes`. A control group counts all of it but file
   * cache; without one, the resident memory of the tree's processes counts.
   */
  holds(bytes: number): boolean;
  /** Sends a signal to the program itself, not to its container. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Sets the size of the program's terminal; undefined without a terminal. */
  readonly resize?: ((size: TerminalSize) => void) | undefined;
  /** Kills the whole tree at once. */
  kill(): void;
  /** Where the program waits for its call. Limits are watched from the call on. */
  readonly waiting?: Waiting | undefined;
}

export interface Sandbox {
  /** The level of protection, which Consul and every child show. */
  readonly level: SandboxLevel;
  /** A folder private to the server, for files of its children. Removed with the sandbox. */
  readonly folder: string;
  /** @throws {PoolError} `sandbox_unavailable` when the process cannot be started. */
  launch(program: Program, confinement: Confinement): Promise<SandboxedProcess>;
  /**
   * The problem of a child that a fault of the member kept from being started. It says what kind of
   * fault it is, without paths of the host. The log gets the whole of it.
   */
  startProblem(cause: unknown): PoolError;
  /** Kills the children that still run, and removes the sandbox's files. */
  close(): Promise<void>;
}
