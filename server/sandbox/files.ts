/** The files of a child spec as the tar stream that is unpacked in the sandbox. */
import { Readable } from "node:stream";
import { pack } from "tar-stream";
import type { ChildSpec, Data } from "../../openapi/schemas.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";

type Files = NonNullable<ChildSpec["files"]>;

const FILE_MODE = 0o644;

/** The bytes of what a caller wrote as text or base64. */
export function bytesOf(data: Data | Files[string]): Buffer {
  if (typeof data !== "string" && "url" in data) throw PoolError.of("invalid_request", "expected text or base64: this member fetches no URLs");
  if (typeof data === "string") return Buffer.from(data);
  return "text" in data ? Buffer.from(data.text) : Buffer.from(data.base64, "base64");
}

/** A tar stream of the files. One file at a time is held as bytes, and none before the stream is read. */
export function packFiles(files: ChildSpec["files"]): Readable {
  return Readable.from(chunks(files ?? {}), { objectMode: false });
}

async function* chunks(files: Files): AsyncGenerator<Buffer, void, undefined> {
  const tar = pack();
  // A failure, or a reader that leaves, destroys the stream, which tells the loop below.
  void addAll(files, tar).catch((error: Error) => tar.destroy(error));
  try {
    for await (const chunk of tar) yield chunk as Buffer;
  } finally {
    tar.destroy();
  }
}

async function addAll(files: Files, tar: ReturnType<typeof pack>): Promise<void> {
  for (const [name, data] of Object.entries(files)) {
    await new Promise<void>((resolve, reject) => {
      const entry = tar.entry({ name, mode: FILE_MODE }, bytesOf(data), (error) => (error ? reject(error) : resolve()));
      // The callback has it too; without a listener it would end the process.
      entry.on("error", () => {});
    });
  }
  tar.finalize();
}
