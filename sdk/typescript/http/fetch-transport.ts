/** HTTP by fetch: in browsers, Node, Bun and Deno alike. */
import { PoolError } from "../../../openapi/errors.ts";
import { explained } from "./faults.ts";
import { Multipart } from "./multipart.ts";
import type { Answer, Transport, TransportRequest } from "./transport.ts";

/** The part of fetch that is used, for a caller's own one. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** 64 KiB a second: fetch does not tell how far an upload is, so the limit grows with its size. */
const UPLOAD_BYTES_PER_MS = 65.536;

export class FetchTransport implements Transport {
  readonly streamsBodies = false;
  readonly #fetch: Fetch;
  /** The requests that are under way. */
  readonly #open = new Set<AbortController>();
  #closed = false;

  /** @param fetch default: that of the platform, as it is at each request. */
  constructor(fetch: Fetch = (url, init) => globalThis.fetch(url, init)) {
    this.#fetch = fetch;
  }

  async send(
    url: string,
    { body, signal, timeoutMs, method, headers }: TransportRequest,
  ): Promise<Answer> {
    if (this.#closed)
      throw PoolError.of("member_lost", "the client is closed", { admitted: "unknown" });
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", abort);
    this.#open.add(controller);
    const over = () => {
      signal?.removeEventListener("abort", abort);
      this.#open.delete(controller);
    };
    const limitMs =
      body instanceof Multipart ? timeoutMs + body.bytes / UPLOAD_BYTES_PER_MS : timeoutMs;
    const late = () => controller.abort(new Error(`no answer came in ${Math.ceil(limitMs)} ms`));
    const timer = timeoutMs > 0 ? setTimeout(late, limitMs) : undefined;
    const fetch = this.#fetch;
    try {
      const response = await fetch(url, {
        method,
        headers,
        body:
          body instanceof Multipart
            ? body.blob()
            : ((body ?? null) as string | Uint8Array<ArrayBuffer> | null),
        signal: controller.signal,
        redirect: "manual",
        cache: "no-store",
      });
      return answerOf(response, controller, over);
    } catch (error) {
      over();
      throw controller.signal.aborted ? controller.signal.reason : explained(error);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#closed = true;
    for (const controller of this.#open) controller.abort(new Error("the client is closed"));
  }
}

function answerOf(response: Response, controller: AbortController, over: () => void): Answer {
  const { status, headers, body } = response;
  if (!body) over();
  return {
    status,
    headers,
    trailers: {},
    body: body ? piecesOf(response, { signal: controller.signal, over }) : none(),
    cancel(reason) {
      over();
      controller.abort(reason ?? new Error("the answer is not read"));
    },
  };
}

async function* none(): AsyncGenerator<Uint8Array, void, undefined> {}

/**
 * Not every browser can iterate over a stream. Node's fetch ends a body that nobody has begun to
 * read once its response is collected as garbage, so the response is kept until then.
 */
async function* piecesOf(
  response: Response,
  { signal, over }: { readonly signal: AbortSignal; readonly over: () => void },
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : explained(error);
  } finally {
    over();
    // A stream that has failed rejects this too.
    reader.cancel().catch(() => {});
  }
}
