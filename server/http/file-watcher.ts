/** Files that are taken again when their content changes. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { messageOf } from "../../openapi/errors.ts";

/**
 * The content is compared, not the file: so a rename over it, an editor's new file and the swapped links of a mounted
 * secret all count, on file systems without notification too.
 */
const INTERVAL_MS = 1_000;

/**
 * Hands the files' texts to `take`, now and whenever one of them changes. Texts that `take` throws at, and files that
 * cannot be read, are told to `complain`, once; what was taken before stays.
 *
 * @returns what ends the watching.
 * @throws what reading them, or `take`, throws the first time.
 */
export function watchFiles(
  files: readonly string[],
  take: (texts: readonly string[]) => void,
  complain: (message: string) => void,
): () => void {
  let known = files.map((file) => readFileSync(file, "utf8"));
  take(known);
  let complaint = "";
  let closed = false;
  const look = async () => {
    try {
      const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
      if (closed || texts.every((text, index) => text === known[index])) return;
      known = texts;
      take(texts);
      complaint = "";
    } catch (error) {
      const message = messageOf(error);
      if (message !== complaint) complain(message);
      complaint = message;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const again = () => {
    timer = setTimeout(() => void look().finally(() => closed || again()), INTERVAL_MS).unref();
  };
  again();
  return () => {
    closed = true;
    clearTimeout(timer);
  };
}
