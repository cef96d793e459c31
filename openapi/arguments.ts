/** Arguments and variables of a command, within what Linux and bubblewrap take. */
import { z } from "@hono/zod-openapi";
import { noNul, record, utf8Bytes } from "./values.ts";

/** Linux refuses a longer single argument (MAX_ARG_STRLEN, 32 pages of 4 KiB, with its final NUL). */
const MAX_ARGUMENT_BYTES = 131_071;

/** bubblewrap takes 9,000 arguments, its own included. */
export const MAX_ARGUMENTS = 8_000;

/** `--setenv NAME VALUE`. */
export const ARGUMENTS_PER_VARIABLE = 3;

/** Linux takes a quarter of the stack's limit for arguments and variables, 2 MiB by default; a NUL and a pointer go with each. */
export const MAX_ARGUMENT_TOTAL_BYTES = 1_048_576;

export const POINTER_BYTES = 9;

export const ArgumentSchema = z
  .string()
  .refine(noNul, "expected a string without NUL characters")
  .refine(
    (value) => value.length <= MAX_ARGUMENT_BYTES && utf8Bytes(value) <= MAX_ARGUMENT_BYTES,
    `expected at most ${MAX_ARGUMENT_BYTES} bytes; longer data goes in by stdin`,
  );

export const EnvironmentSchema = record(
  z
    .string()
    .regex(
      /^[A-Za-z_][A-Za-z0-9_]*$/,
      "expected a variable name: letters, digits and _, not beginning with a digit",
    ),
  ArgumentSchema,
).superRefine((variables, context) => {
  // Linux holds a variable as one string, NAME=VALUE.
  for (const [name, value] of Object.entries(variables)) {
    if (name.length + 1 + utf8Bytes(value) > MAX_ARGUMENT_BYTES)
      context.addIssue({
        code: "custom",
        path: [name],
        message: `expected at most ${MAX_ARGUMENT_BYTES} bytes with its name and =; longer data goes in by stdin`,
      });
  }
});
