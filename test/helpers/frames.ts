/** Frames of HTTP/2, made by hand: no client library sends them. */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const TYPES = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;
/** Error code of a reset by a client that lost interest. */
export const CANCEL = Buffer.from([0, 0, 0, 8]);

export function frame(
  type: keyof typeof TYPES,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = TYPES[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/**
 * A literal field of HPACK that the decoder does not index. Name and value take less than 127 bytes
 * each.
 */
export function field(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

/** The head of a request, as HPACK. */
export function head(
  method: string,
  path: string,
  authority: string,
  more: Readonly<Record<string, string>> = {},
): Buffer {
  const fields = {
    ":method": method,
    ":scheme": "https",
    ":path": path,
    ":authority": authority,
    ...more,
  };
  return Buffer.concat(Object.entries(fields).map(([name, value]) => field(name, value)));
}
