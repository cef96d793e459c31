/** Checks a member's options, finds every fault with its path, and fills in the defaults. */
import { z } from "zod";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { NAME } from "../../openapi/names.ts";
import { PoolNameSchema } from "../../openapi/schemas/names.ts";
import { isLoopback } from "../../sdk/typescript/trust/loopback.ts";
import { RuntimesSchema } from "../runtimes/configured.ts";
import { Tasks } from "../runtimes/tasks.ts";
import { withoutUndefined } from "../sandbox/confinement.ts";
import { type Fault, faultsIn } from "./options/faults.ts";
import { MEMBER_OPTIONS } from "./options/table.ts";
import { DEFAULTS, defaultHeldBytes, type MemberOptions } from "./options.ts";
import { type CheckedPool, PoolOptionsSchema } from "./pool-options.ts";

/** 60 pools: Consul's meta holds 64 pairs, and a member takes four for itself. */
const MAX_POOLS = 60;

const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/;

const MemberSchema = z.looseObject({
  runtimes: RuntimesSchema.optional(),
  publicUrl: MEMBER_OPTIONS.publicUrl.schema.optional(),
  corsOrigins: MEMBER_OPTIONS.corsOrigin.schema.optional(),
  name: z.string().regex(NAME, "expected a member name of letters, digits, _ and -").optional(),
  advertise: z.string().regex(ADDRESS, "expected the advertised address as HOST:PORT").optional(),
});

/** The faults of the options, except those of each pool: {@link poolFaults}. */
export function memberFaults(options: MemberOptions): Fault[] {
  const faults = faultsIn(MemberSchema, options);
  const add = (key: keyof MemberOptions, message: string) => faults.push({ path: [key], message });
  const count = Object.keys(options.pools).length;
  if (count === 0) add("pools", "expected at least one pool, such as pipeline=5; got none");
  if (count > MAX_POOLS) add("pools", `expected at most ${MAX_POOLS} pools; got ${count}`);
  try {
    new Tasks(options.tasks);
  } catch (error) {
    add("tasks", messageOf(error));
  }
  for (const message of hostFaults(options)) add("host", message);
  for (const [pool, of] of Object.entries(options.pools))
    if (typeof of === "object" && of.notify?.length && options.notifySecretFile === undefined)
      faults.push({
        path: ["pools", pool, "notify"],
        message: "expected notifySecretFile beside it, the key that signs notifications",
      });
  faults.push(...networkFaults(options));
  return faults;
}

/** Without a sandbox, a child has the whole network of the machine. */
function networkFaults({ sandbox, pools }: MemberOptions): Fault[] {
  if (sandbox !== "off") return [];
  return Object.entries(pools).flatMap(([name, pool]) =>
    typeof pool === "object" && typeof pool.network === "object"
      ? {
          path: ["pools", name, "network"],
          message: "expected none or host, because the sandbox is off; got names and ports",
        }
      : [],
  );
}

/** Refuses to let strangers run programs: beyond loopback a member has to know its callers. */
function hostFaults({ host, ...options }: MemberOptions): string[] {
  if (host === undefined || isLoopback(host)) return [];
  const faults: string[] = [];
  if (options.sandbox === "off")
    faults.push(`expected a loopback address, because the sandbox is off; got host ${host}`);
  if (!options.insecure && options.tokenFile === undefined && options.jwks === undefined)
    faults.push(
      `host ${host} is not loopback: whoever reaches the port could run programs here; ` +
        "give --token-file or --jwks-url, or allow it with --insecure",
    );
  if (["0.0.0.0", "::"].includes(host) && options.advertise === undefined)
    faults.push(
      `host ${host} is every address: ` +
        "say with --advertise HOST:PORT at which one others reach this member",
    );
  return faults;
}

const withNumber = (pool: unknown) => (typeof pool === "number" ? { maxChildren: pool } : pool);

/** The faults of a pool; each path begins with `pools` and the pool's name. */
export function poolFaults(pool: string, options: unknown): Fault[] {
  const faults = [
    ...faultsIn(PoolNameSchema, pool),
    ...faultsIn(PoolOptionsSchema, withNumber(options)),
  ];
  return faults.map(({ path, message }) => ({ path: ["pools", pool, ...path], message }));
}

/** The faults of the configured runtimes; each path begins with `runtimes`. */
export function runtimeFaults(runtimes: unknown): Fault[] {
  return faultsIn(MemberSchema, { runtimes });
}

/** The options in force: those that are given, and the defaults of all others. */
export type Settings = ReturnType<typeof settingsOf>;

const logNothing = () => {};

/** @throws {PoolError} `invalid_request` that names every fault of all the options. */
export function settingsOf(options: MemberOptions) {
  const faults = [
    ...memberFaults(options),
    ...Object.entries(options.pools).flatMap((pool) => poolFaults(...pool)),
  ].map(({ path, message }) =>
    path.length > 1 ? `${path.map(String).join(".")}: ${message}` : message,
  );
  if (faults.length > 0) throw PoolError.of("invalid_request", faults.join("; "));
  const pools = checkedPools(options.pools);
  const maxHeldBytes = defaultHeldBytes();
  return { log: logNothing, ...DEFAULTS, maxHeldBytes, ...withoutUndefined(options), pools };
}

/** The pools' options with their defaults; for options without {@link poolFaults}. */
export function checkedPools(pools: MemberOptions["pools"]): ReadonlyMap<string, CheckedPool> {
  return new Map(
    Object.entries(pools).map(([name, pool]) => [name, PoolOptionsSchema.parse(withNumber(pool))]),
  );
}
