/** A call's input, sent to its child on a connection of its own while the answer comes. */
import { finished, Readable } from "node:stream";
import { PoolError } from "../../../openapi/errors.ts";
import type { Client } from "./client.ts";

/**
 * The bytes of a stream, read no faster than they are taken; to destroy them leaves the stream as it is.
 *
 * @param broken is told why when they will not be whole: the stream failed, was destroyed, or brings something else than bytes.
 */
export function watchSource(source: Readable, broken: (why: Error) => void): Readable {
  async function* read(): AsyncGenerator<string | Uint8Array, void, undefined> {
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      if (typeof chunk !== "string" && !(chunk instanceof Uint8Array))
        throw breakOff(new Error("expected a stream of bytes or text; got one of objects"));
      yield chunk;
    }
  }
  const bytes = Readable.from(read(), { objectMode: false });
  const breakOff = (why: Error) => {
    broken(why);
    // Also while nobody takes them.
    bytes.on("error", () => {}).destroy(why);
    return why;
  };
  finished(source, { writable: false }, (error) => {
    if (error) breakOff(error);
  });
  return bytes;
}

/**
 * Sends all of a stream to a child whose input takes one body. Resolves when the child has it, or takes no more of it. Destroys the stream.
 *
 * @param url of the child.
 * @param ended whether the child is known to have ended, so that nothing more is to be done for it.
 * @throws {PoolError} what kept the input from the child, which is stopped then.
 */
export async function sendStdin(
  url: Promise<string>,
  input: Readable,
  client: Client,
  ended = () => false,
): Promise<void> {
  try {
    // The child may leave it unread for as long as it lives.
    await client.json(`${await url}/stdin?end=true`, { method: "POST", body: input, timeoutMs: 0 });
  } catch (error) {
    if (error instanceof PoolError && error.code === "stdin_closed") return;
    // What broke off midway has stopped it already; what was never begun has not.
    if (!ended()) await client.json(await url, { method: "DELETE" }).catch(() => {});
    throw error;
  } finally {
    input.destroy();
  }
}
