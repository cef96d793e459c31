/** A call's input, which goes to its child on a connection of its own while the answer arrives. */
import { PoolError } from "../../../openapi/errors.ts";
import type { Client, RequestOptions } from "./client.ts";

/** 256 KiB in one request, where a body cannot be a stream. */
const PIECE_BYTES = 262_144;

/** Bytes that can be read once, and ended. */
export interface Input extends AsyncIterable<Uint8Array> {
  destroy(): unknown;
}

/**
 * Writes bytes to a child's input. The child takes them in order, and no faster than it reads.
 *
 * @param url of the child's input.
 * @param options `end` closes the input behind them.
 * @returns the number of bytes that the child's pipe has taken.
 * @throws {PoolError} `stdin_closed` when the child takes no more.
 */
export async function writeStdin(
  client: Client,
  url: string,
  {
    bytes,
    end,
    signal,
  }: {
    readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
    readonly end: boolean;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<number> {
  const post = async (body: RequestOptions["body"], query: boolean) => {
    // No limit: the child may leave its input unread for as long as it lives.
    const request = { method: "POST", body, signal, timeoutMs: 0, key: "bytes" } as const;
    return (await client.json<{ bytes: number }>(`${url}?end=${query}`, request)).bytes;
  };
  if (bytes instanceof Uint8Array || client.streamsBodies) return post(bytes, end);
  let written = 0;
  for await (const piece of bytes) {
    for (let from = 0; from < piece.length; from += PIECE_BYTES)
      written += await post(piece.subarray(from, from + PIECE_BYTES), false);
  }
  return end ? written + (await post(new Uint8Array(), true)) : written;
}

/**
 * Sends a whole stream to a child whose input takes one stream, and destroys the stream. Resolves
 * when the child has all of it, or takes no more.
 *
 * @param url of the child.
 * @param options `ended` says whether the child is known to have ended; then it need not be
 *   stopped. Default: it is not. `signal` ends the sending.
 * @throws {PoolError} the reason why the child lacks input. The child is stopped then.
 */
export async function sendStdin(
  url: Promise<string>,
  input: Input,
  {
    client,
    ended = () => false,
    signal,
  }: { client: Client; ended?: () => boolean; signal?: AbortSignal },
): Promise<void> {
  try {
    await writeStdin(client, `${await url}/stdin`, { bytes: input, end: true, signal });
  } catch (error) {
    if (error instanceof PoolError && error.code === "stdin_closed") return;
    // A body that broke off has stopped the child already; a body that never began has not.
    if (!ended()) await client.json(await url, { method: "DELETE" }).catch(() => {});
    throw error;
  } finally {
    input.destroy();
  }
}
