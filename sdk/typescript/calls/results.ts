/** The results of calls: how a child ended, and the output that it wrote. */
import { PoolError } from "../../../openapi/errors.ts";
import type { Progress } from "../../../openapi/events.ts";
import type { ChildReference } from "../../../openapi/types.gen.ts";
import { type Child, type Ending, endingOf } from "../child.ts";
import { copyOutput, KeptOutput, MAX_OUTPUT_BYTES, type OutputStreams } from "../http/output.ts";
import { type NumberedEvent, requireWhole } from "../http/read-events.ts";
import { wholeNumber } from "./retry.ts";

/** The output of a child as text. Bytes that are not UTF-8 become U+FFFD. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  /** True when the child wrote more than `maxOutputBytes` to one of the two. */
  readonly truncated: boolean;
}

/** How a command ended, with its output. */
export type CommandRun<Stream = ReadableStream<Uint8Array>> = Ending<Stream> &
  Output & { readonly exitCode: number };

/** How a function ended, with its value and its output. */
export type FunctionRun<R, Stream = ReadableStream<Uint8Array>> = Omit<
  Ending<Stream>,
  "exitCode" | "value"
> &
  Output & { readonly value: R };

interface Reading<Stream> {
  readonly maxOutputBytes?: number | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** The handle on the child of this id. */
  childOf(id: string): Child<Stream>;
}

/**
 * Reads the events of a call to their end, and collects the output.
 *
 * @throws {PoolError} the problem of a `failed` event; `events_expired` when output was lost.
 */
export async function collected<Stream>(
  events: AsyncIterable<NumberedEvent>,
  { maxOutputBytes = MAX_OUTPUT_BYTES, onProgress, childOf }: Reading<Stream>,
): Promise<Ending<Stream> & Output> {
  wholeNumber("maxOutputBytes", maxOutputBytes, 0);
  const stdout = new KeptOutput(maxOutputBytes);
  const stderr = new KeptOutput(maxOutputBytes);
  const output = (): Output => ({
    stdout: stdout.text,
    stderr: stderr.text,
    truncated: stdout.truncated || stderr.truncated,
  });
  try {
    const ending = await copied(events, { stdout, stderr, onProgress, childOf });
    return { ...ending, ...output() };
  } catch (error) {
    if (error instanceof PoolError && error.problem.child) Object.assign(error.problem, output());
    throw error;
  }
}

interface Copying<Stream> extends Required<Pick<OutputStreams, "stdout" | "stderr">> {
  readonly onProgress: OutputStreams["onProgress"];
  /** The handle on the child of this id. */
  childOf(id: string): Child<Stream>;
}

/**
 * Reads the events of a call to their end, and copies the output.
 *
 * @throws {PoolError} the problem of a `failed` event; `events_expired` when output was lost that
 *   someone reads.
 */
export async function copied<Stream>(
  events: AsyncIterable<NumberedEvent>,
  { childOf, ...output }: Copying<Stream>,
): Promise<Ending<Stream>> {
  const isRead = output.stdout !== null || output.stderr !== null;
  let child: ChildReference | undefined;
  const watched = async function* () {
    for await (const event of isRead ? requireWhole(events) : events) {
      if (event.type === "placed") child = event.child;
      yield event;
    }
  };
  try {
    return endingOf(await copyOutput(watched(), output), childOf(child?.id ?? ""));
  } catch (error) {
    if (child && error instanceof PoolError) Object.assign(error.problem, { child });
    throw error;
  }
}
