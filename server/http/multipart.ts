/**
 * Reads a multipart/form-data body (RFC 7578) part by part, with backpressure. It skips nothing
 * silently: any deviation ends the reading with an error.
 */

/** One part. The caller must read `body` to its end before the next part. */
export interface FormPart {
  readonly name: string;
  /** The parameter `mode` of its content type. */
  readonly mode: string | undefined;
  readonly body: AsyncIterable<Buffer>;
}

/** The body is not a complete multipart body; the message says why. */
export class MultipartError extends Error {}

/** Room for a name of the longest path with each byte escaped. */
const MAX_HEAD_BYTES = 16 * 1024;
const HEAD_END = "\r\n\r\n";

/** The boundary in a content-type. @throws {MultipartError} when there is none. */
export function boundaryOf(contentType: string | undefined): string {
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType ?? "") ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined)
    throw new MultipartError("its content-type names no boundary of at most 70 characters");
  return boundary;
}

/** Yields the parts up to the last delimiter. What follows it is not read. */
export async function* readMultipart(
  source: AsyncIterable<Buffer>,
  boundary: string,
): AsyncGenerator<FormPart, void, undefined> {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const pieces = source[Symbol.asyncIterator]();
  // With this line break the first delimiter looks like the others.
  let buffer = Buffer.from("\r\n");
  const readMore = async () => {
    const { value, done } = await pieces.next();
    if (done) throw new MultipartError("it ends before its last delimiter");
    buffer = Buffer.concat([buffer, value]);
  };
  async function* upToDelimiter(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const found = buffer.indexOf(delimiter);
      // Without a delimiter, the last bytes may be the beginning of one.
      const end = found >= 0 ? found : buffer.length - delimiter.length + 1;
      const piece = buffer.subarray(0, Math.max(0, end));
      buffer = buffer.subarray(piece.length + (found >= 0 ? delimiter.length : 0));
      if (piece.length > 0) yield piece;
      if (found >= 0) return;
      await readMore();
    }
  }
  // The text before the first delimiter has no meaning.
  for await (const _ of upToDelimiter());
  for (;;) {
    while (buffer.length < 2) await readMore();
    const after = buffer.toString("latin1", 0, 2);
    if (after === "--") return;
    if (after !== "\r\n") throw new MultipartError("a delimiter is followed by something else");
    let end = buffer.indexOf(HEAD_END);
    for (; end < 0; end = buffer.indexOf(HEAD_END)) {
      if (buffer.length > MAX_HEAD_BYTES)
        throw new MultipartError(`the head of a part is longer than ${MAX_HEAD_BYTES} bytes`);
      await readMore();
    }
    const head = textOf(buffer.subarray(2, end));
    buffer = buffer.subarray(end + HEAD_END.length);
    yield { name: nameIn(head), mode: modeIn(head), body: upToDelimiter() };
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function textOf(head: Buffer): string {
  try {
    return utf8.decode(head);
  } catch {
    throw new MultipartError("the head of a part is not UTF-8");
  }
}

function modeIn(head: string): string | undefined {
  const type = /^content-type:(.*)$/im.exec(head)?.[1] ?? "";
  const [, quoted, plain] = /;[ \t]*mode=(?:"([^"]*)"|([^\s;"]*))/i.exec(type) ?? [];
  return quoted ?? plain;
}

function nameIn(text: string): string {
  const parameters = /^content-disposition:[ \t]*form-data(.*)$/im.exec(text)?.[1] ?? "";
  let name: string | undefined;
  for (const [, key = "", quoted, plain] of parameters.matchAll(
    /;[ \t]*([\w*-]+)=(?:"([^"]*)"|([^\s;"]*))/g,
  )) {
    // Browsers and curl escape these three characters, and no others.
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

/** Decodes a value in the notation of RFC 5987, which can carry every name exactly. */
function extended(value: string): string {
  try {
    return decodeURIComponent(/^utf-8''(.*)$/i.exec(value)?.[1] ?? "%");
  } catch {
    throw new MultipartError("expected name* as UTF-8''NAME, percent-encoded");
  }
}
