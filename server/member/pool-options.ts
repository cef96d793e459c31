/** The options of a pool: its number of children, their limits, and what the pool grants them. */
import { isAbsolute, posix } from "node:path";
import { z } from "zod";
import { MAX_DEADLINE_MS } from "../../openapi/limits.ts";
import { VariableNameSchema } from "../../openapi/schemas/arguments.ts";
import { LimitsSchema } from "../../openapi/schemas/limits.ts";
import type { ReadOnlyBind } from "../sandbox/confinement.ts";
import { NetworkSchema } from "../sandbox/egress/addresses.ts";
import { TargetSchema } from "../sandbox/egress/targets.ts";
import { UrlRuleSchema } from "../workspace/fetching/fetch-rules.ts";
import { fenceNumber } from "./options/option.ts";

export type { PoolOptions } from "./options/types.gen.ts";

/** Without NUL characters, because bubblewrap's arguments end at one. */
const isPath = (path: string) => isAbsolute(path) && !path.includes("\0");
const AbsolutePath = z.string().refine(isPath, "expected an absolute path");

/** Paths of the sandbox itself: a bind over one would replace what holds the child. */
const OWN_PATHS = ["/", "/work", "/tmp"];
/** Paths over which, and below which, no bind may lie, for the same reason. */
const OWN_TREES = ["/proc", "/dev", "/run/distributed-pool"];

const BindSchema = z.string().transform((text, context): ReadOnlyBind => {
  const [from = "", to = from, ...rest] = text.split(":");
  const target = posix.normalize(`${to}/`);
  const own =
    OWN_PATHS.some((path) => posix.join(path, "/") === target) ||
    OWN_TREES.some((path) => target.startsWith(`${path}/`));
  if (!isPath(from) || !isPath(to) || rest.length > 0 || own)
    context.addIssue(
      `expected HOSTPATH or HOSTPATH:PATH, absolute, not ` +
        `${[...OWN_PATHS, ...OWN_TREES].join(" ")}; got ${JSON.stringify(text)}`,
    );
  return { from, to };
});

const MAX_WARM = 1_000;
/** 2 sandboxes wait for commands unless the operator says otherwise. */
const WARM_COMMANDS = 2;
/** The member compares each connection of a child with all of them. */
const MAX_TARGETS = 256;
const warmNumber = z.int().min(0).max(MAX_WARM);

export const ReuseSchema = z.strictObject({
  maxUses: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1_000)
    .describe("Calls after which a process is replaced."),
  maxMemoryShare: z
    .number()
    .min(0.01)
    .max(1)
    .default(0.5)
    .describe("A process that holds more of its memory limit after a call is replaced."),
});

