/** The bodies of requests: the one file that says which operation takes which. */
import { z } from "@hono/zod-openapi";
import { SPEC_HEADER } from "./names.ts";

export interface Upload {
  /**
   * The schema of the child spec. Its files may come with it, as multipart/form-data. Undefined for
   * an operation whose body is nothing but the input.
   */
  readonly spec?: string;
  /** The child gets a streamed input while it is sent. It starts when a stored one is complete. */
  readonly input: "streamed" | "stored";
  /** Every body is the input, whatever its content type. Default: JSON and multipart are not. */
  readonly inputOnly?: true;
}

/** The operations, all of them `POST`, whose body may be a child's input instead of JSON. */
const UPLOADS: readonly (readonly [path: string, upload: Upload])[] = [
  ["/pools/{pool}/call", { spec: "ChildSpec", input: "streamed" }],
  ["/pools/{pool}/run", { spec: "ChildSpec", input: "streamed" }],
  ["/pools/{pool}/pipe", { spec: "ChildSpec", input: "streamed", inputOnly: true }],
  ["/pools/{pool}/children", { spec: "ChildSpec", input: "stored" }],
  ["/call", { spec: "MemberChildSpec", input: "streamed" }],
  ["/run", { spec: "MemberChildSpec", input: "streamed" }],
  ["/pipe", { spec: "MemberChildSpec", input: "streamed", inputOnly: true }],
  ["/children", { spec: "MemberChildSpec", input: "stored" }],
  ["/children/{id}/stdin", { input: "streamed" }],
];

/** The last name of a path, without its query. */
function lastOf(path: string): string {
  const end = path.indexOf("?");
  const plain = end < 0 ? path : path.slice(0, end);
  return plain.slice(plain.lastIndexOf("/") + 1);
}

/** By the last name of the path. */
const PATTERNS = Map.groupBy(
  UPLOADS.map(([path, upload]) => {
    const text = path.replaceAll(/{\w+}/g, "[^/]+");
    return { path, pattern: new RegExp(`^(https?://[^/]+)?${text}(\\?|$)`), upload };
  }),
  ({ path }) => lastOf(path),
);

/**
 * The upload that the operation at a path takes; undefined for an operation that takes JSON alone.
 *
 * @param path a path of the contract, or that of a request, with or without its origin and query.
 */
export function uploadAt(path: string): Upload | undefined {
  return PATTERNS.get(lastOf(path))?.find(({ pattern }) => pattern.test(path))?.upload;
}

/** The head of a request, as far as it tells which body follows. Header names are lower case. */
export interface RequestHead {
  /** Its path and query, or its whole URL. */
  readonly url?: string | undefined;
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
}

/** JSON of every name, whose size is limited: it must not pass for a streamed body. */
const JSON_TYPE = /^application\/([\w.-]+\+)?json/i;

/** Whether a content type is that of JSON. */
export function isJson(type: string | undefined): boolean {
  return JSON_TYPE.test(type ?? "");
}

/**
 * How a request sends its child spec: as the JSON body, in a part of a multipart body, or beside a
 * body that is the child's input. curl sends a file as `application/x-www-form-urlencoded` unless
 * told otherwise, so any body with a spec beside it is an input if it cannot hold a spec itself.
 */
export function bodyKind({ url = "", headers }: RequestHead): "json" | "multipart" | "input" {
  const type = String(headers["content-type"] ?? "");
  if (uploadAt(url)?.inputOnly) return "input";
  if (/^multipart\/form-data\b/i.test(type)) return "multipart";
  if (/^application\/octet-stream\b/i.test(type)) return "input";
  if (isJson(type)) return "json";
  return headers[SPEC_HEADER] !== undefined || /[?&]spec=/.test(url) ? "input" : "json";
}

/** The content types that an operation takes, as a refusal names them. */
export function bodiesTakenAt(path: string): string {
  return uploadAt(path)
    ? "application/json, multipart/form-data, or any other with the child spec beside it in " +
        `?spec= or ${SPEC_HEADER}`
    : "application/json";
}

/** Whether the body of a `POST` goes to a child while it is sent. */
export function isLiveInput(head: RequestHead): boolean {
  const upload = uploadAt(head.url ?? "");
  return upload?.input === "streamed" && (!upload.spec || bodyKind(head) === "input");
}

export const json = <S extends z.ZodType>(schema: S) => ({ "application/json": { schema } });

const binary = { type: "string", format: "binary" } as const;

/** Content that is plain bytes. */
export const bytes = (description: string) => ({
  "application/octet-stream": { schema: z.string().openapi({ format: "binary", description }) },
});

/** The content type of Prometheus' text format. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export const jsonBody = <S extends z.ZodType>(schema: S) => ({
  content: json(schema),
  required: true as const,
});

const INPUT_DOCS = {
  streamed:
    "The child's input, byte for byte. The child gets it while the answer comes; nothing of it " +
    "is stored. The child spec is beside it. The child is stopped when the client goes away " +
    "before the end of the body.",
  stored:
    "The child's input, byte for byte. It is stored until it is complete. The child spec is " +
    "beside it.",
} as const;

/**
 * The body of an operation that takes a child spec, as callers send it. The server receives every
 * form and hands the route JSON, so only the document lists them.
 *
 * @param body the JSON body of the route.
 */
export function bodyOfUpload<B extends { readonly content: object }>(path: string, body: B) {
  const upload = uploadAt(path);
  if (!upload?.spec) return body;
  const input = {
    "application/octet-stream": { schema: { ...binary, description: INPUT_DOCS[upload.input] } },
  };
  if (upload.inputOnly) return { content: input, required: false };
  const form = {
    type: "object" as const,
    description: "A child spec, with its input and its files.",
    required: ["spec"],
    properties: {
      spec: { $ref: `#/components/schemas/${upload.spec}` },
      stdin: {
        ...binary,
        description: "The child's standard input. It is stored until it is complete.",
      },
      archive: {
        ...binary,
        description:
          "A tar archive, plain or in gzip, or a zip archive, whose files go into the workspace.",
      },
    },
    additionalProperties: {
      ...binary,
      description:
        "A file for the workspace. The part's name is its path there. The parameter `mode` of " +
        "its content type gives its permissions: `application/octet-stream;mode=755`.",
    },
  };
  const multipart = {
    "multipart/form-data": {
      schema: form,
      encoding: { spec: { contentType: "application/json" } },
    },
  };
  return { ...body, content: { ...body.content, ...multipart, ...input } };
}
