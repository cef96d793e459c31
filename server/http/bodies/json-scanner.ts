/**
 * Checks JSON byte by byte as it arrives, before anything parses it: its grammar, its nesting and
 * the number of its values. Lifts large values out, which are never parsed.
 */
import { PoolError } from "../../../openapi/errors.ts";
import { MAX_NESTING as MAX_LIFTED_NESTING } from "../../../openapi/schemas/values.ts";
import { nextScalar, SCALAR_ENDS } from "./json-scalars.ts";

/** 15,000 values and keys beside those that are lifted. No child spec has 13,000. */
const MAX_VALUES = 15_000;
/** 2 MiB beside values that are lifted: parsing so much takes some 15 ms. */
const MAX_REST_BYTES = 2 * 1024 * 1024;
/** 64 levels outside lifted values. */
const MAX_NESTING = 64;
/** A smaller value is parsed. */
const MIN_LIFTED_BYTES = 2_048;
/** No value below a longer key is lifted. */
const MAX_KEY_BYTES = 32_768;
/** A lifted value is below at most 3 keys. */
const MAX_PATH = 3;

/** A value that was lifted: the keys that lead to it, and its place among the bytes. */
export interface Lifted {
  readonly path: readonly string[];
  readonly start: number;
  readonly end: number;
}

/** Which values are lifted, by the keys that lead to them and their first byte. */
export type LiftRule = (path: readonly string[], first: number) => boolean;

/** The states: what the next byte begins or continues. */
const VALUE = 0;
const FIRST_ITEM = 1;
const FIRST_KEY = 2;
const KEY = 3;
const COLON = 4;
const AFTER = 5;
const STRING = 6;
const ESCAPE = 7;
const HEX = 8;
const SCALAR = 9;

const code = (char: string) => char.charCodeAt(0);
const QUOTE = code('"');
const BACKSLASH = code("\\");
const SPACE = code(" ");
const COMMA = code(",");
const OPEN = code("{");
const CLOSE = code("}");
const OPEN_LIST = code("[");
const CLOSE_LIST = code("]");
const ESCAPES = new Set(Buffer.from('"\\/bfnrtu'));
const HEX_DIGITS = new Set(Buffer.from("0123456789abcdefABCDEF"));

export class JsonScanner {
  readonly lifted: Lifted[] = [];
  /** Whether the JSON was refused for its nesting. */
  isTooDeep = false;
  readonly #lifts: LiftRule;
  /** The closing byte of each open container. */
  readonly #closers = new Uint8Array(MAX_NESTING + MAX_LIFTED_NESTING);
  #depth = 0;
  /** The keys that lead to the current value, as far as a value below them can be lifted. */
  readonly #path: string[] = [];
  #state = VALUE;
  /** The number of bytes before the chunk that is being read. */
  #before = 0;
  #values = 0;
  #liftedBytes = 0;
  /** The value that is being lifted. */
  #lift: { readonly start: number; readonly depth: number; readonly values: number } | undefined;
  #inKey = false;
  /** The text of a key that counts for the path. */
  #key: Uint8Array[] | undefined;
  #scalar = 0;
  #hexLeft = 0;

  constructor(lifts: LiftRule) {
    this.#lifts = lifts;
  }

