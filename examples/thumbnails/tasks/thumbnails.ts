/** Makes ten thumbnails of a film. This function runs on a member, which needs ffmpeg. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
// Outside this repository: import type { PoolContext } from "distributed-pool";
import type { PoolContext } from "../../../sdk/typescript/node.ts";
import { ffmpeg } from "./lib/ffmpeg.ts";

export default async function thumbnails(
  film: Uint8Array,
  { member, signal }: PoolContext,
): Promise<{ member: string; images: Uint8Array[] }> {
  // The child starts in its private workspace. The filter selects every third of the 31 frames.
  await writeFile("film.mp4", film);
  await mkdir("out");
  await ffmpeg(
    [
      "-i",
      "film.mp4",
      "-vf",
      "select='not(mod(n,3))',scale=320:-1",
      "-fps_mode",
      "passthrough",
      "-frames:v",
      "10",
      "out/%02d.png",
    ],
    signal,
  );
  const names = (await readdir("out")).sort();
  return { member, images: await Promise.all(names.map((name) => readFile(`out/${name}`))) };
}
