/** A call's input, which goes to its child on a connection of its own while the answer arrives. */
import { finished, Readable } from "node:stream";
import { PoolError } from "../../../openapi/errors.ts";
import type { Client } from "./client.ts";

/**
 * The bytes of a stream, read no faster than they are taken. Destroying them leaves the source as
 * it is.
 *
 * @param broken called with the reason when the bytes will not be complete: the source failed, was
 *   destroyed, or yields objects instead of bytes.
 */
export function watchSource(source: Readable, broken: (why: Error) => void): Readable {
  async function* read() {
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      if (typeof chunk !== "string" && !(chunk instanceof Uint8Array))
        throw breakOff(new Error("expected a stream of bytes or text; got one of objects"));
      yield chunk;
    }
  }
  const bytes = Readable.from(read(), { objectMode: false });
  const breakOff = (why: Error) => {
    broken(why);
    // The listener keeps this error from being uncaught while nobody reads the bytes.
    bytes.on("error", () => {}).destroy(why);
    return why;
  };
  finished(source, { writable: false }, (error) => {
    if (error) breakOff(error);
  });
  return bytes;
}

/**
 * Sends a whole stream to a child whose input takes one body, and destroys the stream. Resolves
 * when the child has all of it, or takes no more.
 *
 * @param url of the child.
 * @param options `ended` says whether the child is known to have ended; then it need not be
 *   stopped. Default: it is not.
 * @throws {PoolError} the reason why the child lacks input. The child is stopped then.
 */
export async function sendStdin(
  url: Promise<string>,
  input: Readable,
  { client, ended = () => false }: { client: Client; ended?: () => boolean },
): Promise<void> {
  try {
    // No limit: the child may leave its input unread for as long as it lives.
    await client.json(`${await url}/stdin?end=true`, { method: "POST", body: input, timeoutMs: 0 });
  } catch (error) {
    if (error instanceof PoolError && error.code === "stdin_closed") return;
    // A body that broke off has stopped the child already; a body that never began has not.
    if (!ended()) await client.json(await url, { method: "DELETE" }).catch(() => {});
    throw error;
  } finally {
    input.destroy();
  }
}
