/** Functions and tasks: a function comes by its source or hash, a task by its name. */
import { z } from "@hono/zod-openapi";
import { NAME, NAME_RULE } from "../names.ts";
import { SourceHashSchema, TaskNameSchema } from "./names.ts";
import { MAX_NESTING, nestsAtMost } from "./values.ts";

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
        "Values that the function gets in this order. A context object follows them where the " +
        "function declares one more parameter without a default. " +
        "`encoding` says how they are written.",
      type: "array",
      items: {},
    }),
  encoding: z
    .enum(["json", "devalue"])
    .default("json")
    .describe(
      "How `args` and the `value` of the result are written. `devalue` is the flattened form " +
        "of the npm package devalue, as JSON. It carries dates, maps, sets, big integers, typed " +
        "arrays, undefined and cycles.",
    ),
};

/** Runtimes differ in the identifiers they take: this is the part that all of them take. */
const ExportSchema = z
  .string()
  .regex(/^[\p{ID_Start}$_][\p{ID_Continue}$]{0,254}$/u, "expected the name of an export");

export const FunctionSchema = z
  .strictObject({
    source: z
      .string()
      .min(1)
      .optional()
      .openapi({
        description:
          "JavaScript or TypeScript source: one function expression, or an ES module with " +
          "`export`. The function sees its arguments and the globals of its runtime, nothing " +
          "else. Another runtime takes source of its own language.",
        example: "(a, b) => a + b",
      }),
    hash: SourceHashSchema.optional().describe(
      "The hash of the source. A member that has this source needs no `source`; another one " +
        "answers `source_unknown`. A request with both must have the hash of its source.",
    ),
    export: ExportSchema.optional().describe(
      "The function's name among the exports of a module; in Python the function's own name.",
    ),
    runtime: z
      .string()
      .regex(NAME, `expected the name of a runtime: ${NAME_RULE}`)
      .default("node")
      .describe(
        "The runtime of the function: `node`, `bun`, `python`, or one that the operator " +
          "configured. `GET /pools/{pool}` lists them.",
      ),
    ...argumentFields,
  })
  .refine(
    ({ source, hash }) => source !== undefined || hash !== undefined,
    "expected source, or the hash of one that was sent before",
  )
  .openapi("Function");

export const TaskSchema = z
  .strictObject({ name: TaskNameSchema, ...argumentFields })
  .openapi("Task", {
    description:
      "A function that the operator installed on the members. `GET /pools/{pool}` lists them.",
  });
