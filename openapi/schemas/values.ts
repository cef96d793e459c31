/** Values that callers send: text, bytes, files with their paths, nested JSON. */
import { z } from "@hono/zod-openapi";

export const noNul = (value: string) => !value.includes("\0");

export const utf8Bytes = (value: string) => new TextEncoder().encode(value).length;

/** A record that refuses the key `__proto__`, which zod would drop silently. */
export function record<V extends z.ZodType>(
  key: z.ZodString,
  value: V,
): z.ZodRecord<z.ZodString, V> {
  const refuse = (input: unknown, context: z.RefinementCtx) => {
    if (typeof input === "object" && input !== null && Object.hasOwn(input, "__proto__"))
      context.addIssue({ code: "custom", message: "expected no key __proto__" });
    return input;
  };
  // The step before the record changes nothing, so the whole has the type of the record.
  return z.preprocess(refuse, z.record(key, value)) as unknown as z.ZodRecord<z.ZodString, V>;
}

/** `JSON.stringify` fails for deeper values where little of the stack remains. */
export const MAX_NESTING = 1_000;

/** Whether a JSON value nests arrays and objects at most `levels` deep. Does not recurse. */
export function nestsAtMost(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; ; depth++) {
    level = level.filter((item) => typeof item === "object" && item !== null);
    if (level.length === 0) return true;
    if (depth === levels) return false;
    level = level.flatMap((item) => Object.values(item as object));
  }
}

const Base64Schema = z.base64("expected base64");

const DataSchema = z
  .union(
    [
      z.string().describe("The text itself."),
      z.strictObject({ text: z.string() }),
      z.strictObject({ base64: Base64Schema }),
    ],
    'expected a string, {"text": ...} or {"base64": ...}',
  )
  .openapi("Data", { description: "Text, or bytes in base64." });

export type Data = z.output<typeof DataSchema>;

export const FileSchema = z
  .union(
    [
      ...DataSchema.options,
      z.strictObject({
        url: z.url({ protocol: /^https?$/, error: "expected an http or https URL" }),
      }),
    ],
    'expected a string, {"text": ...}, {"base64": ...} or {"url": ...}',
  )
  .openapi("File", {
    description:
      "Text, bytes in base64, or a URL that the member fetches where its operator allows that.",
  });

export const StdinSchema = z
  .union(
    [
      ...DataSchema.options,
      z.strictObject({
        open: z.literal(true),
        once: z
          .literal(true)
          .optional()
          .describe(
            "One body is the whole input. A body that breaks off, or does not begin within " +
              "10 seconds, stops the child: `cancelled`.",
          ),
      }),
    ],
    'expected a string, {"text": ...}, {"base64": ...}, {"open": true} or ' +
      '{"open": true, "once": true}',
  )
  .openapi("Stdin");

/** Linux's PATH_MAX, without the final NUL. */
const MAX_PATH_BYTES = 4_095;

/** Linux's NAME_MAX. */
const MAX_NAME_BYTES = 255;

/** Whether a path stays in the workspace: relative, without empty names, `.` or `..`. */
export function isWorkspacePath(path: string): boolean {
  return (
    noNul(path) &&
    utf8Bytes(path) <= MAX_PATH_BYTES &&
    path
      .split("/")
      .every(
        (name) => name !== "" && name !== "." && name !== ".." && utf8Bytes(name) <= MAX_NAME_BYTES,
      )
  );
}

export const PATH_RULE = "a path in the workspace: relative, without empty names, . and ..";

export const WorkspacePathSchema = z.string().refine(isWorkspacePath, `expected ${PATH_RULE}`);
