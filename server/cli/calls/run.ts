/** `dpool run`: a call whose whole result comes at its end. */
import { collected } from "../../../sdk/typescript/calls/results.ts";
import { type DistributedPool, PoolError } from "../../../sdk/typescript/node.ts";
import { exitCodeOfProblem, tellProblem } from "../output/problem-text.ts";
import { jsonValue, valueText } from "../output/value-text.ts";
import { write, writeJson } from "../output/write.ts";
import { isJson, type Parsed } from "../parse.ts";
import { Foreground } from "../terminal/foreground.ts";
import { outOf, poolOf, saveAll } from "./call.ts";
import { specOf } from "./spec.ts";

export async function run(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const pool = poolOf(parsed);
  // The text of an output is decoded here, over the borders of events.
  const spec = { ...(await specOf(parsed)), outputEncoding: "base64" as const };
  const out = outOf(parsed, spec);
  const foreground = new Foreground(pools, { link: spec.link ?? false, parsed });
  const childOf = (id: string) => pools.child(id);
  try {
    const events = foreground.follow(pools.stream(pool, spec));
    const { child, file: _, ...ending } = await collected(events, { childOf });
    await saveAll(child, ending.artifacts, out);
    const value = "value" in ending ? { value: jsonValue(ending.value) } : {};
    if (isJson(parsed)) await writeJson({ child: foreground.placed, ...ending, ...value });
    else {
      await writeOutput(ending);
      if ("value" in ending) await write(process.stdout, `${valueText(ending.value)}\n`);
    }
    return foreground.exitCode ?? ending.exitCode ?? 0;
  } catch (error) {
    if (!(error instanceof PoolError)) throw error;
    const { problem } = error;
    if (!isJson(parsed)) await writeOutput(problem);
    tellProblem(problem, isJson(parsed));
    return foreground.exitCode ?? exitCodeOfProblem(problem);
  }
}

interface Output {
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
  readonly truncated?: boolean | undefined;
}

/**
 * Writes the output of a child to the two streams of this command.
 *
 * @param place the input that it belongs to, as a message begins. Default: none.
 */
export async function writeOutput(
  { stdout = "", stderr = "", truncated }: Output,
  place = "",
): Promise<void> {
  if (stdout !== "") await write(process.stdout, stdout);
  if (stderr !== "") await write(process.stderr, stderr);
  if (truncated)
    await write(
      process.stderr,
      `dpool: ${place}the output is cut at 1 MiB; dpool call shows all of it\n`,
    );
}
