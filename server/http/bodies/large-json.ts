/** JSON that may be large: it is checked while it arrives, and its large values stay JSON. */
import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import { PoolError } from "../../../openapi/errors.ts";
import { RawJson } from "../../../sdk/typescript/http/raw-json.ts";
import { JsonScanner, type LiftRule } from "./json-scanner.ts";

/** 64 KiB: shorter JSON is parsed without a check, in less than 10 ms whatever it holds. */
export const SMALL_BYTES = 65_536;

/** A large value. In the parsed JSON a text, or a list of it, stands in its place. */
export interface LargeValue {
  readonly path: readonly string[];
  /** The JSON of the value. */
  readonly bytes: Buffer;
}

export interface ParsedJson {
  readonly value: unknown;
  /** The large values by the texts that stand for them. */
  readonly large: ReadonlyMap<string, LargeValue>;
  /** The bytes of the JSON beside its large values. */
  readonly restBytes: number;
}

/** 32 hexadecimal digits that no caller knows. With an index of 8 digits they are valid base64. */
const MARK = randomBytes(16).toString("hex");

export class LargeJson {
  readonly #lifts: LiftRule;
  readonly #expected: number;
  /** The bytes, and room for more: to join many chunks at the end would take too long. */
  #buffer: Buffer = Buffer.alloc(0);
  #scanner: JsonScanner | undefined;
  #bytes = 0;

  /** @param expected the number of bytes that may come. Default: unknown. */
  constructor(lifts: LiftRule, expected = 0) {
    this.#lifts = lifts;
    this.#expected = expected;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isTooDeep(): boolean {
    return this.#scanner?.isTooDeep ?? false;
  }

  /** The first 64 bytes. */
  get beginning(): string {
    return this.#whole.toString("latin1", 0, 64);
  }

  /** The text, where it is small; undefined for JSON that {@link parse} has to parse. */
  get smallText(): string | undefined {
    return this.#scanner ? undefined : this.#whole.toString();
  }

  /** @throws {PoolError} `invalid_request` for JSON that is malformed or beyond a bound. */
  push(chunk: Buffer): void {
    const from = this.#bytes;
    this.#bytes += chunk.length;
    if (from === 0 && this.#buffer.length === 0) this.#buffer = chunk;
    else {
      if (this.#bytes > this.#buffer.length) this.#grow();
      chunk.copy(this.#buffer, from);
    }
    if (this.#scanner) this.#scanner.feed(this.#buffer.subarray(from, this.#bytes));
    else if (this.#bytes > SMALL_BYTES) {
      this.#scanner = new JsonScanner(this.#lifts);
      this.#scanner.feed(this.#whole);
    }
  }

  #grow(): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes, this.#expected));
    this.#buffer.copy(larger);
    this.#buffer = larger;
  }

  get #whole(): Buffer {
    return this.#buffer.subarray(0, this.#bytes);
  }

  /** @throws {PoolError} `invalid_request`. */
  parse(): ParsedJson {
    const bytes = this.#whole;
    if (!this.#scanner)
      return { value: parsed(bytes.toString()), large: new Map(), restBytes: this.#bytes };
    this.#scanner.end();
    if (!isUtf8(bytes)) throw PoolError.of("invalid_request", "expected JSON in UTF-8");
    const large = new Map<string, LargeValue>();
    let text = "";
    let at = 0;
    for (const { path, start, end } of this.#scanner.lifted) {
      const mark = `${MARK}${large.size.toString(16).padStart(8, "0")}`;
      const value = bytes.subarray(start, end);
      large.set(mark, { path, bytes: value });
      text += bytes.toString("utf8", at, start) + (value[0] === 0x5b ? `["${mark}"]` : `"${mark}"`);
      at = end;
    }
    text += bytes.toString("utf8", at);
    return { value: parsed(text), large, restBytes: text.length };
  }
}

/** The value of parsed JSON whose property `value` may be large: it stays JSON. */
export function withRawValue({ value, large }: ParsedJson): unknown {
  if (large.size === 0) return value;
  const { value: mark } = value as { value: unknown };
  const raw = large.get((Array.isArray(mark) ? mark[0] : mark) as string);
  return raw ? { ...(value as object), value: new RawJson(raw.bytes) } : value;
}

/** The rule for JSON whose property `value` may be large. */
export const isValue: LiftRule = ([key, ...rest]) => key === "value" && rest.length === 0;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw PoolError.of(
      "invalid_request",
      text === "" ? "expected a JSON body; got none" : `expected JSON: ${(error as Error).message}`,
    );
  }
}
