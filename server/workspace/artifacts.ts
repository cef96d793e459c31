/**
 * The files that a child left. They come as the tar stream of its sandbox, are stored in one file
 * without a name, and are read by path.
 */
import { addAbortSignal, Readable } from "node:stream";
import { messageOf } from "../../openapi/errors.ts";
import { isWorkspacePath } from "../../openapi/paths.ts";
import { ArchiveError, type Entry, readArchive } from "./archive.ts";
import { pathMatcher } from "./path-matcher.ts";
import { READ_BYTES, Spool, type Spooled } from "./spool.ts";

export interface ArtifactOptions {
  /** The patterns of the paths to keep; see `server/sandbox/patterns.ts`. */
  readonly patterns: readonly string[];
  /** Bytes of all files together. */
  readonly maxBytes: number;
  /** Entries of the stream, those that are not kept included. */
  readonly maxFiles: number;
  /** A folder private to the server. The file made in it is removed at once. */
  readonly folder: string;
  /** Ends the reading of a stream that has no end. */
  readonly signal?: AbortSignal;
}

export class Artifacts {
  readonly #spool: Spool;
  readonly #files = new Map<string, Spooled>();
  readonly #streams = new Set<Promise<void>>();
  #problem: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(folder: string) {
    this.#spool = new Spool(folder);
  }

  /**
   * Reads the tar stream to the end of the archive and destroys it. Keeps regular files whose paths
   * stay in the workspace and match a pattern, the first of each path. Never rejects: a failure is
   * the `problem`. The caller has to close the result.
   */
  static async receive(tar: Readable, options: ArtifactOptions): Promise<Artifacts> {
    const artifacts = new Artifacts(options.folder);
    const { signal } = options;
    // A stream that is destroyed while nobody reads it may still emit an error.
    tar.on("error", () => {});
    if (signal) addAbortSignal(signal, tar);
    try {
      await artifacts.#keep(readArchive(tar), options);
    } catch (error) {
      const reason = signal?.aborted ? "it took too long" : reasonOf(error);
      artifacts.#problem = `the artifacts were not read to their end: ${reason}`;
    } finally {
      tar.destroy();
    }
    return artifacts;
  }

  async #keep(
    entries: AsyncIterable<Entry>,
    { patterns, maxBytes, maxFiles }: ArtifactOptions,
  ): Promise<void> {
    const matches = pathMatcher(patterns);
    let count = 0;
    let bytes = 0;
    for await (const entry of entries) {
      count += 1;
      bytes += entry.bytes;
      if (count > maxFiles) throw new ArchiveError(`there are more than ${maxFiles} files`);
      if (bytes > maxBytes) throw new ArchiveError(`they are larger than ${maxBytes} bytes`);
      const path = pathOf(entry);
      if (path !== undefined && !this.#files.has(path) && matches(path))
        this.#files.set(path, await this.#spool.add(entry.body));
      else for await (const _ of entry.body);
    }
  }

  /** Why the stream was not read to its end; undefined when it was. Earlier files are kept. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Bytes of all files together. */
  get bytes(): number {
    return [...this.#files.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** All files, by path. */
  list(): { readonly path: string; readonly bytes: number }[] {
    return [...this.#files]
      .map(([path, { bytes }]) => ({ path, bytes }))
      .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  /**
   * The content of a file; undefined for an unknown path, and after `close`. The caller has to read
   * or destroy the stream.
   */
  open(path: string): { readonly bytes: number; readonly stream: Readable } | undefined {
    const file = this.#files.get(path);
    if (!file || this.#closing) return undefined;
    const stream = Readable.from(file.read(), { objectMode: false, highWaterMark: READ_BYTES });
    const streamClosed = new Promise<void>((resolve) => stream.once("close", resolve)).then(() => {
      this.#streams.delete(streamClosed);
    });
    this.#streams.add(streamClosed);
    return { bytes: file.bytes, stream };
  }

  /** Removes the content once no stream is open, and resolves then. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= Promise.all(this.#streams).then(() => this.#spool.close());
    return this.#closing;
  }
}

function reasonOf(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === "ERR_STREAM_PREMATURE_CLOSE")
    return "the stream was closed";
  return messageOf(error);
}

/** The workspace path of a regular file; undefined for any other entry. */
function pathOf({ isFile, name }: Entry): string | undefined {
  const path = name?.startsWith("./") ? name.slice(2) : name;
  return isFile && path !== undefined && isWorkspacePath(path) ? path : undefined;
}
