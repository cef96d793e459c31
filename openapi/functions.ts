/** What runs when it is no command: a function by its source or hash, or an operator's task. */
import { z } from "@hono/zod-openapi";
import { NAME, NAME_RULE, SourceHashSchema, TaskNameSchema } from "./names.ts";
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
      description: "Values, passed in order; a context object follows them. In `encoding`.",
      type: "array",
      items: {},
    }),
  encoding: z.enum(["json", "devalue"]).default("json").openapi({
    description:
      "How `args` and the `value` of the result are written. `devalue` carries dates, maps, sets, big integers, typed arrays, undefined and cycles: the flattened form of the npm package devalue, as JSON.",
  }),
};

/** An identifier, as far as every runtime agrees on it. */
const ExportSchema = z
  .string()
  .regex(/^[\p{ID_Start}$_][\p{ID_Continue}$]{0,254}$/u, "expected the name of an export");

export const FunctionSchema = z
  .strictObject({
    source: z.string().min(1).optional().openapi({
      description:
        "JavaScript or TypeScript source: one function expression, or with `export` an ES module. It sees the globals of its runtime and what is passed to it, nothing else. In another runtime, source of its language.",
      example: "(a, b) => a + b",
    }),
    hash: SourceHashSchema.optional().openapi({
      description:
        "Names the source by its content. A member that keeps it needs no `source`; one that does not answers `source_unknown`. With both, they have to match.",
    }),
    export: ExportSchema.optional().openapi({
      description:
        "The function's name among the exports of a module; in Python the name of the function.",
    }),
    runtime: z
      .string()
      .regex(NAME, `expected the name of a runtime: ${NAME_RULE}`)
      .default("node")
      .openapi({
        description:
          "What runs it: `node`, `bun`, `python`, or what the operator has configured. `GET /pools/{pool}` lists them.",
      }),
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
