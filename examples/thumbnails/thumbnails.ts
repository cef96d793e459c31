/**
 * A film goes in by stdin, ffmpeg runs on the least loaded member, ten thumbnails come back over stdout.
 * The member needs ffmpeg; this machine does not.
 *
 *     node examples/thumbnails/thumbnails.ts [URL of a member] [folder]
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
// Outside this repository: import { DistributedPool, outputBytes } from "distributed-pool";
import { DistributedPool, outputBytes } from "../../sdk/typescript/index.ts";

const [url = "http://127.0.0.1:7400", folder = "thumbnails"] = process.argv.slice(2);
const film = await readFile(new URL("birds.mp4", import.meta.url));

// This film's index is at its end, so ffmpeg has to seek in a file and cannot read it from a pipe. The child starts in
// its private workspace, where it may write. Of the film's 31 frames every third is taken, ten in all.
const SCRIPT = `cat > film.mp4 && ffmpeg -v error -i film.mp4 -an -vf "select='not(mod(n,3))',scale=320:-1" \
  -fps_mode passthrough -frames:v 10 -f image2pipe -c:v png pipe:1`;

/** The images in a run of PNG files: each is a signature of 8 bytes, then chunks (length, type, data, checksum) to IEND. */
function splitPngs(bytes: Buffer): Buffer[] {
  const images: Buffer[] = [];
  for (let start = 0, at = 8; at < bytes.length; ) {
    const type = bytes.toString("latin1", at + 4, at + 8);
    at += 12 + bytes.readUInt32BE(at);
    if (type !== "IEND") continue;
    images.push(bytes.subarray(start, at));
    start = at;
    at += 8;
  }
  return images;
}

const pools = new DistributedPool({ url });
const spec = { command: ["sh", "-c", SCRIPT], stdin: { base64: film.toString("base64") }, outputEncoding: "base64" as const };
const output: Buffer[] = [];
let member = "";
for await (const event of pools.stream("pipeline", spec)) {
  if (event.type === "placed") member = event.child.member;
  else if (event.type === "stdout") output.push(outputBytes(event));
  else if (event.type === "stderr") process.stderr.write(outputBytes(event));
  else if (event.type === "failed") throw new Error(`${event.problem.code}: ${event.problem.detail}`);
  else if (event.type === "result" && event.exitCode !== 0) throw new Error(`ffmpeg on ${member} ended with exit code ${event.exitCode}`);
}
await pools.close();

const images = splitPngs(Buffer.concat(output));
await mkdir(folder, { recursive: true });
for (const [index, image] of images.entries()) await writeFile(join(folder, `${String(index + 1).padStart(2, "0")}.png`), image);
console.log(`${member} made ${images.length} thumbnails in ${folder}`);
