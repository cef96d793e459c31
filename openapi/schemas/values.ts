/** Values that callers send: text, bytes, files with their paths, nested JSON. */
import { z } from "@hono/zod-openapi";

/** Keywords of JSON Schema, which the types of the generator do not all know. */
type Keywords = NonNullable<Parameters<z.ZodString["openapi"]>[0]> & object;

/** Adds keywords to the documented schema. */
export function documented<S extends z.ZodType>(schema: S, keywords: Record<string, unknown>): S {
  return schema.openapi(keywords as Keywords);
}

/** A string that matches. The document has the pattern without the flags of JavaScript. */
export function matching(pattern: RegExp, message: string): z.ZodString {
  return z.string().regex(pattern, message).openapi({ pattern: pattern.source });
}

/** A string of at most `max` code points, as JSON Schema counts them. */
export function shortText(max: number): z.ZodString {
  return z
    .string()
    .refine(
      // A code point has at most two units.
      (value) => value.length <= max || (value.length <= 2 * max && [...value].length <= max),
      `expected at most ${max} characters`,
    )
    .openapi({ maxLength: max });
}

/** A whole number that a double holds exactly. */
export const whole = () => z.int().max(Number.MAX_SAFE_INTEGER);

/** A value that may be absent; its key is always there. */
export const orNull = <S extends z.ZodType>(schema: S) => z.union([schema, z.null()]);

export const noNul = (value: string) => !value.includes("\0");

/** Text without NUL characters. */
export const NO_NUL_PATTERN = "^[^\\x00]*$";

export const utf8Bytes = (value: string) => new TextEncoder().encode(value).length;

/**
 * A record that refuses the key `__proto__`, which zod would drop silently.
 *
 * @param keywords of its keys' schema. `max`: a record with more keys is not looked at.
 */
export function record<V extends z.ZodType>(
  key: z.ZodString,
  value: V,
  { max = 1e6, ...keywords }: { readonly max?: number; readonly [keyword: string]: unknown },
): z.ZodRecord<z.ZodString, V> {
  const refuse = (input: unknown, context: z.RefinementCtx) => {
    const keys = typeof input === "object" && input !== null ? Object.keys(input) : [];
    const add = (message: string) => context.addIssue({ code: "custom", message });
    if (keys.includes("__proto__")) add("expected no key __proto__");
    if (keys.length > max) add(`expected at most ${max} keys; got ${keys.length}`);
    return input;
  };
  const propertyNames = { type: "string", ...keywords, not: { enum: ["__proto__"] } };
  // The step before the record changes nothing, so the whole has the type of the record.
  return documented(z.preprocess(refuse, z.record(key, value)), {
    propertyNames,
  }) as unknown as z.ZodRecord<z.ZodString, V>;
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

const PlainTextSchema = z.string().describe("The text itself, which becomes UTF-8.");

export const TextDataSchema = z
  .strictObject({ text: z.string().describe("The text, which becomes UTF-8.") })
  .openapi("TextData", { description: "Text.", example: { text: "hello\n" } });

export const Base64DataSchema = z
  .strictObject({
    base64: documented(z.base64("expected base64"), {
      description: "The bytes in base64, with its padding.",
      pattern: "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
      format: undefined,
      contentEncoding: "base64",
    }),
  })
  .openapi("Base64Data", { description: "Bytes.", example: { base64: "aGVsbG8K" } });

const DATA = [PlainTextSchema, TextDataSchema, Base64DataSchema] as const;

/** The permissions of a file in octal digits, without setuid, setgid and sticky bits. */
export const FileModeSchema = matching(
  /^0?[0-7]{3}$/,
  'expected the permissions as three octal digits in a string, such as "755"',
)
  .optional()
  .describe("The file's permissions as octal digits, such as `755`. Default `644`.");

export const TextFileSchema = z
  .strictObject({ ...TextDataSchema.shape, mode: FileModeSchema })
  .openapi("TextFile", {
    description: "A file of text.",
    example: { text: "#!/bin/sh\necho hello\n", mode: "755" },
  });

export const Base64FileSchema = z
  .strictObject({ ...Base64DataSchema.shape, mode: FileModeSchema })
  .openapi("Base64File", { description: "A file of bytes.", example: { base64: "aGVsbG8K" } });

const DataSchema = z.union(DATA);

export type Data = z.output<typeof DataSchema>;

const URL_RULE = "expected an http or https URL";

const url = matching(/^[Hh][Tt][Tt][Pp][Ss]?:\/\/[!-~]+$/, URL_RULE)
  .refine((text) => URL.canParse(text), URL_RULE)
  .describe("The http or https URL of the content, in ASCII.");

export const UrlFileSchema = z.strictObject({ url, mode: FileModeSchema }).openapi("UrlFile", {
  description: "Content that the member fetches, where its operator allows the URL.",
  example: { url: "https://example.com/in.csv" },
});

export const FileContentSchema = z
  .union(
    [PlainTextSchema, TextFileSchema, Base64FileSchema, UrlFileSchema],
    'expected a string, {"text": ...}, {"base64": ...} or {"url": ...}, with a "mode" or without',
  )
  .openapi("FileContent", {
    description: "The content of a file: text, bytes in base64, or a URL that the member fetches.",
    example: { text: "hello\n" },
  });

export const UrlArchiveSchema = z.strictObject({ url }).openapi("UrlArchive", {
  description: "An archive that the member fetches, where its operator allows the URL.",
  example: { url: "https://example.com/project.tar.gz" },
});

export const ArchiveSchema = z
  .union([Base64DataSchema, UrlArchiveSchema], 'expected {"base64": ...} or {"url": ...}')
  .openapi("Archive", {
    description:
      "A tar archive, plain or in gzip, or a zip archive: in base64, or a URL that the member " +
      "fetches.",
    example: { url: "https://example.com/project.tar.gz" },
  });

export const OpenStdinSchema = z
  .strictObject({
    open: z
      .boolean()
      .describe(
        "True keeps the input open for what callers send to `/children/{id}/stdin`; false makes " +
          "it empty.",
      ),
    once: z
      .boolean()
      .optional()
      .describe(
        "True makes one body the whole input. A body that breaks off, or does not begin within " +
          "10 seconds, stops the child: `cancelled`. Default false: the input takes any number " +
          "of bodies.",
      ),
  })
  .openapi("OpenStdin", {
    description: "Input that callers send while the child runs.",
    example: { open: true },
  });

export const StdinSchema = z
  .union(
    [...DATA, OpenStdinSchema],
    'expected a string, {"text": ...}, {"base64": ...}, {"open": true} or ' +
      '{"open": true, "once": true}',
  )
  .openapi("Stdin", {
    description:
      "The standard input of a child: text, bytes in base64, or what callers send while it runs.",
    example: { text: "hello\n" },
  });

export const OutputEncodingSchema = z.enum(["text", "base64"]).openapi("OutputEncoding", {
  description:
    "How `stdout` and `stderr` events carry bytes. `text`: as UTF-8 in which U+FFFD replaces " +
    "invalid bytes. `base64`: as base64.",
  example: "text",
});

/** Where the ending of a child is posted. */
export const NotifySchema = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: "expected a URL of http or https" })
      .max(2_048)
      .describe("An http or https URL that the pool's operator allows, without a user."),
  })
  .openapi("Notify", {
    description:
      "The member posts the ending to this URL once the child has ended, signed as Standard " +
      "Webhooks has it. It tries 5 times in some 3 minutes.",
    example: { url: "https://hooks.example.com/ended" },
  });
