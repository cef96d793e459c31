/** Files of this machine, which are read while they are sent. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { LocalFiles } from "../files.ts";

export const localFiles: LocalFiles = async (name, path) => {
  const found = await stat(path).catch((error: unknown) => {
    throw PoolError.of("invalid_request", `files: ${JSON.stringify(name)}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (!found.isFile())
    throw PoolError.of(
      "invalid_request",
      `files: ${JSON.stringify(name)}: expected a file; ${path} is something else`,
    );
  // A file that grows while it is sent is cut at the size that was announced.
  return {
    name,
    bytes: found.size,
    read: () =>
      found.size === 0 ? Readable.from([]) : createReadStream(path, { end: found.size - 1 }),
  };
};
