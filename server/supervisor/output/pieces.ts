/** Cuts output into pieces whose events keep to one line below 64 KiB each. */
import { unfinished } from "./batcher.ts";
import type { OutputEncoding } from "./log-entry.ts";

/**
 * 48,000 bytes as base64, which has four characters for three bytes. 10,800 bytes as text: at worst
 * JSON writes six characters for one byte, as `\u0000`. To look for such bytes costs more than the
 * further events do.
 */
const MAX_BYTES = { base64: 48_000, text: 10_800 } as const;

/** The output in pieces. No piece of text ends within a character, unless the output does. */
export function* pieces(
  output: Buffer,
  encoding: OutputEncoding,
): Generator<Buffer, void, undefined> {
  const maxBytes = MAX_BYTES[encoding];
  for (let from = 0; from < output.length; ) {
    let piece = output.subarray(from, from + maxBytes);
    if (encoding === "text" && piece.length === maxBytes)
      piece = piece.subarray(0, maxBytes - unfinished(piece));
    yield piece;
    from += piece.length;
  }
}
