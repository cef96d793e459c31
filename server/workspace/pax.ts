/** The fields of a pax header, of which only those that decide what is unpacked count. Pure. */

export interface PaxFields {
  readonly path: string | undefined;
  readonly size: number | undefined;
  /** Whether the entry has holes, so that its content is not the file. */
  readonly isSparse: boolean;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const SPACE = " ".charCodeAt(0);

/**
 * Reads records `LENGTH KEY=VALUE\\n`, whose length counts itself. Undefined for anything else, and
 * for text that is not UTF-8.
 */
export function paxFields(header: Buffer): PaxFields | undefined {
  const fields = new Map<string, string>();
  for (let at = 0; at < header.length; ) {
    const space = header.indexOf(SPACE, at);
    const digits = header.toString("latin1", at, Math.max(at, space));
    const end = at + Number(digits);
    if (!/^[1-9]\d{0,5}$/.test(digits) || end > header.length || end <= space + 1) return undefined;
    try {
      const record = utf8.decode(header.subarray(space + 1, end));
      const [, key, value] = /^([^=]+)=(.*)\n$/s.exec(record) ?? [];
      if (key === undefined || value === undefined) return undefined;
      fields.set(key, value);
    } catch {
      return undefined;
    }
    at = end;
  }
  const size = fields.get("size");
  const path = fields.get("path");
  if ((size !== undefined && !/^\d{1,15}$/.test(size)) || path?.includes("\0")) return undefined;
  return {
    path,
    size: size === undefined ? undefined : Number(size),
    isSparse: [...fields.keys()].some((key) => key.startsWith("GNU.sparse")),
  };
}
