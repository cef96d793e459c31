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

/**
 * The body of an admission request: the spec as JSON, then the other parts byte for byte. The body
 * can be read once.
 *
 * @param onPiece called for each piece that the sender reads.
 */
export function multipart(spec: object, parts: readonly Part[], onPiece: () => void) {
  const boundary = `distributed-pool-${randomBytes(16).toString("hex")}`;
  const head = (name: string, more: string) =>
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; ` +
        `name*=UTF-8''${encodeURIComponent(name)}${more}\r\n\r\n`,
    );
  const pieces: (Buffer | Part)[] = [
    head(SPEC_PART, "\r\ncontent-type: application/json"),
    Buffer.from(`${JSON.stringify(spec)}\r\n`),
    ...parts.flatMap((part) => [
      head(part.name, '; filename="file"\r\ncontent-type: application/octet-stream'),
      part,
      Buffer.from("\r\n"),
    ]),
    Buffer.from(`--${boundary}--\r\n`),
  ];
  let length = 0;
  for (const piece of pieces) length += Buffer.isBuffer(piece) ? piece.length : piece.bytes;
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
      "content-length": String(length),
    },
  };
}
