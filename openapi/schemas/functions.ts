/** Functions and tasks: a function comes by its source or hash, a task by its name. */
import { z } from "@hono/zod-openapi";
import { RuntimeNameSchema, SourceHashSchema, TaskNameSchema } from "./names.ts";
import { documented, MAX_NESTING, matching, nestsAtMost } from "./values.ts";

export const ValueEncodingSchema = z.enum(["json", "devalue"]).openapi("ValueEncoding", {
  description:
    "How values are written. `json`: as they are. `devalue`: in the flattened form of the npm " +
    "package devalue, as JSON. It carries dates, maps, sets, big integers, typed arrays, " +
    "undefined and cycles.",
  example: "json",
});

const argumentFields = {
  args: z
    .array(z.any())
    .refine(
      (args) => nestsAtMost(args, MAX_NESTING),
      `expected values nested at most ${MAX_NESTING} levels deep`,
    )
    .default([])
    .openapi({
      description:
        "The arguments of the function, in this order. A context object follows them where the " +
        "function declares one more parameter without a default. `encoding` says how they are " +
        "written. Default: none.",
      type: "array",
      items: { description: "An argument: any JSON value." },
    }),
  encoding: ValueEncodingSchema.default("json").openapi({
    description: "How `args` and the `value` of the result are written. Default `json`.",
    default: "json",
  }),
};

/** Any other character, in every dialect of regular expressions. */
const NOT_ASCII = "[^\\x00-\\x7F]";

/**
 * Runtimes differ in the identifiers they take: this has all of theirs. A name that a runtime does
 * not take is no export of the source.
 */
const ExportSchema = matching(
  new RegExp(`^(?:[A-Za-z_$]|${NOT_ASCII})(?:[A-Za-z0-9_$]|${NOT_ASCII}){0,254}$`, "u"),
  "expected the name of an export",
);

const source = z
  .string()
  .min(1)
  .openapi({
    description:
      "JavaScript or TypeScript source: one function expression, or an ES module with " +
      "`export`. The function sees its arguments and the globals of its runtime, nothing " +
      "else. Another runtime takes source of its own language. At most 4 MiB of JSON.",
    example: "(a, b) => a + b",
  });

const callFields = {
  export: ExportSchema.optional().describe(
    "The function's name among the exports of a module; in Python the function's own name. " +
      "Default: the default export, or the only function.",
  ),
  runtime: RuntimeNameSchema.default("node").openapi({
    description:
      "The runtime of the function. `GET /pools/{pool}` lists those of a pool. Default `node`.",
    default: "node",
  }),
  ...argumentFields,
};

export const FunctionBySourceSchema = z
  .strictObject({
    source,
    hash: SourceHashSchema.optional().describe(
      "The hash of the source; another one is `invalid_request`. The member computes it when it " +
        "is absent.",
    ),
    ...callFields,
  })
  .openapi("FunctionBySource", {
    description: "A function whose source comes along.",
    example: { source: "(a, b) => a + b", args: [1211, 1] },
  });

export const FunctionByHashSchema = z
  .strictObject({
    hash: SourceHashSchema.describe(
      "The hash of a source that was sent before. A member that does not have it answers " +
        "`source_unknown`.",
    ),
    ...callFields,
  })
  .openapi("FunctionByHash", {
    description: "A function whose source the member has from an earlier call.",
    example: {
      hash: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      args: [1211, 1],
    },
  });

/** One object, so that a refusal names the key at fault. The document has its two variants. */
export const FunctionWorkSchema = documented(
  z
    .strictObject({
      source: source.optional(),
      hash: SourceHashSchema.optional(),
      ...callFields,
    })
    .refine(
      ({ source, hash }) => source !== undefined || hash !== undefined,
      "expected source, or the hash of one that was sent before",
    )
    .openapi("FunctionWork"),
  {
    description: "A function to call, by its source or by the hash of a source.",
    example: { source: "(a, b) => a + b", args: [1211, 1] },
    type: "object",
    oneOf: [
      { $ref: "#/components/schemas/FunctionBySource" },
      { $ref: "#/components/schemas/FunctionByHash" },
    ],
  },
);

export const TaskWorkSchema = z
  .strictObject({
    name: TaskNameSchema.describe("The name of the task. `GET /pools/{pool}` lists them."),
    ...argumentFields,
  })
  .openapi("TaskWork", {
    description: "A task to call: a function that the operator installed on the members.",
    example: { name: "thumbnails", args: [{ width: 320 }] },
  });
