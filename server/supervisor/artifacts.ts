/** The files that a child left. */
import type { Readable } from "node:stream";

export interface Artifacts {
  /** The bytes of one of them, by its path in the workspace; undefined when there is none of this path. */
  open(path: string): { readonly bytes: number; readonly stream: Readable } | undefined;
}