  /**
   * Reads a chunk. Line breaks between values become spaces, so that the text is one line.
   *
   * @throws {PoolError} `invalid_request`.
   */
  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === STRING) at = this.#skip(bytes, at);
      else if (this.#take(bytes, at)) at += 1;
    }
    this.#before += bytes.length;
    if (!this.#lift && this.#before - this.#liftedBytes > MAX_REST_BYTES)
      throw invalid(
        `at most ${MAX_REST_BYTES} bytes of JSON beside arguments, stdin and files; got more`,
      );
  }

  /** @throws {PoolError} `invalid_request` for JSON that ends too early. */
  end(): void {
    if (this.#state === SCALAR) this.#endScalar(0);
    if (this.#state !== AFTER || this.#depth > 0) throw invalid("JSON; got only its beginning");
  }

  /** Skips the plain characters of a string. Returns the place behind the byte that ended them. */
  #skip(bytes: Uint8Array, from: number): number {
    let at = from;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE || byte === BACKSLASH || byte < SPACE) break;
    }
    const byte = bytes[at];
    this.#key?.push(bytes.slice(from, byte === BACKSLASH ? at + 1 : at));
    if (byte === QUOTE) this.#endString(at);
    else if (byte === BACKSLASH) this.#state = ESCAPE;
    else if (byte !== undefined) this.#fail(at, "no control character in a string");
    return at + 1;
  }

  /** Takes one byte. False for the byte behind a number, which it leaves. */
  #take(bytes: Uint8Array, at: number): boolean {
    const byte = bytes[at] as number;
    if (this.#state === SCALAR) {
      const next = nextScalar(this.#scalar, byte);
      if (next === undefined) this.#endScalar(at);
      else this.#scalar = next;
      return next !== undefined;
    }
    if (this.#state === ESCAPE || this.#state === HEX) this.#takeEscape(bytes, at);
    else if (byte === 10 || byte === 13) bytes[at] = SPACE;
    else if (byte !== SPACE && byte !== 9) this.#takeToken(byte, at);
    return true;
  }

  #takeEscape(bytes: Uint8Array, at: number): void {
    const byte = bytes[at] as number;
    this.#key?.push(bytes.slice(at, at + 1));
    const isHex = this.#state === HEX;
    if (!(isHex ? HEX_DIGITS : ESCAPES).has(byte)) this.#fail(at, "an escaped character");
    this.#hexLeft = isHex ? this.#hexLeft - 1 : byte === code("u") ? 4 : 0;
    this.#state = this.#hexLeft > 0 ? HEX : STRING;
  }

  #takeToken(byte: number, at: number): void {
    const closer = this.#closers[this.#depth - 1];
    const state = this.#state;
    const mayClose = state === AFTER || state === FIRST_KEY || state === FIRST_ITEM;
    if (mayClose && byte === closer) this.#close(at);
    else if (state === AFTER) {
      if (byte !== COMMA || closer === undefined) this.#fail(at, "a comma, or the end");
      this.#state = closer === CLOSE ? KEY : VALUE;
    } else if (state === COLON) {
      if (byte !== code(":")) this.#fail(at, "a colon");
      this.#state = VALUE;
    } else if (state === KEY || state === FIRST_KEY) {
      if (byte !== QUOTE) this.#fail(at, "a key in quotes");
      this.#count();
      this.#inKey = true;
      const isOnPath = this.#depth <= MAX_PATH && this.#path.length >= this.#depth - 1;
      this.#key = isOnPath && !this.#lift ? [] : undefined;
      this.#state = STRING;
    } else this.#begin(byte, at);
  }

  #begin(byte: number, at: number): void {
    this.#count();
    const isReachable = !this.#lift && this.#depth > 0 && this.#path.length === this.#depth;
    if (isReachable && this.#lifts(this.#path, byte))
      this.#lift = { start: this.#before + at, depth: this.#depth, values: this.#values };
    if (byte === QUOTE) this.#state = STRING;
    else if (byte === OPEN || byte === OPEN_LIST) {
      const most = this.#lift ? this.#lift.depth + MAX_LIFTED_NESTING : MAX_NESTING;
      this.isTooDeep = this.#depth === most;
      if (this.isTooDeep) throw invalid("JSON that is nested less deep");
      this.#closers[this.#depth] = byte === OPEN ? CLOSE : CLOSE_LIST;
      this.#depth += 1;
      this.#state = byte === OPEN ? FIRST_KEY : FIRST_ITEM;
    } else {
      const first = nextScalar(0, byte);
      if (first === undefined) this.#fail(at, "a value");
      this.#scalar = first as number;
      this.#state = SCALAR;
    }
  }

  #close(at: number): void {
    this.#depth -= 1;
    this.#path.length = Math.min(this.#path.length, this.#depth);
    this.#endValue(at + 1);
  }

  #endString(at: number): void {
    if (!this.#inKey) {
      this.#endValue(at + 1);
      return;
    }
    this.#inKey = false;
    this.#state = COLON;
    if (!this.#key) return;
    const text = Buffer.concat(this.#key);
    this.#key = undefined;
    this.#path.length = this.#depth - 1;
    if (text.length <= MAX_KEY_BYTES) this.#path.push(JSON.parse(`"${text}"`));
  }

  #endScalar(at: number): void {
    if (!SCALAR_ENDS.has(this.#scalar)) this.#fail(at, "a number, true, false or null");
    this.#endValue(at);
  }

  /** @param end the place behind the value, in the chunk. */
  #endValue(end: number): void {
    this.#state = AFTER;
    if (this.#lift?.depth !== this.#depth) return;
    const { start, values } = this.#lift;
    this.#lift = undefined;
    const bytes = this.#before + end - start;
    if (bytes >= MIN_LIFTED_BYTES) {
      this.#values = values;
      this.#liftedBytes += bytes;
      this.lifted.push({ path: [...this.#path], start, end: start + bytes });
    } else this.#check();
  }

  #count(): void {
    this.#values += 1;
    if (!this.#lift) this.#check();
  }

  #check(): void {
    if (this.#values > MAX_VALUES)
      throw invalid(
        `at most ${MAX_VALUES} values and keys of JSON beside arguments, stdin and files; got more`,
      );
  }

  #fail(at: number, expected: string): void {
    throw invalid(`JSON: ${expected} at byte ${this.#before + at}`);
  }
}

function invalid(expected: string): PoolError {
  return PoolError.of("invalid_request", `expected ${expected}`);
}
