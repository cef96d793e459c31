/** Prints the events of a child: its output as it is, its value as JSON, its failure on stderr. */
import { PoolError } from "../../../openapi/errors.ts";
import { outputBytes, type PoolEvent } from "../../../sdk/typescript/node.ts";
import { ProgressBar } from "../terminal/progress-bar.ts";
import { exitCodeOfProblem, problemText } from "./problem-text.ts";
import { jsonValue, valueText } from "./value-text.ts";
import { write, writeJson } from "./write.ts";

const NEWLINE = 10;

/** Prints an event as a line of JSON. Resolves with the exit code of a child that has ended. */
export async function printEventJson(event: PoolEvent): Promise<number | undefined> {
  await writeJson("value" in event ? { ...event, value: jsonValue(event.value) } : event);
  return exitCodeOf(event);
}

/** The exit code for the end of a child; undefined for another event. */
function exitCodeOf(event: PoolEvent): number | undefined {
  if (event.type === "result") return event.exitCode ?? 0;
  if (event.type !== "failed") return undefined;
  return exitCodeOfProblem({ ...event.problem, exitCode: event.exitCode });
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
      break;
    case "failed":
      await write(process.stderr, problemText({ ...event.problem, exitCode: event.exitCode }));
  }
  return exitCodeOf(event);
}

interface PrintOptions {
  /** Whether each event is a line of JSON. Default false. */
  readonly json?: boolean;
  /** Receives the terminal event and the child's id. */
  atEnd?(event: PoolEvent, childId: string): Promise<void>;
}

/**
 * Prints all events of a child. On a terminal, a bar shows its progress.
 *
 * @returns the exit code of the child.
 */
export async function printEvents(
  events: AsyncIterable<PoolEvent>,
  { json = false, atEnd }: PrintOptions = {},
): Promise<number> {
  const bar = new ProgressBar(process.stderr);
  const print = json ? printEventJson : printEvent;
  let childId = "";
  try {
    for await (const event of events) {
      if (event.type === "placed") childId = event.child.id;
      if (event.type === "progress" && !json) {
        bar.show(event);
        continue;
      }
      bar.clear();
      const exitCode = await print(event);
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
