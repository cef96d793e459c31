/** The hash of a source. */
import { createHash } from "node:crypto";

/** The hash that names a source: SHA-256 of its UTF-8 bytes. */
export function hashOf(source: string): string {
  return `sha256:${createHash("sha256").update(source).digest("hex")}`;
}
