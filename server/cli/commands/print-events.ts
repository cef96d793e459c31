/** Prints the events of a child: its output as it is, its value as JSON, its failure on stderr. */
import { inspect } from "node:util";
import { PoolError } from "../../../openapi/errors.ts";
import { outputBytes, type PoolEvent } from "../../../sdk/typescript/node.ts";
import { checkArguments } from "../../../sdk/typescript/values.ts";
import { FAILED, problemText } from "../problem-text.ts";
import { ProgressBar } from "../terminal/progress-bar.ts";

const NEWLINE = 10;

/** Writes, and resolves when the stream takes more. */
export function write(stream: NodeJS.WriteStream, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) =>
    stream.write(bytes) ? resolve() : stream.once("drain", resolve),
  );
}

/** A value as JSON; a value that only devalue carries, as Node shows it. */
function valueText(value: unknown): string {
  try {
    checkArguments([value ?? null]);
    return JSON.stringify(value ?? null);
  } catch {
    return inspect(value, { depth: null });
  }
}

/** Prints an event. Resolves with the exit code of the child once it has ended. */
export async function printEvent(event: PoolEvent): Promise<number | undefined> {
  switch (event.type) {
    case "queued":
      // Only a terminal gets the line, because a script's stderr is the child's.
      if (process.stderr.isTTY)
        await write(process.stderr, `dpool: waiting for a slot, position ${event.position}\n`);
      break;
    case "stdout":
      await write(process.stdout, outputBytes(event));
      break;
    case "stderr":
      await write(process.stderr, outputBytes(event));
      break;
    case "gap":
      await write(
        process.stderr,
        `dpool: ${event.droppedBytes} bytes of output are no longer kept\n`,
      );
      break;
    case "result":
      if (event.exitCode === undefined) await write(process.stdout, `${valueText(event.value)}\n`);
      return event.exitCode ?? 0;
    case "failed":
      await write(process.stderr, problemText({ ...event.problem, exitCode: event.exitCode }));
      // A child that was stopped may have chosen 0, which is no success.
      return (event.problem.code === "worker_crashed" && event.exitCode) || FAILED;
  }
  return undefined;
}

/**
 * Prints all events of a child, with a bar of its progress on a terminal.
 *
 * @param atEnd receives the terminal event and the child's id.
 * @returns the exit code of the child.
 */
export async function printEvents(
  events: AsyncIterable<PoolEvent>,
  atEnd?: (event: PoolEvent, childId: string) => Promise<void>,
): Promise<number> {
  const bar = new ProgressBar(process.stderr);
  let childId = "";
  try {
    for await (const event of events) {
      if (event.type === "placed") childId = event.child.id;
      if (event.type === "progress") {
        bar.show(event);
        continue;
      }
      bar.clear();
      const exitCode = await printEvent(event);
      if (exitCode !== undefined) {
        await atEnd?.(event, childId);
        return exitCode;
      }
      const written =
        event.type === "stderr" || (event.type === "stdout" && process.stdout.isTTY)
          ? outputBytes(event).at(-1)
          : undefined;
      bar.restore(written === undefined ? undefined : written === NEWLINE);
    }
  } finally {
    bar.clear();
  }
  const detail = "the stream ended before its terminal event";
  throw PoolError.of("member_lost", detail, { admitted: true });
}
