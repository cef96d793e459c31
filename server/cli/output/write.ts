/** Writes what a command prints. */

/** Writes, and resolves when the stream takes more. */
export function write(stream: NodeJS.WriteStream, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) =>
    stream.write(bytes) ? resolve() : stream.once("drain", resolve),
  );
}

/** Writes a value as one line of JSON to stdout. */
export const writeJson = (value: unknown): Promise<void> =>
  write(process.stdout, `${JSON.stringify(value)}\n`);