/** A pool as its operator writes it. A reload takes every key of it. */
export const PoolOptionsSchema = z
  .strictObject({
    maxChildren: z.int().min(1).max(10_000).describe("Children at a time, at most."),
    maxQueue: z
      .int()
      .min(0)
      .max(100_000)
      .default(1_000)
      .describe("Callers that may wait for a slot at a time; 0 for none."),
    maxChildrenPerCaller: z
      .union(
        [z.int().min(1).max(10_000), z.string().regex(/^([1-9]\d?|100)%$/)],
        "expected a whole number from 1 to 10000, or a percentage such as 50%",
      )
      .optional()
      .describe(
        "Children and held slots of one caller at a time in this pool, as a number or a " +
          "percentage of `maxChildren`. A token's `maxSlots` replaces it. Default: no bound.",
      ),
    limits: z
      .strictObject({
        ...LimitsSchema.shape,
        deadlineMs: z
          .int()
          .min(1)
          .max(MAX_DEADLINE_MS)
          .optional()
          .describe("The longest `deadlineMs` in milliseconds that a caller may ask for."),
      })
      .default({})
      .describe("Limits of each child. A caller can tighten them."),
    readOnly: z
      .array(BindSchema)
      .default([])
      .describe("Paths of the host that children see, read-only: `HOSTPATH` or `HOSTPATH:PATH`."),
    env: z
      .record(
        VariableNameSchema,
        z
          .string()
          .refine((value) => !value.includes("\0"), "expected a value without NUL characters"),
      )
      .default({})
      .describe("Variables of every child; a caller's own variable does not replace one."),
    limitVariables: z
      .boolean()
      .default(true)
      .describe(
        "Tell runtimes the limits by GOMAXPROCS, GOMEMLIMIT, NODE_OPTIONS and OMP_NUM_THREADS, " +
          "and without a control group by JAVA_TOOL_OPTIONS; `env` and a caller's variables " +
          "replace each.",
      ),
    network: z
      .union(
        [
          z.enum(["none", "host"]),
          z.strictObject({
            allow: z
              .array(TargetSchema)
              .min(1)
              .max(MAX_TARGETS)
              .describe(
                "Names and ports that the proxy connects to, such as `files.example:443`; " +
                  "`*.` stands for every name below a host.",
              ),
            addresses: z
              .array(NetworkSchema)
              .default([])
              .describe(
                "Addresses that the names may have beside the public ones, such as `10.0.0.0/8`.",
              ),
          }),
        ],
        'expected none, host, or names and ports such as {allow: ["files.example:443"]}',
      )
      .default("none")
      .describe(
        "`host` is the machine's own network, its loopback included. " +
          '`{allow: ["files.example:443"]}` is the member\'s proxy to these names and ports.',
      ),
    devices: z
      .array(
        AbsolutePath.refine(
          (path) => posix.normalize(path).startsWith("/dev/"),
          "expected a path below /dev/",
        ),
      )
      .default([])
      .describe("Device files below `/dev`, such as `/dev/dri/renderD128`."),
    commands: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe(
        "The only programs that callers may name; " +
          "callers then run no functions and set no variables.",
      ),
    fetch: z
      .array(UrlRuleSchema)
      .default([])
      .describe(
        "Beginnings of the URLs from which a member fetches files, such as " +
          "`https://assets.example.com/public/`; `*.` stands for every name below a host.",
      ),
    fetchAddresses: z
      .array(NetworkSchema)
      .default([])
      .describe(
        "Addresses from which it fetches, and which it notifies, beside the public ones, such as " +
          "`10.0.0.0/8`.",
      ),
    notify: z
      .array(UrlRuleSchema)
      .default([])
      .describe(
        "Beginnings of the URLs that callers may have notified of their children's endings, " +
          "written like `fetch`; with `notifySecretFile` of the member.",
      ),
    deadlineMs: z
      .int()
      .min(1)
      .max(MAX_DEADLINE_MS)
      .optional()
      .describe(
        "Deadline in milliseconds of calls and placed children that name none. Default: the " +
          "member's for calls, `limits.deadlineMs` or none for placed children.",
      ),
    root: AbsolutePath.optional().describe(
      "A folder that replaces the host's `/usr`; it needs a `/bin/sh`.",
    ),
    warm: z
      .union(
        [
          warmNumber.transform((node): Readonly<Record<string, number>> => ({ node })),
          z.record(z.string(), warmNumber),
        ],
        `expected how many processes wait, up to ${MAX_WARM}, or that by runtime`,
      )
      .default({})
      .transform((warm) => ({ ...warm, command: warm.command ?? WARM_COMMANDS }))
      .describe(
        "Processes that start beforehand and wait for one call each: " +
          "a number for `node`, or numbers by runtime, such as `{node: 2, python: 1}`; " +
          `and by \`command\` sandboxes for commands, ${WARM_COMMANDS} by default.`,
      ),
    reuse: z
      .union([z.boolean(), ReuseSchema], "expected true, false, or {maxUses, maxMemoryShare}")
      .default(false)
      .describe(
        "Keep a process for further calls of the same caller and runtime. Weaker isolation: " +
          "the next call finds the globals and files that a call left, " +
          "and its changes to the language's own objects. A process is replaced after 1,000 " +
          "calls, and when it holds half of its memory limit after a call. " +
          "`{maxUses: 100, maxMemoryShare: 0.25}` sets other bounds.",
      ),
    fenceMs: fenceNumber
      .optional()
      .describe(
        "Milliseconds without touch with Consul after which the member kills the pool's children " +
          "and admits none; 0 for never. Default: the member's `fenceMs`.",
      ),
  })
  .refine(({ reuse, limits }) => reuse === false || limits.cpuMs === undefined, {
    path: ["reuse"],
    message:
      "expected no limits.cpuMs beside it: " +
      "a process's time is counted over all its calls; got true",
  });

/** A pool's options with their defaults. */
export type CheckedPool = z.output<typeof PoolOptionsSchema>;
