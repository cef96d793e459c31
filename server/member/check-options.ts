/** What of a member's options makes no sense: every fault, with its place, what was expected and what came. */
import type { z } from "zod";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { MemberNameSchema, PoolNameSchema } from "../../openapi/names.ts";
import { isLoopback } from "../access/browser-guard.ts";
import { whatWasExpected } from "../http/problems.ts";
import { RuntimesSchema } from "../runtimes/configured.ts";
import { Tasks } from "../runtimes/tasks.ts";
import type { MemberOptions } from "./options.ts";
import { type PoolOptions, PoolOptionsSchema } from "./pool-options.ts";

export type CheckedPool = z.output<typeof PoolOptionsSchema>;

export interface Fault {
  /** Keys of the options, the outermost first. */
  readonly path: readonly PropertyKey[];
  /** `expected …; got …`. */
  readonly message: string;
}

/** Consul's meta holds 64 pairs, four of which are taken. */
const MAX_POOLS = 60;

/** A value for a message. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "none";
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** What is wrong with the options, but for each pool's own: {@link poolFaults}. */
export function memberFaults({
  pools,
  name,
  host,
  advertise,
  insecure,
  sandbox,
  tokenFile,
  jwks,
  runtimes = {},
  tasks,
}: MemberOptions): Fault[] {
  const faults = runtimeFaults(runtimes);
  const add = (key: keyof MemberOptions, message: string) => faults.push({ path: [key], message });
  const count = Object.keys(pools).length;
  if (count === 0) add("pools", "expected at least one pool, such as pipeline=5; got none");
  if (count > MAX_POOLS) add("pools", `expected at most ${MAX_POOLS} pools; got ${count}`);
  if (name !== undefined && !MemberNameSchema.safeParse(name).success)
    add("name", `expected a member name of letters, digits, _ and -; got ${shown(name)}`);
  if (advertise !== undefined && !/^(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/.test(advertise))
    add("advertise", `expected the advertised address as HOST:PORT; got ${shown(advertise)}`);
  try {
    new Tasks(tasks);
  } catch (error) {
    add("tasks", messageOf(error));
  }
  if (host === undefined || isLoopback(host)) return faults;
  if (sandbox === "off")
    add("host", `expected a loopback address, because the sandbox is off; got host ${host}`);
  if (!insecure && tokenFile === undefined && jwks === undefined)
    add(
      "host",
      `host ${host} is not loopback: whoever reaches the port could run programs here; give --token-file or --jwks-url, or allow it with --insecure`,
    );
  if (["0.0.0.0", "::"].includes(host) && advertise === undefined)
    add(
      "host",
      `host ${host} is every address: say with --advertise HOST:PORT at which one others reach this member`,
    );
  return faults;
}

/** What is wrong with a pool; `path` begins with `pools` and its name. */
export function poolFaults(pool: string, options: unknown): Fault[] {
  const path = ["pools", pool];
  const name = PoolNameSchema.safeParse(pool);
  const faults = name.success
    ? []
    : [{ path, message: `${name.error.issues[0]?.message}; got ${shown(pool)}` }];
  const given = typeof options === "number" ? { maxChildren: options } : options;
  const checked = PoolOptionsSchema.safeParse(given, { error: expectation });
  return checked.success
    ? faults
    : [
        ...faults,
        ...checked.error.issues.flatMap((issue) => faultsOf(issue, given, path, PoolOptionsSchema)),
      ];
}

/** What is wrong with the configured runtimes; `path` begins with `runtimes`. */
export function runtimeFaults(given: unknown): Fault[] {
  const checked = RuntimesSchema.safeParse(given, { error: expectation });
  return checked.success
    ? []
    : checked.error.issues.flatMap((issue) => faultsOf(issue, given, ["runtimes"], RuntimesSchema));
}

/**
 * The pools' options, defaults filled in.
 *
 * @throws {PoolError} `invalid_request` that names every fault of all the options.
 */
export function checkedOptions(options: MemberOptions): ReadonlyMap<string, CheckedPool> {
  const pools = Object.entries(options.pools);
  const faults = [
    ...memberFaults(options).map(({ path, message }) =>
      path.length > 1 ? `${path.map(String).join(".")}: ${message}` : message,
    ),
    ...pools
      .flatMap(([pool, given]) => poolFaults(pool, given))
      .map(({ path, message }) => `${path.map(String).join(".")}: ${message}`),
  ];
  if (faults.length > 0) throw PoolError.of("invalid_request", faults.join("; "));
  return new Map(pools.map(([pool, given]) => [pool, checkedPool(given)]));
}

/** A pool's options, defaults filled in; for those without {@link poolFaults}. */
export function checkedPool(given: number | PoolOptions): CheckedPool {
  return PoolOptionsSchema.parse(typeof given === "number" ? { maxChildren: given } : given);
}

const KINDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "options by name",
  record: "values by name",
};

/** The library's own findings in our words. */
function expectation(issue: z.core.$ZodRawIssue): string | undefined {
  const { code, expected, minimum, maximum, origin, values } = issue as {
    readonly [key: string]: unknown;
  };
  const unit = origin === "array" ? " entries" : origin === "string" ? " characters" : "";
  if (code === "invalid_type") return `expected ${KINDS[String(expected)] ?? expected}`;
  if (code === "too_small") return `expected at least ${minimum}${unit}`;
  if (code === "too_big") return `expected at most ${maximum}${unit}`;
  if (code === "invalid_value") return `expected ${(values as unknown[]).join(" or ")}`;
  return undefined;
}

function faultsOf(
  issue: z.core.$ZodIssue,
  options: unknown,
  place: readonly string[],
  schema: z.ZodType,
): Fault[] {
  const path = [...place, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(schemaAt(schema, issue.path)?.shape ?? {});
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, known) }));
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    options,
  );
  const message = whatWasExpected(issue);
  if (issue.code === "invalid_key")
    return [{ path, message: `${message}; got ${shown(issue.path.at(-1))}` }];
  return [
    { path, message: message.includes("; got ") ? message : `${message}; got ${shown(value)}` },
  ];
}

interface Schema {
  /** Of an object. */
  readonly shape?: Readonly<Record<PropertyKey, unknown>>;
  /** Of a record. */
  readonly valueType?: unknown;
}

/** The schema that stands at a path of another. */
function schemaAt(whole: z.ZodType, path: readonly PropertyKey[]): Schema | undefined {
  let schema = whole as Schema | undefined;
  for (const key of path)
    schema = unwrapped(schema?.shape?.[key] ?? schema?.valueType) as Schema | undefined;
  return schema;
}

function unwrapped(schema: unknown): unknown {
  const { unwrap } = (schema ?? {}) as { unwrap?: () => unknown };
  return unwrap ? unwrapped(unwrap.call(schema)) : schema;
}

/** What is said of a key that nobody knows: which ones there are, and which one was meant. */
export function unknownKey(key: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, distance: distanceOf(key.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  if (near && near.distance <= Math.max(1, Math.floor(key.length / 3)))
    return `expected a key that is known; got ${shown(key)}; did you mean ${near.name}?`;
  return `expected one of ${known.join(", ")}; got ${shown(key)}`;
}

/** Letters to add, take away or change, or neighbours to swap, that make one word of the other. */
function distanceOf(a: string, b: string): number {
  // Beyond any name of ours.
  if (a.length > 50) return a.length;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? (before[j - 2] ?? Number.POSITIVE_INFINITY) + 1
          : Number.POSITIVE_INFINITY;
      const changed = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1, swapped));
    }
    before = row;
    row = next;
  }
  return row[b.length] as number;
}
