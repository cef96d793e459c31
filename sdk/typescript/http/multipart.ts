/** A child spec and files as one multipart body, whose files are read while they are sent. */
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";

/** A part of a body, such as a file, whose size is known before it is read. */
export interface Part {
  /** The path of a file in the workspace, or the name of another part. */
  readonly name: string;
  readonly bytes: number;
  /** Reads the bytes; each call starts at the first one. */
  read(): AsyncIterable<Uint8Array>;
}

/** The names of the parts that are not files. */
export const SPEC_PART = "spec";
export const STDIN_PART = "stdin";

export interface Multipart {
  readonly body: Readable;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The body of an admission request: the spec as JSON, then the other parts byte for byte. The body
 * can be read once.
 *
 * @param onPiece called for each piece that the sender reads.
 */
export function multipart(spec: object, parts: readonly Part[], onPiece: () => void): Multipart {
  const boundary = `distributed-pool-${randomBytes(16).toString("hex")}`;
  const head = ({ name }: Pick<Part, "name">, more: string) =>
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; ` +
        `name*=UTF-8''${encodeURIComponent(name)}${more}\r\n\r\n`,
    );
  const json = Buffer.from(JSON.stringify(spec));
  const pieces: (Buffer | Part)[] = [
    head({ name: SPEC_PART }, "\r\ncontent-type: application/json"),
    json,
    Buffer.from("\r\n"),
  ];
  for (const part of parts)
    pieces.push(
      head(part, '; filename="file"\r\ncontent-type: application/octet-stream'),
      part,
      Buffer.from("\r\n"),
    );
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  const bytes = pieces.reduce(
    (sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.bytes),
    0,
  );
  async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const piece of pieces) {
      for await (const bytes of Buffer.isBuffer(piece) ? [piece] : piece.read()) {
        onPiece();
        yield bytes;
      }
    }
  }
  return {
    body: Readable.from(read(), { objectMode: false }),
    headers: {
      "content-type": `multipart/form-data; boundary=${boundary}`,
      "content-length": String(bytes),
    },
  };
}
