/** Frames of server-sent events, which clients can read line by line. */
import { jsonText } from "../../sdk/typescript/http/raw-json.ts";

/** Line readers of some languages end a line at these, which JSON may carry as they are. */
const SEPARATORS = ["\u0085", "\u2028", "\u2029"] as const;
const HAS_SEPARATOR = /[\u0085\u2028\u2029]/;
const ANY_SEPARATOR = new RegExp(HAS_SEPARATOR, "g");

const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Whether bytes have a separator of lines in them. */
export function hasSeparator(bytes: Buffer): boolean {
  return SEPARATORS.some((each) => bytes.includes(each));
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>) =>
  Buffer.from(buffer, byteOffset, byteLength);

/** JSON without separators. It has them in strings alone, where an escape means the same. */
const portable = (json: Buffer) =>
  hasSeparator(json) ? Buffer.from(portableText(json.toString("utf8"))) : json;

export const portableText = (json: string) =>
  HAS_SEPARATOR.test(json) ? json.replaceAll(ANY_SEPARATOR, escaped) : json;

/**
 * An event as a frame.
 *
 * @param id the event's id. Default: none.
 */
export function eventFrame<E extends { readonly type: string }>(event: E, id?: number): Buffer {
  const json = jsonText(event);
  if (typeof json === "string") return textFrame(event.type, json, id);
  const head = Buffer.from(headOf(event.type, id));
  return Buffer.concat([head, portable(bytesOf(json)), Buffer.from("\n\n")]);
}

/** An event as a frame, of its JSON. */
export function textFrame(type: string, json: string, id?: number): Buffer {
  return Buffer.from(`${headOf(type, id)}${portableText(json)}\n\n`);
}

const headOf = (type: string, id: number | undefined) =>
  `event: ${type}\n${id === undefined ? "" : `id: ${id}\n`}data: `;
