/** The fingerprint of a child spec: two specs that ask for the same have the same one. */
import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { ChildSpec } from "../../../openapi/schemas/spec.ts";
import { rawOf } from "../../../sdk/typescript/http/raw-json.ts";
import type { ChildRequest } from "../check-spec.ts";

/** A string is hashed in slices, and after 1 Mi characters other requests have their turn. */
const SLICE = 65_536;
const TURN = 1_048_576;

/**
 * The SHA-256 of the spec, the lifetime and the uploads, in hexadecimal digits. The order of keys
 * does not count. Left out are the times that a caller waits, which shrink with each try, and the
 * bytes of an input that streams while the child runs.
 *
 * @param salt begins the hash: readers of the fingerprint cannot guess a spec without it.
 */
export async function fingerprintOf(
  { spec, lifetime, uploads }: ChildRequest,
  salt: string,
): Promise<string> {
  const hash = createHash("sha256");
  let due = TURN;
  const add = async (piece: string | Uint8Array) => {
    hash.update(piece);
    // A short piece costs its call.
    due -= piece.length + 64;
    if (due > 0) return;
    due = TURN;
    await turn();
  };
  for (const piece of piecesOf([salt, lifetime, asked(spec)])) await add(piece);
  for (const { name, bytes, mode, read } of uploads?.parts ?? []) {
    for (const piece of piecesOf([name, bytes, mode])) await add(piece);
    for await (const chunk of read()) await add(chunk);
  }
  return hash.digest("hex");
}

/** The part of a spec that decides what runs. The source of a function decides its hash. */
function asked({ waitMs, deadlineMs, idempotencyKey, function: fn, ...spec }: ChildSpec): object {
  return { ...spec, ...(fn && { function: { ...fn, hash: undefined } }) };
}

/**
 * A JSON value as pieces of text. No two values have the same text, because each part tells its
 * length before it comes.
 */
function* piecesOf(value: unknown): Generator<string | Uint8Array, void, undefined> {
  const stack = [value];
  while (stack.length > 0) {
    const next = stack.pop();
    const raw = rawOf(next);
    if (raw) {
      yield `r${raw.bytes.length}:`;
      for (let at = 0; at < raw.bytes.length; at += SLICE) yield raw.bytes.subarray(at, at + SLICE);
    } else if (typeof next === "string") {
      yield `s${next.length}:`;
      for (let at = 0; at < next.length; at += SLICE) yield next.slice(at, at + SLICE);
    } else if (Array.isArray(next)) {
      yield `a${next.length}:`;
      for (let index = next.length - 1; index >= 0; index--) stack.push(next[index]);
    } else if (typeof next === "object" && next !== null) {
      const record = next as Record<string, unknown>;
      const keys = Object.keys(record)
        .filter((key) => record[key] !== undefined)
        .sort();
      yield `o${keys.length}:`;
      for (const key of keys.reverse()) stack.push(record[key], key);
    } else yield `${JSON.stringify(next)};`;
  }
}
