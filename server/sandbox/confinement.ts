/** The limits and grants of a pool: the operator sets them, and callers can only tighten them. */
import { PoolError } from "../../openapi/errors.ts";
import type { Limits } from "../../openapi/schemas/limits.ts";
import type { Egress } from "./egress/proxy.ts";

/** Every limit of a child; `Infinity` for none. */
export type ChildLimits = Readonly<Required<{ [K in keyof Limits]: NonNullable<Limits[K]> }>>;

const MIB = 1024 * 1024;

/**
 * The bytes of `/dev/shm` where nobody says how many: half of the memory, as Linux has it. They are
 * memory and count as the child's.
 */
export const shmOf = (memoryBytes: number) => Math.floor(memoryBytes / 2);

/**
 * Enough for ffmpeg on a full-size film, and for Node with its thread pools: an idle Node process
 * holds 42 MB and 11 threads. `cpus` and `cpuMs` have no limit: the deadline bounds the time of a
 * child, and `maxChildren` the number of children.
 */
export const DEFAULT_LIMITS: ChildLimits = {
  memoryBytes: 1024 * MIB,
  processes: 256,
  cpus: Number.POSITIVE_INFINITY,
  cpuMs: Number.POSITIVE_INFINITY,
  workspaceBytes: 512 * MIB,
  shmBytes: 512 * MIB,
  openFiles: 1_024,
  outputBytes: 10 * 1024 * MIB,
  artifactBytes: 64 * MIB,
};

/** A host path shown read-only inside. */
export interface ReadOnlyBind {
  readonly from: string;
  readonly to: string;
}

/** The resources of a pool's children beyond the bare system. */
export interface Grants {
  readonly readOnly: readonly ReadOnlyBind[];
  /** Variables of every child. A caller cannot replace them. */
  readonly env: Readonly<Record<string, string>>;
  /** `host` is the machine's own network, its loopback included; a list goes through a proxy. */
  readonly network: "none" | "host" | Egress;
  /** Device files, such as `/dev/dri/renderD128`. */
  readonly devices: readonly string[];
  /** The only programs that callers may name; undefined for any, and for functions. */
  readonly commands: readonly string[] | undefined;
  /** Whether the variables that runtimes read tell them the limits. */
  readonly limitVariables: boolean;
  /** A folder that is the root file system inside; undefined for the host's `/usr`. */
  readonly root: string | undefined;
}

export interface Confinement {
  readonly limits: ChildLimits;
  readonly grants: Grants;
}

/**
 * A child's limits: the pool's, tightened by the limits that its caller requests.
 *
 * @throws {PoolError} `invalid_request` when a limit is above the pool's own.
 */
export function tightened(pool: ChildLimits, requested: Limits = {}): ChildLimits {
  const limits = withoutUndefined(requested);
  const fields = (Object.keys(limits) as (keyof Limits)[])
    .filter((key) => (limits[key] as number) > pool[key])
    .map((key) => ({
      path: `/limits/${key}`,
      message: `expected at most ${pool[key]}, this pool's own limit; got ${limits[key]}`,
    }));
  if (fields.length > 0)
    throw PoolError.of(
      "invalid_request",
      fields.map(({ path, message }) => `${path}: ${message}`).join("; "),
      { fields },
    );
  // A tighter limit on memory keeps the share of it that shared memory may take.
  const { memoryBytes = pool.memoryBytes } = limits;
  const shmBytes = Math.floor(pool.shmBytes * (memoryBytes / pool.memoryBytes));
  return { ...pool, shmBytes, ...limits };
}

type Defined<T> = { [K in keyof T]?: NonNullable<T[K]> };

/** A copy of an object without the keys whose value is undefined. */
export function withoutUndefined<T extends object>(value: T): Defined<T> {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries) as Defined<T>;
}
