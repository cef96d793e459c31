/** A process tree that has been started, as its starter sees it. */
import type { ChildProcess } from "node:child_process";
import type { Duplex } from "node:stream";

/** How the first process ended. One of both is null. */
export interface TreeEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A tree that has been started. */
export interface Tree {
  /** The id of the first process, which leads a process group. */
  readonly pid: number;
  /** The server's ends of the sockets in `stdio`, by descriptor. */
  readonly sockets: ReadonlyMap<number, Duplex>;
  readonly ended: Promise<TreeEnd>;
  /** The process that may send a handle; undefined for a tree without a channel of Node's. */
  readonly sender?: ChildProcess;
}
