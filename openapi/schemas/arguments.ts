/** Arguments and variables of a command, within the limits of Linux and bubblewrap. */
import { z } from "@hono/zod-openapi";
import { documented, NO_NUL_PATTERN, noNul, record, utf8Bytes } from "./values.ts";

/** Linux refuses a longer argument (MAX_ARG_STRLEN: 32 pages of 4 KiB, with the final NUL). */
const MAX_ARGUMENT_BYTES = 131_071;

/** bubblewrap takes 9,000 arguments, its own included. */
const MAX_ARGUMENTS = 8_000;

/** bubblewrap sets a variable by three arguments: `--setenv NAME VALUE`. */
const ARGUMENTS_PER_VARIABLE = 3;
const MAX_VARIABLES = Math.floor(MAX_ARGUMENTS / ARGUMENTS_PER_VARIABLE);

/**
 * Linux takes a quarter of the stack's limit, 2 MiB by default, for arguments and variables.
 * Half of that leaves room for those of bubblewrap.
 */
const MAX_TOTAL_BYTES = 1_048_576;

/** Linux keeps a pointer and a final NUL for each argument and variable. */
const POINTER_BYTES = 9;

const ArgumentSchema = z
  .string()
  .refine(noNul, "expected a string without NUL characters")
  .refine(
    (value) => value.length <= MAX_ARGUMENT_BYTES && utf8Bytes(value) <= MAX_ARGUMENT_BYTES,
    `expected at most ${MAX_ARGUMENT_BYTES} bytes; longer data goes in by stdin`,
  )
  .openapi({ pattern: NO_NUL_PATTERN, maxLength: MAX_ARGUMENT_BYTES });

/** The program of a command, as the first item: it is not empty, and is no option. */
export const PROGRAM_ITEM = [
  {
    type: "string" as const,
    description: "The program: its path, or its name in `PATH`.",
    pattern: "^[^-\\x00][^\\x00]*$",
  },
];

export const CommandSchema = documented(
  z
    .array(ArgumentSchema.describe(`An argument: at most ${MAX_ARGUMENT_BYTES} bytes of UTF-8.`))
    .min(1, "expected at least the program to run")
    .max(MAX_ARGUMENTS),
  {
    description:
      "The program and its arguments. There is no shell. All arguments and variables together " +
      `take at most ${MAX_TOTAL_BYTES} bytes.`,
    example: ["uname", "-a"],
    prefixItems: PROGRAM_ITEM,
  },
);

/** Linux forbids no other characters, and programs use others: `spring.profiles.active`. */
export const VariableNameSchema = z
  .string()
  .min(1, "expected a variable name")
  .refine(
    (name) => noNul(name) && !name.includes("="),
    "expected a variable name, without = and NUL characters",
  )
  // bash runs such functions in place of programs.
  .refine((name) => !name.startsWith("BASH_FUNC_"), "expected no function of bash");
/** Names that shells know. */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** The other names are part of one argument in the sandbox. */
const MAX_ODD_NAMES = 200;
const MAX_ODD_BYTES = 8_192;
const VARIABLE_PATTERN = "^[^=\\x00]+$";

export const EnvironmentSchema = documented(
  record(VariableNameSchema, ArgumentSchema.describe("The value of the variable."), {
    pattern: VARIABLE_PATTERN,
    max: MAX_VARIABLES,
  }).superRefine((variables, context) => {
    const odd = Object.keys(variables).filter((name) => !SHELL_NAME.test(name));
    const bytes = odd.reduce((sum, name) => sum + utf8Bytes(name), 0);
    if (odd.length > MAX_ODD_NAMES || bytes > MAX_ODD_BYTES)
      context.addIssue({
        code: "custom",
        message:
          `expected at most ${MAX_ODD_NAMES} names of together ${MAX_ODD_BYTES} bytes with other ` +
          `characters than letters, digits and _; got ${odd.length} of ${bytes} bytes`,
      });
    // Linux keeps a variable as one string, NAME=VALUE.
    for (const [name, value] of Object.entries(variables)) {
      if (utf8Bytes(name) + 1 + utf8Bytes(value) > MAX_ARGUMENT_BYTES)
        context.addIssue({
          code: "custom",
          path: [name],
          message:
            `expected at most ${MAX_ARGUMENT_BYTES} bytes with its name and =; ` +
            "longer data goes in by stdin",
        });
    }
  }),
  {
    description: "Variables that are added to the child's minimal environment. Default: none.",
    example: { LANG: "C.UTF-8" },
    maxProperties: MAX_VARIABLES,
  },
);

/** The faults of a command and its variables taken together. */
export function* commandIssues(
  command: readonly string[],
  variables: Readonly<Record<string, string>>,
): Generator<{ message: string; path?: (string | number)[] }> {
  const [program] = command;
  if (program === "" || program?.startsWith("-")) {
    const got =
      program === "" ? "an empty string" : `an option, ${JSON.stringify(program.slice(0, 100))}`;
    yield { path: ["command", 0], message: `expected the program to run; got ${got}` };
  }
  const count = Object.keys(variables).length;
  if (command.length + ARGUMENTS_PER_VARIABLE * count > MAX_ARGUMENTS)
    yield {
      message:
        `expected at most ${MAX_ARGUMENTS} arguments, of which a variable counts as ` +
        `${ARGUMENTS_PER_VARIABLE}; got ${command.length} arguments and ${count} variables`,
    };
  const bytes = [...command, ...Object.entries(variables).flat()].reduce(
    (sum, text) => sum + utf8Bytes(text) + POINTER_BYTES,
    0,
  );
  if (bytes > MAX_TOTAL_BYTES)
    yield {
      message:
        `expected at most ${MAX_TOTAL_BYTES} bytes of arguments and variables; got ${bytes}; ` +
        "longer data goes in by stdin or files",
    };
}
