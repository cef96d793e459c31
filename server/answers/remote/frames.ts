/**
 * Splits a stream of server-sent events into whole frames, without a copy and without reading their
 * data.
 */

/** A result of 16 MiB whose bytes are all escaped fits: no frame is longer. */
const MAX_FRAME_BYTES = 128 * 1024 * 1024;
const NEWLINE = 10;
const FRAME_END = Buffer.from("\n\n");
/** The type and the id of a frame stand in its first 64 bytes. */
const HEAD_BYTES = 64;

export interface Frames {
  /** Whole frames, in pieces: to join them would cost more than all the rest. */
  readonly pieces: readonly Buffer[];
  /** The last event among them; undefined when they are all comments. */
  readonly last: { readonly id: number; readonly type: string } | undefined;
}

/** Runs of whole frames, each as soon as it has come. */
export async function* wholeFrames(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Frames, void, undefined> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const bytes of body) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const found = chunk.lastIndexOf(FRAME_END);
    const end = found >= 0 ? found + 2 : isSplitEnd(pending, chunk) ? 1 : 0;
    if (end === 0) {
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes > MAX_FRAME_BYTES) throw new Error("a frame of its stream has no end");
      continue;
    }
    const frames = chunk.subarray(0, end);
    const last = lastFrame(pending, frames);
    const pieces = [...pending, frames];
    pending = end < chunk.length ? [chunk.subarray(end)] : [];
    pendingBytes = chunk.length - end;
    yield { pieces, last };
  }
}

/** Whether a chunk has the second byte of a frame's end, and `pending` the first. */
function isSplitEnd(pending: readonly Buffer[], chunk: Buffer): boolean {
  return pending.at(-1)?.at(-1) === NEWLINE && chunk[0] === NEWLINE;
}

/** The last event in a run of whole frames. The first frame of the run begins in `pending`. */
function lastFrame(pending: readonly Buffer[], frames: Buffer): Frames["last"] {
  const split = isSplitEnd(pending, frames);
  for (let end = frames.length; ; ) {
    const before = end >= 4 ? frames.lastIndexOf(FRAME_END, end - 4) : -1;
    const start = before >= 0 ? before + 2 : split && end > 1 ? 1 : 0;
    const head =
      start === 0
        ? Buffer.concat([...pending, frames], HEAD_BYTES)
        : frames.subarray(start, Math.min(start + HEAD_BYTES, end));
    const match = /^event: ?(\w+)\nid: ?(\d+)\n/.exec(head.toString("latin1"));
    if (match) return { type: match[1] as string, id: Number(match[2]) };
    if (start === 0) return undefined;
    end = start;
  }
}
