import type { SandboxLevel } from "../../../openapi/limits.ts";

/** A server process that belongs to pools: static facts only, never its load. */
export interface Member {
  readonly name: string;
  /** Where it serves, such as `http://10.0.0.5:7400`, without a final slash. */
  readonly url: string;
  /** `maxChildren` by pool. */
  readonly pools: Readonly<Record<string, number>>;
  readonly sandbox: SandboxLevel;
  readonly version: string;
}
/** A watched list of members. The answers come from memory; only the first may wait. */
export interface Members {
  /** The members of a pool that may admit; none when nobody serves it. */
  in(pool: string): Promise<readonly Member[]>;
  /** The members of every pool that may admit. */
  all(): Promise<readonly Member[]>;
  /** A member by its name, also one that drains: its children are still there. */
  find(name: string): Promise<Member | undefined>;
  /** Stops watching. */
  close(): void;
}
