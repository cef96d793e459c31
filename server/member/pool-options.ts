/** A pool as its operator writes it: how many children, what they may use, and what they are shown. */
import { isAbsolute, posix } from "node:path";
import { z } from "zod";
import { LimitsSchema, MAX_DEADLINE_MS } from "../../openapi/limits.ts";
import {
  type Confinement,
  DEFAULT_LIMITS,
  type ReadOnlyBind,
  withoutUndefined,
} from "../sandbox/confinement.ts";
import { NetworkSchema, UrlRuleSchema } from "../workspace/fetch-rules.ts";

/** Absolute, and without a NUL: bubblewrap's arguments end at one. */
const isPath = (path: string) => isAbsolute(path) && !path.includes("\0");
const AbsolutePath = z.string().refine(isPath, "expected an absolute path");

/** Places of the sandbox's own, over which nothing may be laid. */
const OWN_PLACES = ["/", "/work", "/tmp"];
/** The same for what is below them. */
const OWN_TREES = ["/proc", "/dev", "/run/distributed-pool"];

const BindSchema = z.string().transform((text, context): ReadOnlyBind => {
  const [from = "", to = from, ...rest] = text.split(":");
  const place = posix.normalize(`${to}/`);
  const own =
    OWN_PLACES.some((path) => posix.join(path, "/") === place) ||
    OWN_TREES.some((path) => place.startsWith(`${path}/`));
  if (!isPath(from) || !isPath(to) || rest.length > 0 || own) {
    const places = [...OWN_PLACES, ...OWN_TREES].join(" ");
    context.addIssue({
      code: "custom",
      message: `expected HOSTPATH or HOSTPATH:PATH, absolute, not ${places}; got ${JSON.stringify(text)}`,
    });
  }
  return { from, to };
});

const MAX_WARM = 1_000;

/** A pool as its operator writes it. */
export const PoolOptionsSchema = z
  .strictObject({
    maxChildren: z.int().min(1).max(10_000),
    /** Callers that may wait for a slot at a time; 0 for none. */
    maxQueue: z.int().min(0).max(100_000).default(1_000),
    /** Tighter or looser than {@link DEFAULT_LIMITS}; `deadlineMs` is the longest deadline that a caller may ask for. */
    limits: z
      .strictObject({
        ...LimitsSchema.shape,
        deadlineMs: z.int().min(1).max(MAX_DEADLINE_MS).optional(),
      })
      .default({}),
    readOnly: z.array(BindSchema).default([]),
    env: z
      .record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected a variable name"),
        z
          .string()
          .refine((value) => !value.includes("\0"), "expected a value without NUL characters"),
      )
      .default({}),
    network: z.enum(["none", "host"]).default("none"),
    devices: z
      .array(
        AbsolutePath.refine(
          (path) => posix.normalize(path).startsWith("/dev/"),
          "expected a path below /dev/",
        ),
      )
      .default([]),
    commands: z.array(z.string().min(1)).min(1).optional(),
    /** Which URLs of files are fetched: how they begin, `*.` before a host for all names below it. Default: none. */
    fetch: z.array(UrlRuleSchema).default([]),
    /** Addresses at which they may be beside the public ones, such as `10.0.0.0/8`. */
    fetchAddresses: z.array(NetworkSchema).default([]),
    root: AbsolutePath.optional(),
    /** Processes that are started beforehand and wait for one call each: so many of `node`, or by runtime, such as `{node: 2, python: 1}`. */
    warm: z
      .union(
        [
          z
            .int()
            .min(0)
            .max(MAX_WARM)
            .transform((node): Readonly<Record<string, number>> => ({ node })),
          z.record(z.string(), z.int().min(0).max(MAX_WARM)),
        ],
        `expected how many processes wait, up to ${MAX_WARM}, or that by runtime`,
      )
      .default({}),
    /**
     * Keep a process after its call for further calls of the same caller, in the same runtime. Weaker isolation: what a call leaves in its
     * process (globals, files, whatever it changed in the language's own objects) the next call of this caller runs with.
     */
    reuse: z.boolean().default(false),
  })
  .refine(({ reuse, limits }) => !reuse || limits.cpuMs === undefined, {
    path: ["reuse"],
    message: "expected no limits.cpuMs beside it: a process's time is counted over all its calls",
  });
/** A pool's options: `maxChildren`, limits and grants. */
export type PoolOptions = z.input<typeof PoolOptionsSchema>;

/** What the checked options of a pool say of its children. */
export function confinementOf(options: z.output<typeof PoolOptionsSchema>): Confinement {
  const { readOnly, env, network, devices, commands, root } = options;
  const { deadlineMs: _, ...limits } = options.limits;
  return {
    limits: { ...DEFAULT_LIMITS, ...withoutUndefined(limits) },
    grants: { readOnly, env, network, devices, commands, root },
  };
}
