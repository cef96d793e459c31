/** The seam between a child and what holds it: a sandbox launches a program as a contained process tree. */
import type { Duplex, Readable, Writable } from "node:stream";
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { Usage } from "../../openapi/resources.ts";
import type { Confinement, ReadOnlyBind } from "./confinement.ts";

/** What to run, and what it may see beyond the sandbox's own system. */
export interface Program {
  /** Program and arguments, without a shell. */
  readonly argv: readonly string[];
  /** The whole environment beside the sandbox's own few variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Host files shown read-only inside. */
  readonly readOnly: readonly ReadOnlyBind[];
  /** Opens descriptor 3 as a socket between the server and the child, for messages apart from its output. */
  readonly channel: boolean;
  /** Without a channel: opens descriptor 3 as a pipe to the server, for what the program says of its progress. */
  readonly progress?: boolean | undefined;
  /** Opens stdin as a pipe; otherwise it is empty. */
  readonly stdin: boolean;
  /** Files for the workspace, as a tar stream that is unpacked inside. */
  readonly files?: Readable | undefined;
  /** Patterns of files that are packed inside at the end, and come out as a tar stream. */
  readonly artifacts?: readonly string[] | undefined;
}

/** How the process tree ended. */
export interface Exit {
  readonly exitCode: number;
  /** The signal that ended the program, where one did. */
  readonly signal: NodeJS.Signals | null;
  /** False when the sandbox failed before it could start the program; its message is in stderr. */
  readonly started: boolean;
  /** The limit for which the sandbox killed the tree; undefined when it did not. */
  readonly exceeded: "memory" | "cpu" | undefined;
  /** What the whole tree used; undefined where nothing counts it. */
  readonly usage: Pick<Usage, "cpuMs" | "maxRssBytes"> | undefined;
}

/** A running process tree. */
export interface SandboxedProcess {
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly stdin: Writable | null;
  readonly channel: Duplex | null;
  /** The other end of the program's descriptor 3, where it was opened for progress. Whoever has it reads it: a full pipe would hold the program up. */
  readonly progress: Readable | null;
  /** The tar stream of the artifacts; null when none were asked for. The child wrote it: trust nothing in it. */
  readonly artifacts: Readable | null;
  /** Resolves when nothing of the tree is left; the output may still hold bytes to read. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Processor time of the whole tree so far, in milliseconds; undefined where nothing counts it. */
  usedMs(): number | undefined;
  /** Sends a signal to the program itself, not to what contains it. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Ends the whole tree at once. */
  kill(): void;
}

export interface Sandbox {
  /** What it holds against; shown in Consul and in every child. */
  readonly level: SandboxLevel;
  /** A folder private to the server, for what comes out of children; gone with the sandbox. */
  readonly folder: string;
  /** @throws {PoolError} `sandbox_unavailable` when the process cannot be started. */
  launch(program: Program, confinement: Confinement): Promise<SandboxedProcess>;
  /** Ends what still runs, and removes what the sandbox keeps. */
  close(): Promise<void>;
}
