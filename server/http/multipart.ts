/**
 * Reads a multipart/form-data body from a stranger, part by part, no faster than each part is read. Nothing that is skipped goes unnoticed:
 * what is not as RFC 7578 has it ends the reading.
 */

/** One part; `body` has to be read to its end before the next part. */
export interface FormPart {
  readonly name: string;
  readonly body: AsyncIterable<Buffer>;
}

/** The body is not a whole one of this kind; the message says in what. */
export class MultipartError extends Error {}

/** A name of the longest path, each byte of it escaped, with room. */
const MAX_HEAD_BYTES = 16 * 1024;
const HEAD_END = "\r\n\r\n";

/** Whether a content-type is of this kind. */
export function isMultipart(contentType: string | undefined): boolean {
  return /^multipart\/form-data\b/i.test(contentType ?? "");
}

/** The boundary that a content-type names. @throws {MultipartError} when it names none. */
export function boundaryOf(contentType: string | undefined): string {
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType ?? "") ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined)
    throw new MultipartError("its content-type names no boundary of at most 70 characters");
  return boundary;
}

/** The parts up to the last delimiter; what follows it is not read. */
export async function* readMultipart(
  source: AsyncIterable<Buffer>,
  boundary: string,
): AsyncGenerator<FormPart, void, undefined> {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const pieces = source[Symbol.asyncIterator]();
  // So the first delimiter is found like the others.
  let left = Buffer.from("\r\n");
  const more = async () => {
    const { value, done } = await pieces.next();
    if (done) throw new MultipartError("it ends before its last delimiter");
    left = Buffer.concat([left, value]);
  };
  async function* upToDelimiter(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const found = left.indexOf(delimiter);
      // The last bytes may be the beginning of the delimiter.
      const end = found >= 0 ? found : left.length - delimiter.length + 1;
      const piece = left.subarray(0, Math.max(0, end));
      left = left.subarray(piece.length + (found >= 0 ? delimiter.length : 0));
      if (piece.length > 0) yield piece;
      if (found >= 0) return;
      await more();
    }
  }
  // What stands before the first delimiter is nothing.
  for await (const _ of upToDelimiter());
  for (;;) {
    while (left.length < 2) await more();
    const after = left.toString("latin1", 0, 2);
    if (after === "--") return;
    if (after !== "\r\n") throw new MultipartError("a delimiter is followed by something else");
    let end = left.indexOf(HEAD_END);
    for (; end < 0; end = left.indexOf(HEAD_END)) {
      if (left.length > MAX_HEAD_BYTES)
        throw new MultipartError(`the head of a part is longer than ${MAX_HEAD_BYTES} bytes`);
      await more();
    }
    const name = nameIn(left.subarray(2, end));
    left = left.subarray(end + HEAD_END.length);
    yield { name, body: upToDelimiter() };
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function nameIn(head: Buffer): string {
  let text: string;
  try {
    text = utf8.decode(head);
  } catch {
    throw new MultipartError("the head of a part is not UTF-8");
  }
  const parameters = /^content-disposition:[ \t]*form-data(.*)$/im.exec(text)?.[1] ?? "";
  let name: string | undefined;
  for (const [, key = "", quoted, plain] of parameters.matchAll(
    /;[ \t]*([\w*-]+)=(?:"([^"]*)"|([^\s;"]*))/g,
  )) {
    // As browsers and curl write a name that holds these.
    if (key.toLowerCase() === "name")
      name ??= (quoted ?? plain ?? "")
        .replaceAll("%22", '"')
        .replaceAll("%0D", "\r")
        .replaceAll("%0A", "\n");
    if (key.toLowerCase() === "name*") return extended(plain ?? "");
  }
  if (name === undefined)
    throw new MultipartError('a part has no content-disposition form-data with a name="..."');
  return name;
}

/** A value as RFC 5987 writes it: exact, whatever it holds. */
function extended(value: string): string {
  try {
    return decodeURIComponent(/^utf-8''(.*)$/i.exec(value)?.[1] ?? "%");
  } catch {
    throw new MultipartError("expected name* as UTF-8''NAME, percent-encoded");
  }
}
