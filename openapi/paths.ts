/** Paths in a workspace: of files, artifacts and the entries of an archive. */
import { z } from "@hono/zod-openapi";
import { utf8Bytes } from "./schemas/values.ts";

/** Linux's PATH_MAX, without the final NUL. */
const MAX_PATH_BYTES = 4_095;

const MAX_NAME_BYTES = 255; // Linux's NAME_MAX.

/** An empty name, `.` or `..` in a path. */
const NO_NAME = /(?:^|\/)\.{0,2}(?:\/|$)/;
/** A unit of UTF-16 has at most 3 bytes. */
const SURE_LENGTH = Math.floor(MAX_NAME_BYTES / 3);

/** Whether a path stays in the workspace: relative, without empty names, `.` or `..`. */
export function isWorkspacePath(path: string): boolean {
  return (
    path.length <= MAX_PATH_BYTES &&
    !path.includes("\0") &&
    utf8Bytes(path) <= MAX_PATH_BYTES &&
    !NO_NAME.test(path) &&
    !hasLongName(path)
  );
}

/** Passes over runs of short names in one step: a request has up to 900,000 names. */
function hasLongName(path: string): boolean {
  for (let from = 0; path.length - from > SURE_LENGTH; ) {
    const slash = path.lastIndexOf("/", from + SURE_LENGTH);
    const end = slash < from ? path.indexOf("/", from) : slash;
    const name = slash < from && path.slice(from, end < 0 ? undefined : end);
    if (name && utf8Bytes(name) > MAX_NAME_BYTES) return true;
    if (end < 0) return false;
    from = end + 1;
  }
  return false;
}

export const PATH_RULE =
  "a relative path in the workspace, without . and .., and with names of 1 to 255 bytes";

/** Names that consist of dots have three or more of them. */
const NAME_PATTERN = "(?:\\.{3,}|\\.*[^./\\x00][^/\\x00]*)";

/** The documented form of the rule, apart from its limits in bytes. */
export const PATH_KEYWORDS = {
  pattern: `^${NAME_PATTERN}(?:/${NAME_PATTERN})*$`,
  maxLength: MAX_PATH_BYTES,
} as const;

export const WorkspacePathSchema = z
  .string()
  .refine(isWorkspacePath, `expected ${PATH_RULE}`)
  .openapi(PATH_KEYWORDS);
