/** HTTP to a member: each wait has a limit, and a problem in the answer becomes an error. */
import { errorFor, messageOf, PoolError } from "../../../openapi/errors.ts";
import { HEARTBEAT_MS } from "../../../openapi/events.ts";
import { afterSilence } from "../time/silence.ts";
import { isProblem, redirected } from "./faults.ts";
import { Multipart, type Part } from "./multipart.ts";
import { jsonBody } from "./raw-json.ts";
import type { Answer, Body, Lines, Transport, TransportRequest } from "./transport.ts";

export type { Answer, Lines } from "./transport.ts";

/** 10 seconds for the head of an answer to arrive. */
const ANSWER_TIMEOUT_MS = 10_000;
/** A body that is silent for a heartbeat and a half (15 seconds) is lost. */
const SILENCE_TIMEOUT_MS = HEARTBEAT_MS * 1.5;
/** 64 KiB: a longer body is no problem of the contract. */
const MAX_PROBLEM_CHARS = 65_536;
/** 128 Mi characters: more than the largest page of a listing. */
const MAX_JSON_CHARS = 134_217_728;

/** The error of a request that may have reached the member. */
export function noAnswer(url: string, cause: unknown): PoolError {
  const detail = `no answer from ${new URL(url).origin}: ${messageOf(cause)}`;
  return PoolError.of("member_lost", detail, { admitted: "unknown", cause });
}

type Accepted = "text/event-stream" | "application/json" | "application/octet-stream";

export interface RequestOptions {
  /** Default `GET`. */
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  /** An object is sent as JSON; bytes, or a stream of them, as they are. */
  readonly body?: object | undefined;
  /** Sent beside the body, which is an object then, as multipart/form-data. */
  readonly parts?: readonly Part[] | undefined;
  /** Default `application/json`. */
  readonly accept?: Accepted | undefined;
  /** The lines of an answer that is a stream of events. Default `long`. */
  readonly lines?: Lines | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** A key that the JSON answer has. Default: any JSON will do. */
  readonly key?: string | undefined;
  /** As in {@link TransportRequest}. */
  readonly member?: string | undefined;
  /** Ends the request, and closes its connection. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the head of the answer to arrive; 0 for no limit. Default 10,000. */
  readonly timeoutMs?: number;
}

export class Client {
  readonly #transport: Transport;
  readonly #authorization: string | undefined;

  /** @param authorization the header `Authorization` of each request. Default: no such header. */
  constructor(transport: Transport, authorization?: string) {
    this.#transport = transport;
    this.#authorization = authorization;
  }

  /** Whether a body may be a stream. */
  get streamsBodies(): boolean {
    return this.#transport.streamsBodies;
  }

  /** Whether requests carry a token. */
  get hasToken(): boolean {
    return this.#authorization !== undefined;
  }

