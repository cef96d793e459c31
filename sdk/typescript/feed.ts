/** A call's input, sent to its child on a connection of its own while the answer comes. */
import { finished, Readable } from "node:stream";
import type { Client } from "./client.ts";
import { PoolError } from "./errors.ts";

/**
 * The bytes of a stream, read no faster than they are taken; to destroy them leaves the stream as it is.
 *
 * @param broken is told why when they will not be whole: the stream failed, was destroyed, or brings something else than bytes.
 */
export function watched(source: Readable, broken: (why: Error) => void): Readable {
  finished(source, { writable: false }, (error) => {
    if (error) broken(error);
  });
  async function* read(): AsyncGenerator<string | Uint8Array, void, undefined> {
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      if (typeof chunk !== "string" && !(chunk instanceof Uint8Array)) {
        const why = new Error("expected a stream of bytes or text; got one of objects");
        broken(why);
        throw why;
      }
      yield chunk;
    }
  }
  return Readable.from(read(), { objectMode: false });
}

/**
 * Sends all of a stream to a child whose input takes one body. Resolves when the child has it, or takes no more of it. A stream that breaks
 * off breaks the sending off, which stops the child. Destroys the stream.
 *
 * @param url of the child.
 * @throws {PoolError} what kept the input from the child, which does not go on then.
 */
export async function feed(url: Promise<string>, input: Readable, client: Client): Promise<void> {
  try {
    // The child may leave it unread for as long as it lives.
    await client.json(`${await url}/stdin?end=true`, { method: "POST", body: input, timeoutMs: 0 });
  } catch (error) {
    if (error instanceof PoolError && error.code === "stdin_closed") return;
    // Nobody else would send it. What was broken off has stopped the child already, or finds nobody there.
    if (error instanceof PoolError && error.code !== "member_lost") await client.json(await url, { method: "DELETE" }).catch(() => {});
    throw error;
  } finally {
    input.destroy();
  }
}
