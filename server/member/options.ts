/** The options of a member and their defaults. */
import { totalmem } from "node:os";
import type { ConsulOptions } from "../../sdk/typescript/node/consul/consul-client.ts";
import type { Audit } from "../access/audit.ts";
import type { JwksOptions } from "../access/jwks-url.ts";
import type { TlsOptions } from "../http/tls.ts";
import type { EmbeddedRegistry } from "../membership/embedded.ts";
import type { ConfiguredRuntimes } from "../runtimes/configured.ts";
import { DEFAULT_PATH } from "../sandbox/open-sandbox.ts";
import type { ChildLog } from "../supervisor/observed/child-log.ts";
import { DEFAULT_MAX_CHILDREN } from "./options/constants.ts";
import type { MemberOption } from "./options/option.ts";
import { MEMBER_OPTIONS } from "./options/table.ts";
import type { TableOptions } from "./options/types.gen.ts";
import type { PoolOptions } from "./pool-options.ts";

type Table = typeof MEMBER_OPTIONS;

/**
 * The options of a member. Flags can say those of {@link TableOptions}. Written out here are those
 * that several flags make together, and objects that only a program or a file can give.
 */
export interface MemberOptions extends TableOptions {
  /** Pools to serve, by name: `maxChildren`, or {@link PoolOptions} with limits and grants. */
  readonly pools: Readonly<Record<string, number | PoolOptions>>;
  /** Join through this Consul agent. */
  readonly consul?: ConsulOptions | undefined;
  /** Join this registry of the same process. Default, without `consul`: one of its own. */
  readonly registry?: EmbeddedRegistry | undefined;
  /** Take JWTs that are signed with a key found here. */
  readonly jwks?: JwksOptions | undefined;
  /** Serve https, and ask the other members over https. */
  readonly tls?: TlsOptions | undefined;
  /**
   * Programs that run functions beside `node`, `python` and `bun`, or replace them, by the name of
   * the runtime: `{ruby: {command: ["ruby", "{source}"]}}`. `{source}` becomes the path of the
   * function's source. The program reads one line of JSON, `{args, context}`, from descriptor 3 and
   * answers there with one: `{"value": …}` or `{"error": {"name", "message"}}`.
   */
  readonly runtimes?: ConfiguredRuntimes | undefined;
  /**
   * Folders in which the member looks for `bun`, and `PATH` of children without a sandbox.
   * Default `/usr/local/bin:/usr/bin:/bin`.
   */
  readonly path?: string | undefined;
  /** Receives the start and the end of each child. Default: nothing. */
  readonly childLog?: ChildLog | undefined;
  /** Receives each request that acts: who sent it, and the answer. Default: nothing. */
  readonly audit?: Audit | undefined;
  /**
   * The variables `OTEL_…` of this process, by which it exports traces: give `process.env`. The
   * exporter reads its own ones there. Default: no traces.
   */
  readonly otel?: Readonly<Record<string, string | undefined>> | undefined;
  /** Receives the log, a line at a time. Default: nothing. */
  readonly log?: ((level: "info" | "warn" | "error", message: string) => void) | undefined;
}

/** The effect of a reload. */
export interface Reloaded {
  /**
   * Options that changed at once, such as `graceMs`, `pools.pipeline.maxChildren`, or
   * `pools.crawler` for a pool that has come or gone.
   */
  readonly changed: readonly string[];
  /** Options that keep their values until a restart, such as `port`. */
  readonly restart: readonly string[];
}

type Defaults = {
  readonly [K in keyof Table as Table[K] extends { default: unknown }
    ? K
    : never]: Table[K] extends { default: infer Value } ? Value : never;
};

const MIB = 1024 * 1024;

/** An eighth of the memory of this machine or container, from 64 MiB to 1 GiB. */
export function defaultHeldBytes(): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return Math.max(64 * MIB, Math.min(1024 * MIB, Math.floor(memory / 8)));
}

const entries: readonly (readonly [string, MemberOption])[] = Object.entries(MEMBER_OPTIONS);

/** The defaults of the embedding and of the command line. */
export const DEFAULTS = {
  ...(Object.fromEntries(
    entries
      .filter(([, option]) => "default" in option)
      .map(([key, option]) => [key, option.default]),
  ) as Defaults),
  maxChildren: DEFAULT_MAX_CHILDREN,
  path: DEFAULT_PATH,
} as const;

/** The options, beside `pools`, that a member takes while it runs. */
export const RELOADABLE = entries
  .filter(([, option]) => option.reload)
  .map(([key, option]) => (option.path ?? key) as keyof TableOptions);

/** The configuration key of an option, by its path in {@link MemberOptions}. */
export function keyOfPath(path: string): string {
  const found = entries.find(([key, option]) => `${option.path ?? key}.`.startsWith(`${path}.`));
  return found?.[0] ?? path;
}

/** The options that stand under configuration keys, each at its path in {@link MemberOptions}. */
export function fromKeys(values: Readonly<Record<string, unknown>>): Omit<MemberOptions, "pools"> {
  const options: Record<string, unknown> = {};
  for (const [key, option] of entries) {
    if (values[key] === undefined) continue;
    const [name = key, part] = (option.path ?? key).split(".");
    options[name] =
      part === undefined ? values[key] : { ...(options[name] as object), [part]: values[key] };
  }
  return options;
}

/** An option by its path in {@link MemberOptions}, such as `tls.certFile`. */
export function optionAt(options: MemberOptions, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], options);
}
