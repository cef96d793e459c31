/** Maps the stacks of a bundle back to its sources, by the source map in it. */
// Imported as a whole, because Bun lacks a function that only Node uses.
import * as modules from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A source is a file in a folder of its own. The folder's name begins so. */
export const SOURCE_FOLDER = join(tmpdir(), "function-");

const MAP = "\n//# sourceMappingURL=data:application/json;";

/** A path into the folder of a source, up to the path in it. */
const FOLDER = new RegExp(`(?:file://)?${SOURCE_FOLDER.replace(/[^\w/]/g, "\\$&")}\\w{6}/`, "g");

/** The map of the last bundle, where the engine does not use it by itself. */
let map: modules.SourceMap | undefined;

/** Uses the map in a module that is about to be loaded. Others cost nothing. */
export function useSourceMap(text: string): void {
  const at = text.lastIndexOf(MAP);
  if (at < 0) return;
  if (process.versions.bun === undefined) {
    // Packages in a bundle are mapped too.
    modules.setSourceMapsSupport(true, { nodeModules: true });
    return;
  }
  try {
    // Some bundlers name the character set before the base64.
    const encoded = text.slice(text.indexOf(",", at) + 1);
    const json = Buffer.from(encoded, "base64").toString();
    map = new modules.SourceMap(JSON.parse(json));
  } catch {
    // A bundle with a map that is none runs as well.
  }
}

/** A stack with the lines of the sources, and without the folder that exists no more. */
export function originalStack(stack: string): string {
  const text = stack.replace(FOLDER, "");
  return text.replace(/\bfunction\.ts:(\d+):(\d+)/g, (frame, line, column) => {
    const entry = map?.findEntry(Number(line) - 1, Number(column) - 1);
    return entry && "originalSource" in entry
      ? `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
      : frame;
  });
}
