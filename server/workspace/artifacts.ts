/** The files that a child left: taken from the tar stream that its sandbox packs, kept in a file without a name, given out by path. */
import { Readable } from "node:stream";
import { messageOf } from "../../openapi/errors.ts";
import { isWorkspacePath } from "../../openapi/values.ts";
import { pathMatcher } from "../sandbox/patterns.ts";
import { ArchiveError, type Entry, readArchive } from "./archive.ts";
import { READ_BYTES, Spool, type SpoolRange } from "./spool.ts";

export interface ArtifactOptions {
  /** Which paths were asked for; see `server/sandbox/patterns.ts`. */
  readonly patterns: readonly string[];
  /** Bytes of all files together. */
  readonly maxBytes: number;
  /** Entries of the stream, also those that are not kept. */
  readonly maxFiles: number;
  /** A private folder of the server's. The file made in it is removed at once. */
  readonly folder: string;
  /** Ends the reading of a stream that brings no end. */
  readonly signal?: AbortSignal;
}

export class Artifacts {
  /** Why the stream was not read to its end; what had come until then is there. */
  readonly problem: string | undefined;
  readonly #spool: Spool;
  readonly #places: ReadonlyMap<string, SpoolRange>;
  readonly #streams = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  private constructor(
    spool: Spool,
    places: ReadonlyMap<string, SpoolRange>,
    problem: string | undefined,
  ) {
    this.#spool = spool;
    this.#places = places;
    this.problem = problem;
  }

  /**
   * Reads the tar stream to the end of the archive and destroys it. Keeps regular files with paths in the workspace that match a pattern,
   * the first of each path; passes over other entries. Never rejects: whatever goes wrong is the `problem`. What it resolves with has to
   * be closed.
   */
  static async receive(tar: Readable, options: ArtifactOptions): Promise<Artifacts> {
    const { spool, places, problem } = await receive(tar, options);
    return new Artifacts(spool, places, problem);
  }

  /** Bytes of all of them together. */
  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.#places.values()) sum += bytes;
    return sum;
  }

  /** All of them, by path. */
  list(): { readonly path: string; readonly bytes: number }[] {
    return [...this.#places]
      .map(([path, { bytes }]) => ({ path, bytes }))
      .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The content of one; undefined where there is none, or after `close`. The stream has to be read or destroyed. */
  open(path: string): { readonly bytes: number; readonly stream: Readable } | undefined {
    const place = this.#places.get(path);
    if (!place || this.#closed) return undefined;
    const stream = Readable.from(this.#spool.read(place), {
      objectMode: false,
      highWaterMark: READ_BYTES,
    });
    const over = new Promise<void>((resolve) => stream.once("close", resolve)).then(() => {
      this.#streams.delete(over);
    });
    this.#streams.add(over);
    return { bytes: place.bytes, stream };
  }

  /** Lets go of the content as soon as no stream is open any more, and resolves then. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= Promise.all(this.#streams).then(() => this.#spool.close());
    return this.#closed;
  }
}

async function receive(
  tar: Readable,
  { patterns, maxBytes, maxFiles, folder, signal }: ArtifactOptions,
) {
  const spool = new Spool(folder);
  const places = new Map<string, SpoolRange>();
  let problem: string | undefined;
  let entries = 0;
  let bytes = 0;
  const stop = () => tar.destroy();
  // What is destroyed while nobody reads may still tell an error.
  tar.on("error", () => {});
  signal?.addEventListener("abort", stop, { once: true });
  try {
    signal?.throwIfAborted();
    const isAskedFor = pathMatcher(patterns);
    for await (const entry of readArchive(tar)) {
      entries += 1;
      bytes += entry.bytes;
      if (entries > maxFiles) throw new ArchiveError(`there are more than ${maxFiles} files`);
      if (bytes > maxBytes) throw new ArchiveError(`they are larger than ${maxBytes} bytes`);
      const path = pathOf(entry);
      const keep = path !== undefined && !places.has(path) && isAskedFor(path);
      const { end } = spool;
      for await (const piece of entry.body) if (keep) await spool.append(piece);
      if (keep) places.set(path, { start: end, bytes: entry.bytes });
    }
  } catch (error) {
    problem = signal?.aborted
      ? "the artifacts were not read to their end: it took too long"
      : `the artifacts were not read to their end: ${reasonOf(error)}`;
  } finally {
    signal?.removeEventListener("abort", stop);
    tar.destroy();
  }
  return { spool, places, problem };
}

function reasonOf(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === "ERR_STREAM_PREMATURE_CLOSE")
    return "the stream was closed";
  return messageOf(error);
}

/** The path in the workspace of an entry that may be kept. */
function pathOf({ isFile, name }: Entry): string | undefined {
  const path = name?.startsWith("./") ? name.slice(2) : name;
  return isFile && path !== undefined && isWorkspacePath(path) ? path : undefined;
}