  /** A client on the same connections, for a caller with another `Authorization`. */
  as(authorization: string | undefined): Client {
    return new Client(this.#transport, authorization);
  }

  /**
   * Sends a request. Resolves at the head of the answer; the caller reads the body, or cancels it.
   *
   * @throws the reason of the signal; the transport's own error.
   * @throws {PoolError} `invalid_request` for a redirect, which is not followed; `member_lost` for
   *   an answer of another type than `accept`.
   */
  async send(url: string, options: RequestOptions = {}): Promise<Answer> {
    const { method = "GET", accept = "application/json", lines = "long", signal } = options;
    signal?.throwIfAborted();
    const { body, headers } = encoded(options);
    const answer = await this.#transport
      .send(url, {
        method,
        headers: {
          accept: accept === "text/event-stream" ? `${accept};lines=${lines}` : accept,
          ...(this.#authorization !== undefined && { authorization: this.#authorization }),
          ...headers,
          ...options.headers,
        },
        body,
        member: options.member,
        signal,
        timeoutMs: options.timeoutMs ?? ANSWER_TIMEOUT_MS,
      })
      .catch((error: unknown) => {
        throw signal?.aborted ? signal.reason : error;
      });
    if (answer.status === 0 || (answer.status >= 300 && answer.status < 400))
      throw redirected(url, answer);
    const type = answer.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
    const isTyped = answer.status < 300 && answer.status !== 204 && !isRaw(accept);
    if (isTyped && type !== accept) throw foreign(answer, accept);
    // Raw bytes have no heartbeat, so their silence does not mean a lost stream. A problem does not
    // wait for anything.
    const silenceMs = isRaw(accept) && answer.status < 300 ? 0 : SILENCE_TIMEOUT_MS;
    return {
      status: answer.status,
      headers: answer.headers,
      body: heard(answer, silenceMs, signal),
      get trailers() {
        return answer.trailers;
      },
      cancel: (reason) => answer.cancel(reason),
    };
  }

  /**
   * Sends a request and reads its JSON answer.
   *
   * @throws {PoolError} the problem in the answer; `member_lost` without an answer.
   */
  async json<T>(url: string, options: RequestOptions = {}): Promise<T> {
    try {
      const answer = await this.send(url, options);
      if (answer.status >= 400) throw await this.problem(answer);
      return await jsonOf<T>(answer, options.key);
    } catch (error) {
      if (error instanceof PoolError || options.signal?.aborted) throw error;
      throw noAnswer(url, error);
    }
  }

  /** The error that an answer of 400 or more carries. */
  async problem(answer: Answer): Promise<PoolError> {
    const { headers } = answer;
    const text = await textOf(answer, MAX_PROBLEM_CHARS);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      // Another program's answer need not be JSON.
    }
    if (isProblem(body)) return errorFor(body, { retryAfter: pauseOf(headers.get("retry-after")) });
    return PoolError.of(
      "member_lost",
      `expected a problem of distributed-pool; got ${formOf(answer)}: ${text.slice(0, 200)}`,
      { admitted: "unknown" },
    );
  }

  /** Closes the connections, and ends the requests that are under way. */
  close(): void {
    this.#transport.close();
  }
}

const isRaw = (accept: string) => accept === "application/octet-stream";
const formOf = ({ status, headers }: Answer) =>
  `HTTP ${status} with ${headers.get("content-type") ?? "no content type"}`;

/** The error of an answer of another type, such as the page of a proxy. */
function foreign(answer: Answer, accept: string): PoolError {
  answer.cancel();
  const detail = `expected ${accept} of a member; got ${formOf(answer)}`;
  return PoolError.of("member_lost", detail, { admitted: "unknown" });
}

/** The JSON in an answer. @throws {SyntaxError} for too long a text, or JSON without the key. */
export async function jsonOf<T>(answer: Answer, key?: string): Promise<T> {
  const text = await textOf(answer, MAX_JSON_CHARS);
  const value: unknown = JSON.parse(text);
  if (key !== undefined && !Object.hasOwn(Object(value), key))
    throw new SyntaxError(`expected JSON with ${key}; got ${text.slice(0, 200)}`);
  return value as T;
}

/** The text of an answer, cut soon after `maxChars`. */
async function textOf({ body }: Answer, maxChars: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxChars) break;
  }
  return text;
}

function encoded({ body, parts = [] }: RequestOptions): {
  readonly body: Body | undefined;
  readonly headers?: Readonly<Record<string, string>>;
} {
  if (body === undefined) return { body };
  if (parts.length > 0) {
    const form = new Multipart(body, parts);
    return { body: form, headers: form.headers };
  }
  if (body instanceof Uint8Array || Symbol.asyncIterator in body)
    return { body: body as Body, headers: { "content-type": "application/octet-stream" } };
  const { json, length } = jsonBody(body);
  const headers = { "content-type": "application/json", ...length };
  return { body: json, headers };
}

/**
 * The bytes of an answer, which is lost after `silenceMs` without one; 0 for no limit.
 *
 * @throws the reason of the signal; the transport's own error.
 */
async function* heard(
  answer: Answer,
  silenceMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const silent = () => answer.cancel(new Error(`nothing came for ${silenceMs} ms`));
  let cancel = () => {};
  const listen = () => {
    if (silenceMs > 0) cancel = afterSilence(silenceMs, silent);
  };
  try {
    listen();
    for await (const piece of answer.body) {
      cancel();
      yield piece;
      listen();
    }
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    cancel();
  }
}

/** Milliseconds from a `Retry-After` header: seconds, or a date. */
function pauseOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
