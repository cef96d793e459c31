/** Tar streams by hand, also ones that no honest program writes. */

const BLOCK = 512;

export interface TarEntry {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  /** Default `0`, a regular file. */
  readonly type?: string;
  /** The size in the header. Default: the content's bytes. A text goes in unchanged. */
  readonly size?: number | string | Buffer;
  readonly magic?: "gnu" | "ustar" | "none";
  readonly linkTo?: string;
  readonly wrongChecksum?: boolean;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** One entry: its header and its content, padded. */
export function tarEntry({
  name,
  content = "",
  type = "0",
  size,
  magic = "gnu",
  linkTo = "",
  wrongChecksum = false,
}: TarEntry): Buffer {
  const body = Buffer.from(content);
  const header = Buffer.alloc(BLOCK);
  Buffer.from(name).copy(header, 0, 0, 100);
  header.write(`0000644\0${"0000000\0".repeat(2)}`, 100, "latin1");
  const told = size ?? body.length;
  Buffer.from(typeof told === "number" ? `${told.toString(8).padStart(11, "0")}\0` : told).copy(
    header,
    124,
    0,
    12,
  );
  header.write("00000000000\0", 136, "latin1");
  header.write(type, 156, "latin1");
  header.write(linkTo, 157, 100);
  header.write({ gnu: "ustar  \0", ustar: "ustar\x0000", none: "" }[magic], 257, "latin1");
  let sum = 8 * 32;
  for (const byte of header) sum += byte;
  header.write(`${(wrongChecksum ? sum + 1 : sum).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([header, padded(body)]);
}

/** A name of any length, as GNU tar writes it, and the entry it belongs to. */
export function longEntry(entry: TarEntry, type = "L"): Buffer {
  return Buffer.concat([
    tarEntry({
      name: "././@LongLink",
      type,
      content: Buffer.concat([Buffer.from(entry.name), Buffer.alloc(1)]),
    }),
    tarEntry(entry),
  ]);
}

export const END_OF_TAR = Buffer.alloc(2 * BLOCK);

/** A whole archive. */
export function tarOf(...entries: readonly (TarEntry | Buffer)[]): Buffer {
  return Buffer.concat([
    ...entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry))),
    END_OF_TAR,
  ]);
}
