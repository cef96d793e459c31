/** Files of this machine, which are read while they are sent. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { LocalFiles } from "../files.ts";
import { ARCHIVE_PART } from "../http/multipart.ts";
import { packFolder } from "./pack-folder.ts";

const OWNER_RUNS = 0o100;
const EXECUTABLE = "755";

/** A file that can be executed here can be executed there. */
export const localFiles: LocalFiles = async (name, path) => {
  const found = await stat(path).catch((error: unknown) => {
    throw PoolError.of("invalid_request", `files: ${JSON.stringify(name)}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (found.isDirectory() && name === ARCHIVE_PART) return packFolder(name, path);
  if (!found.isFile())
    throw PoolError.of(
      "invalid_request",
      `files: ${JSON.stringify(name)}: expected a file; ${path} is something else`,
    );
  // A file that grows while it is sent is cut at the size that was announced.
  return {
    name,
    ...((found.mode & OWNER_RUNS) !== 0 && { mode: EXECUTABLE }),
    bytes: found.size,
    read: () =>
      found.size === 0 ? Readable.from([]) : createReadStream(path, { end: found.size - 1 }),
  };
};
