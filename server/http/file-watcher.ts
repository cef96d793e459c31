/** A file watcher: hands over the text of files again whenever it changes. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { messageOf } from "../../openapi/errors.ts";

/**
 * The watcher compares contents, once a second. So it sees a rename over the file, an editor's new
 * file and the swapped links of a mounted secret, also on file systems without notifications.
 */
const INTERVAL_MS = 1_000;

/**
 * Calls `take` with the texts of the files, now and whenever one of them changes. When a file
 * cannot be read or `take` throws, the former texts stay in use, and `complain` gets the message
 * once.
 *
 * @returns a function that ends the watching.
 * @throws the first error of reading or of `take`.
 */
export function watchFiles(
  files: readonly string[],
  take: (texts: readonly string[]) => void,
  complain: (message: string) => void,
): () => void {
  let current = files.map((file) => readFileSync(file, "utf8"));
  take(current);
  let complaint = "";
  const closing = new AbortController();
  const { signal } = closing;
  const check = async () => {
    try {
      const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
      if (signal.aborted || texts.every((text, index) => text === current[index])) return;
      current = texts;
      take(texts);
      complaint = "";
    } catch (error) {
      const message = messageOf(error);
      if (message !== complaint) complain(message);
      complaint = message;
    }
  };
  const watch = async () => {
    for (;;) {
      await pause(INTERVAL_MS, undefined, { signal, ref: false });
      await check();
    }
  };
  // The pause rejects when the watching ends.
  void watch().catch(() => {});
  return () => closing.abort();
}
