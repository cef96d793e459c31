import { Readable } from "node:stream";
export function packFiles(_files: object): Readable {
  return Readable.from([]);
}
