/** The files of a child as the tar stream that is unpacked in the sandbox. */
import { Readable } from "node:stream";
import { type Pack, pack } from "tar-stream";
import type { Data } from "../../openapi/values.ts";
import type { Part } from "../../sdk/typescript/http/multipart.ts";

const FILE_MODE = 0o644;

/** The bytes of what a caller wrote as text or base64. */
export function bytesOf(data: Data): Buffer {
  if (typeof data === "string") return Buffer.from(data);
  return "text" in data ? Buffer.from(data.text) : Buffer.from(data.base64, "base64");
}

/** A file of the spec itself. Its bytes are made when they are read. */
export function fileOf(name: string, data: Data): Part {
  return {
    name,
    bytes:
      typeof data === "object" && "base64" in data
        ? Buffer.byteLength(data.base64, "base64")
        : bytesOf(data).length,
    async *read() {
      yield bytesOf(data);
    },
  };
}

/** A tar stream of the files, which are read one after the other, as fast as the stream is. */
export function packFiles(files: readonly Part[]): Readable {
  return Readable.from(chunks(files), { objectMode: false });
}

async function* chunks(files: readonly Part[]): AsyncGenerator<Buffer, void, undefined> {
  const tar = pack();
  // A failure, or a reader that leaves, destroys the stream, which tells the loop below.
  void addAll(files, tar).catch((error: Error) => tar.destroy(error));
  try {
    for await (const chunk of tar) yield chunk as Buffer;
  } finally {
    tar.destroy();
  }
}

async function addAll(files: readonly Part[], tar: Pack): Promise<void> {
  for (const { name, bytes, read } of files) {
    await new Promise<void>((resolve, reject) => {
      const entry = tar.entry({ name, size: bytes, mode: FILE_MODE }, (error) =>
        error ? reject(error) : resolve(),
      );
      // The callback has it too; without a listener it would end the process.
      entry.on("error", () => {});
      let goOn = () => {};
      entry.on("drain", () => goOn()).on("close", () => goOn());
      const write = async () => {
        for await (const piece of read()) {
          const room = new Promise<void>((more) => {
            goOn = more;
          });
          if (!entry.write(piece) && !entry.destroyed) await room;
          if (entry.destroyed) return;
        }
        entry.end(null);
      };
      write().catch(reject);
    });
  }
  tar.finalize();
}
