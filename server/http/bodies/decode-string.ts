/** Decodes a large string of JSON piece by piece: its text, or the bytes that it has in base64. */
import { isUtf8 } from "node:buffer";
import { PoolError } from "../../../openapi/errors.ts";

const PIECE_BYTES = 65_536;
const BACKSLASH = 0x5c;
const U = 0x75;
/** A character beyond U+FFFF as two escapes. */
const PAIR = /^\\u[dD][89abAB]..\\u[dD][c-fC-F]/;
const isContinuation = (byte: number | undefined) => ((byte ?? 0) & 0xc0) === 0x80;

/** The length of an escape that begins here, or of a pair of escapes that are one character. */
function escapeBytes(text: Buffer, at: number): number {
  if (text[at + 1] !== U) return 2;
  return PAIR.test(text.toString("latin1", at, at + 12)) ? 12 : 6;
}

/** The text of a string as UTF-8. @param json the string with its quotes, which is valid JSON. */
export async function* decodeText(json: Buffer): AsyncGenerator<Buffer, void, undefined> {
  const text = json.subarray(1, -1);
  for (let from = 0; from < text.length; ) {
    let end = from;
    let escaped = false;
    while (end < Math.min(from + PIECE_BYTES, text.length)) {
      escaped ||= text[end] === BACKSLASH;
      end += text[end] === BACKSLASH ? escapeBytes(text, end) : 1;
    }
    while (isContinuation(text[end])) end += 1;
    const piece = text.subarray(from, end);
    if (!isUtf8(piece)) throw PoolError.of("invalid_request", "expected JSON in UTF-8");
    yield escaped ? Buffer.from(JSON.parse(`"${piece}"`) as string) : piece;
    from = end;
  }
}

/** The bytes that a string has in base64. @throws {PoolError} `invalid_request`. */
export async function* decodeBase64(json: Buffer): AsyncGenerator<Buffer, void, undefined> {
  let rest = "";
  let isOver = false;
  for await (const piece of decodeText(json)) {
    const text = rest + piece.toString("latin1");
    const whole = text.slice(0, text.length - (text.length % 4));
    rest = text.slice(whole.length);
    if (whole === "") continue;
    if (isOver || !/^[A-Za-z0-9+/]*={0,2}$/.test(whole)) throw notBase64();
    isOver = whole.endsWith("=");
    yield Buffer.from(whole, "base64");
  }
  if (rest !== "") throw notBase64();
}

function notBase64(): PoolError {
  return PoolError.of("invalid_request", "expected base64");
}
