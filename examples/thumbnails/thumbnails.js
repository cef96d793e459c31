/**
 * Sends a film to the least loaded member, where ffmpeg makes ten thumbnails of it, and writes them
 * into a folder. The function travels with the call, bundled with its imports. With --task, the
 * members run their own copy, from `dpool dev --tasks examples/thumbnails/tasks`.
 *
 *     npx node examples/thumbnails/thumbnails.js [--task] [URL of a member] [folder]
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle, DistributedPool, task } from "distributed-pool";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { task: { type: "boolean" } },
});
const [url = process.env.DPOOL_URL ?? "http://127.0.0.1:7400", folder = "thumbnails"] = positionals;
const film = await readFile(new URL("birds.mp4", import.meta.url));

const thumbnails = values.task
  ? task("thumbnails")
  : await bundle(new URL("tasks/thumbnails.ts", import.meta.url));

// JSON does not carry bytes, so arguments and value travel by devalue.
const pools = new DistributedPool({ url }).with({ encoding: "devalue" });
const { member, images } = await pools.call("pipeline", thumbnails, film);
await pools.close();

await mkdir(folder, { recursive: true });
for (const [index, image] of images.entries())
  await writeFile(join(folder, `${String(index + 1).padStart(2, "0")}.png`), image);
console.log(`${member} made ${images.length} thumbnails in ${folder}`);
