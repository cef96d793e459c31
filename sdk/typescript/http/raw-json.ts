/** JSON that is passed on as it came, because parsing and writing it would take too long. */

/**
 * Stands for raw JSON. No caller can know it, so no text of a caller's does. It is made when it is
 * first needed, because the generator of random numbers takes 8 ms to load.
 */
let mark: { readonly text: string; readonly pattern: RegExp } | undefined;

function markOf() {
  if (mark) return mark;
  const text = `raw-${crypto.getRandomValues(new Uint32Array(4)).join("-")}-`;
  mark = { text, pattern: new RegExp(`"${text}(\\d+)"`) };
  return mark;
}

/** The raw values of the JSON that is being written now. */
let written: RawJson[] | undefined;

/** A value as its JSON text. {@link jsonPieces} writes it without a look at it. */
export class RawJson {
  /** The text in UTF-8, on one line. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Called by `JSON.stringify`, which parses the text unless {@link jsonPieces} calls it. */
  toJSON(): unknown {
    if (!written) return JSON.parse(new TextDecoder().decode(this.bytes));
    return `${markOf().text}${written.push(this) - 1}`;
  }
}

/** A list that is written as this JSON. It looks empty to all others. */
export function rawList(bytes: Uint8Array): unknown[] {
  const raw = new RawJson(bytes);
  return Object.assign([], { raw, toJSON: () => raw.toJSON() });
}

/** The raw JSON that a value is, or is a list of; undefined for other values. */
export function rawOf(value: unknown): RawJson | undefined {
  if (value instanceof RawJson) return value;
  return Array.isArray(value) ? (value as { raw?: RawJson }).raw : undefined;
}

/** A value as JSON, in pieces: text, and raw JSON as its bytes. */
export function jsonPieces(value: unknown): (string | Uint8Array)[] {
  const raws: RawJson[] = [];
  written = raws;
  let text: string;
  try {
    text = JSON.stringify(value);
  } finally {
    written = undefined;
  }
  if (raws.length === 0) return [text];
  return text
    .split(markOf().pattern)
    .map((piece, index) => (index % 2 === 0 ? piece : (raws[Number(piece)] as RawJson).bytes));
}

const utf8 = new TextEncoder();

/** A piece of JSON as bytes. */
export function bytesOf(piece: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return (typeof piece === "string" ? utf8.encode(piece) : piece) as Uint8Array<ArrayBuffer>;
}

/** A value as JSON: text, or bytes where raw JSON is in it. */
export function jsonText(value: unknown): string | Uint8Array<ArrayBuffer> {
  const pieces = jsonPieces(value);
  if (pieces.length === 1) return pieces[0] as string;
  const parts = pieces.map(bytesOf);
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * A value as the body of a request: text, or pieces and their length where raw JSON is in it. To
 * join them would take too long.
 */
export function jsonBody(value: unknown) {
  const pieces = jsonPieces(value);
  if (pieces.length === 1) return { json: pieces[0] as string };
  const bytes = pieces.map(bytesOf);
  const length = bytes.reduce((sum, piece) => sum + piece.length, 0);
  return { json: each(bytes), length: { "content-length": String(length) } };
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}
