/** A child spec and files as one multipart body, whose files are read while they are sent. */

import { bytesOf, jsonPieces } from "./raw-json.ts";

/** A part of a body, such as a file, whose size is known before it is read. */
export interface Part {
  /** The path of a file in the workspace, or the name of another part. */
  readonly name: string;
  readonly bytes: number;
  /** The permissions of a file as octal digits. Default: `644`. */
  readonly mode?: string | undefined;
  /** The contents, where they are in memory or the platform keeps them. Fetch sends only such. */
  readonly blob?: Blob;
  /** Reads the bytes; each call starts at the first one. */
  read(): AsyncIterable<Uint8Array>;
}

/** The names of the parts that are not files. */
export const SPEC_PART = "spec";
export const STDIN_PART = "stdin";
export const ARCHIVE_PART = "archive";

/** Whether a part of this name is a file of the workspace. */
export function isFilePart(name: string): boolean {
  return name !== SPEC_PART && name !== STDIN_PART && name !== ARCHIVE_PART;
}

const utf8 = new TextEncoder();

const typeOf = ({ mode }: Part) =>
  mode === undefined ? "application/octet-stream" : `application/octet-stream;mode=${mode}`;

/** The body of an admission request: the spec as JSON, then the other parts byte for byte. */
export class Multipart {
  readonly headers: Readonly<Record<string, string>>;
  /** The size of the body. */
  readonly bytes: number = 0;
  readonly #pieces: readonly (Uint8Array<ArrayBuffer> | Part)[];

  constructor(spec: object, parts: readonly Part[]) {
    const boundary = `distributed-pool-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    const head = (name: string, more: string) =>
      utf8.encode(
        `--${boundary}\r\ncontent-disposition: form-data; ` +
          `name*=UTF-8''${encodeURIComponent(name)}${more}\r\n\r\n`,
      );
    this.#pieces = [
      head(SPEC_PART, "\r\ncontent-type: application/json"),
      ...jsonPieces(spec).map(bytesOf),
      utf8.encode("\r\n"),
      ...parts.flatMap((part) => [
        head(part.name, `; filename="file"\r\ncontent-type: ${typeOf(part)}`),
        part,
        utf8.encode("\r\n"),
      ]),
      utf8.encode(`--${boundary}--\r\n`),
    ];
    for (const piece of this.#pieces)
      this.bytes += piece instanceof Uint8Array ? piece.length : piece.bytes;
    this.headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
  }

  /** The body, read while it is sent. */
  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const piece of this.#pieces) {
      if (piece instanceof Uint8Array) yield piece;
      else yield* piece.read();
    }
  }

  /** The body for fetch. */
  blob(): Blob {
    return new Blob(
      this.#pieces.map((piece) => (piece instanceof Uint8Array ? piece : (piece.blob as Blob))),
    );
  }
}
