/** The bodies of requests: the one file that says which operation takes which. */
import { z } from "@hono/zod-openapi";

/** The header that carries the child spec, as JSON in ASCII, beside a body that is the input. */
export const SPEC_HEADER = "pool-spec";

/**
 * The operations, all of them `POST`, that take more than JSON. The body may be the child's input
 * alone, or, where a `spec` is named, the child spec with its files as multipart/form-data.
 *
 * A `streamed` input reaches the child while it is sent. A `stored` one is complete before the
 * child starts.
 */
const UPLOADS = {
  "/pools/{pool}/call": { spec: "ChildSpec", input: "streamed" },
  "/pools/{pool}/children": { spec: "ChildSpec", input: "stored" },
  "/call": { spec: "MemberChildSpec", input: "streamed" },
  "/children": { spec: "MemberChildSpec", input: "stored" },
  "/children/{id}/stdin": { input: "streamed" },
} as const satisfies Record<string, { spec?: string; input: "streamed" | "stored" }>;

type UploadPath = keyof typeof UPLOADS;

/** Whether the operation at a path of the contract takes a child's input while it is sent. */
export function streamsInput(path: string): boolean {
  return path in UPLOADS && UPLOADS[path as UploadPath].input === "streamed";
}

const PATTERNS = (Object.keys(UPLOADS) as UploadPath[]).map(
  (path) => [path, new RegExp(`^${path.replaceAll(/{\w+}/g, "[^/]+")}(\\?|$)`)] as const,
);

/** The head of a request, as far as it tells which body follows. Header names are lower case. */
export interface RequestHead {
  /** Its path and query, or its whole URL. */
  readonly url?: string | undefined;
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
}

/** JSON of every name, whose size is limited: it must not pass for a streamed body. */
const JSON_TYPE = /^application\/([\w.-]+\+)?json/i;

/**
 * How a request sends its child spec: as the JSON body, in a part of a multipart body, or beside a
 * body that is the child's input. curl sends a file as `application/x-www-form-urlencoded` unless
 * told otherwise, so any body with a spec beside it is an input if it cannot hold a spec itself.
 */
export function bodyKind({ url = "", headers }: RequestHead): "json" | "multipart" | "input" {
  const type = String(headers["content-type"] ?? "");
  if (/^multipart\/form-data\b/i.test(type)) return "multipart";
  if (/^application\/octet-stream\b/i.test(type)) return "input";
  if (JSON_TYPE.test(type)) return "json";
  return headers[SPEC_HEADER] !== undefined || /[?&]spec=/.test(url) ? "input" : "json";
}

/** Whether the body of a `POST` goes to a child while it is sent. */
export function isLiveInput(head: RequestHead): boolean {
  const path = PATTERNS.find(([, pattern]) => pattern.test(head.url ?? ""))?.[0];
  if (path === undefined || !streamsInput(path)) return false;
  return !("spec" in UPLOADS[path]) || bodyKind(head) === "input";
}

export const json = <S extends z.ZodType>(schema: S) => ({ "application/json": { schema } });

const binary = { type: "string", format: "binary" } as const;

/** Content that is plain bytes. */
export const bytes = {
  "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) },
};

/** A body with a JSON form, the only form that the routes themselves check. */
interface JsonBody<S extends z.ZodType> {
  readonly content: { readonly "application/json": { readonly schema: S } };
  readonly required: true;
}

export const jsonBody = <S extends z.ZodType>(schema: S): JsonBody<S> => ({
  content: json(schema),
  required: true,
});

const BESIDE =
  "The child spec is beside it, as JSON: in the header `pool-spec`, in ASCII, or in the query, " +
  '`?spec={"command":["cat"]}`.';

const INPUT_DOCS = {
  streamed:
    "The child's input, byte for byte. The child gets it while the answer comes; nothing of it " +
    `is stored. ${BESIDE} The client must read the answer while it sends. The child is stopped ` +
    "when the client goes away before the end of the body.",
  stored: `The child's input, byte for byte. It is stored until it is complete. ${BESIDE}`,
} as const;

/** A child spec in all its forms. The server receives the others and hands the routes JSON. */
export function specBody<S extends z.ZodType>(
  path: Exclude<UploadPath, "/children/{id}/stdin">,
  schema: S,
): JsonBody<S> {
  const { spec, input } = UPLOADS[path];
  const form = {
    type: "object" as const,
    required: ["spec"],
    properties: {
      spec: { $ref: `#/components/schemas/${spec}` },
      stdin: {
        ...binary,
        description: "The child's standard input. It is stored until it is complete.",
      },
    },
    additionalProperties: {
      ...binary,
      description: "A file for the workspace. The part's name is its path there.",
    },
  };
  const content = {
    ...json(schema),
    "multipart/form-data": {
      schema: form,
      encoding: { spec: { contentType: "application/json" } },
    },
    "application/octet-stream": { schema: { ...binary, description: INPUT_DOCS[input] } },
  };
  return { content, required: true };
}
