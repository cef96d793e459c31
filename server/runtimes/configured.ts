/** The configuration of runtimes by the operator: any program that can run a source. */
import { z } from "zod";

/** The part of a command's argument that becomes the path of the source. */
export const SOURCE_PLACEHOLDER = "{source}";

/** Configured runtimes by name, as the operator writes them. */
export const RuntimesSchema = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, "expected the name of a runtime"),
  z.strictObject({
    command: z
      .array(
        z
          .string()
          .refine(
            (argument) => !argument.includes("\0"),
            "expected a string without NUL characters",
          ),
      )
      .min(1, "expected at least the program to run")
      .refine(
        (command) => command.some((argument) => argument.includes(SOURCE_PLACEHOLDER)),
        `expected ${SOURCE_PLACEHOLDER}, the path of the source, in an argument`,
      ),
  }),
);
export type ConfiguredRuntimes = z.input<typeof RuntimesSchema>;
