/** Refuses a spec whose files cannot be put into the workspace, before its child has a slot. */
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { MAX_FILES, tooManyFiles } from "../../openapi/limits.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { Part } from "../../sdk/typescript/http/multipart.ts";
import { findExpression } from "../sandbox/patterns.ts";
import { checkUrl } from "./fetching/fetch.ts";
import type { FetchRules } from "./fetching/fetch-rules.ts";
import { bytesOfAll, remoteArchive, sortFiles } from "./pack.ts";

/** The files that came beside a spec, and the bounds of the pool. */
export interface FileBounds {
  readonly uploaded: readonly Part[];
  /** Whether an archive came beside the spec. Default: none. */
  readonly hasArchive?: boolean;
  /** Bytes of all files together. */
  readonly maxBytes: number;
  readonly rules: FetchRules;
}

/**
 * @throws {PoolError} `invalid_request` for too many files or bytes, for paths that exclude each
 *   other, and for patterns that `find` does not understand; `forbidden` for a URL that the pool's
 *   operator does not allow.
 */
export function checkFiles(
  spec: ChildSpec,
  { uploaded, maxBytes, rules, hasArchive = false }: FileBounds,
): void {
  const { files = {}, artifacts = [] } = spec;
  if (hasArchive && spec.archive)
    throw invalid("/archive", "expected it in the spec or as a part; got both");
  checkPaths([...Object.keys(files), ...uploaded.map(({ name }) => name)]);
  const { inline, remote } = sortFiles(files);
  const archive = remoteArchive(spec);
  for (const file of archive ? [...remote, archive] : remote) checkUrl(file, rules);
  const bytes = bytesOfAll([...uploaded, ...inline]);
  if (bytes > maxBytes)
    throw invalid(
      "/files",
      `expected at most ${maxBytes} bytes, the size of the workspace; got ${bytes}`,
    );
  try {
    findExpression(artifacts);
  } catch (error) {
    throw invalid("/artifacts", messageOf(error));
  }
}

function checkPaths(paths: readonly string[]): void {
  if (paths.length > MAX_FILES) throw invalid("/files", tooManyFiles(paths.length));
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined)
    throw invalid(
      "/files",
      `expected ${JSON.stringify(twice)} once; got it in the spec and in a part`,
    );
  // In this order, a folder's own paths come right behind it. A list of all folders could take
  // 4 GB: each of 1,000 paths may be below 2,047 of them.
  const sorted = paths.map((path) => `${path}/`).sort();
  const both = sorted.find((path, index) => sorted[index + 1]?.startsWith(path))?.slice(0, -1);
  if (both !== undefined)
    throw invalid("/files", `expected ${JSON.stringify(both)} to be a file or a folder; got both`);
}

function invalid(path: string, message: string): PoolError {
  return PoolError.of("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
}
