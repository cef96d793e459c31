/** The headers and trailers of answers. The document names each once, under `components`. */

const text = { type: "string" } as const;

/** The headers of answers, by their names on the wire. */
export const HEADERS = {
  "pool-member": { description: "The name of the member that answers.", schema: text },
  "pool-child-id": {
    description:
      "The id of the child. A stream that waits for a slot has none; its event `placed` does.",
    schema: text,
  },
  "pool-load": {
    description:
      "The load of the pool on this member when it answers, as a dictionary of RFC 9651: " +
      "`active=3, max=8, queued=0`. Placement believes it for a moment, and asks less often.",
    schema: text,
  },
  "pool-ending": {
    description:
      "The terminal event of the child as JSON in ASCII, without a function's value. A trailer, " +
      "which follows the bytes; with 416 a header.",
    schema: text,
  },
  location: { description: "The URL of what was made.", schema: text },
  "content-range": {
    description:
      "With 206, the bytes that follow: `bytes 7-12/13` of a child that has ended. While it " +
      "runs, the length is unknown, and the last byte is one that is never reached: " +
      "`bytes 7-9007199254740991/*`. With 416, the bytes of stdout so far: `bytes */13`.",
    schema: text,
  },
  "retry-after": {
    description: "Seconds to wait before the next try.",
    schema: { type: "integer", minimum: 0 },
  },
  "www-authenticate": {
    description: "The kind of token that the member requires: `Bearer`.",
    schema: text,
  },
  allow: { description: "The methods that the path has, such as `GET, HEAD`.", schema: text },
} as const;

export type HeaderName = keyof typeof HEADERS;

/** References to headers in the document's components. Every answer has `pool-member`. */
export function headers(...names: readonly HeaderName[]) {
  return Object.fromEntries(
    (["pool-member", ...names] as const).map((name) => [
      name,
      { $ref: `#/components/headers/${name}` as const },
    ]),
  );
}
