/**
 * The rules for what a pool's children may use and see. The operator decides it; callers can only
 * tighten it.
 */
import { PoolError } from "../../openapi/errors.ts";
import type { Limits } from "../../openapi/limits.ts";

/** Every limit of a child; `Infinity` for none. */
export type ChildLimits = Readonly<Required<{ [K in keyof Limits]: NonNullable<Limits[K]> }>>;

const MIB = 1024 * 1024;

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
  /** `host` is the machine's own network, its loopback included. */
  readonly network: "none" | "host";
  /** Device files, such as `/dev/dri/renderD128`. */
  readonly devices: readonly string[];
  /** The only programs that callers may name; undefined for any, and for functions. */
  readonly commands: readonly string[] | undefined;
  /**
   * A folder shown as the root file system in the place of the host's; undefined for the host's
   * `/usr`.
   */
  readonly root: string | undefined;
}

export interface Confinement {
  readonly limits: ChildLimits;
  readonly grants: Grants;
}

/**
 * A child's limits: the pool's, tightened by what its caller asked for.
 *
 * @throws {PoolError} `invalid_request` when more is asked for than the pool allows.
 */
export function tightened(pool: ChildLimits, asked: Limits = {}): ChildLimits {
  const limits = withoutUndefined(asked);
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
  return { ...pool, ...limits };
}

export function withoutUndefined<T extends object>(
  given: T,
): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
