/** HTTP to a member: each wait has a limit, and a problem in the answer becomes an error. */
import { Readable } from "node:stream";
import { type Dispatcher, request } from "undici";
import { errorFor, messageOf, PoolError, type Problem } from "../../../openapi/errors.ts";
import { ProblemSchema } from "../../../openapi/schemas/problem.ts";
import { Connections, type TlsIdentity } from "./connections.ts";
import { multipart, type Part } from "./multipart.ts";

/** 10 seconds for the head of an answer to arrive. */
const ANSWER_TIMEOUT_MS = 10_000;
/** 64 KiB: a longer body is no problem of the contract. */
const MAX_PROBLEM_BYTES = 65_536;

const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Errors of a TLS handshake, which ends before any request is sent. */
const HANDSHAKE = new RegExp(
  "^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|" +
    "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED$|ERR_SSL_WRONG_VERSION_NUMBER$)",
);

/** Whether the request certainly never reached the member, because no connection was made. */
export function neverSent(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(neverSent);
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  return NEVER_SENT.has(code) || HANDSHAKE.test(code);
}

/** The error of a request that may have reached the member. */
export function noAnswer(url: string, cause: unknown): PoolError {
  const { origin } = new URL(url);
  return PoolError.of("member_lost", `no answer from ${origin}: ${messageOf(cause)}`, { cause });
}

export interface RequestOptions {
  /** Default `GET`. */
  readonly method?: "GET" | "POST" | "DELETE";
  /** Sent as JSON. A stream is sent as the bytes that it yields. */
  readonly body?: unknown;
  /** Sent beside the body, which is an object then, as multipart/form-data. */
  readonly parts?: readonly Part[] | undefined;
  /** Default `application/json`. */
  readonly accept?:
    | "text/event-stream"
    | "application/json"
    | "application/octet-stream"
    | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the request, and closes its connection. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the head of the answer to arrive; 0 for no limit. Default 10,000. */
  readonly timeoutMs?: number;
}

export type Answer = Dispatcher.ResponseData;

export class Client {
  readonly #connections: Connections;
  readonly #authorization: string | undefined;

  /**
   * @param authorization the header `Authorization` of each request. Default: no such header.
   * @throws {PoolError} `invalid_request` for certificates that make no sense.
   */
  constructor(identity: TlsIdentity | Connections = {}, authorization?: string) {
    this.#connections = identity instanceof Connections ? identity : new Connections(identity);
    this.#authorization = authorization;
  }

  /** A client on the same connections, for a caller with another `Authorization`. */
  as(authorization: string | undefined): Client {
    return new Client(this.#connections, authorization);
  }

  /** Shows other certificates on later connections. */
  identify(identity: TlsIdentity): void {
    this.#connections.identify(identity);
  }

  /**
   * Sends a request. Resolves at the head of the answer; the caller reads the body, or dumps it.
   * Rejects with the transport's own error.
   */
  send(url: string, options: RequestOptions = {}): Promise<Answer> {
    const { method = "GET", body, parts = [], accept = "application/json", headers } = options;
    if (parts.length > 0) return this.#upload(url, options, parts);
    const isStream = body instanceof Readable;
    return request(url, {
      dispatcher: this.#connections.agent,
      method,
      headers: {
        accept,
        authorization: this.#authorization,
        ...(body !== undefined && {
          "content-type": isStream ? "application/octet-stream" : "application/json",
        }),
        ...headers,
      },
      body: isStream || body === undefined ? (body ?? null) : JSON.stringify(body),
      signal: options.signal ?? null,
      headersTimeout: options.timeoutMs ?? ANSWER_TIMEOUT_MS,
      // Raw bytes have no heartbeat, so their silence does not mean a lost stream.
      bodyTimeout: accept === "application/octet-stream" ? 0 : null,
    });
  }

  /** Sends parts, which may be large: the time for the answer starts again with each piece. */
  async #upload(
    url: string,
    { timeoutMs = ANSWER_TIMEOUT_MS, signal, body, headers, ...rest }: RequestOptions,
    parts: readonly Part[],
  ): Promise<Answer> {
    const silence = new AbortController();
    const timer = setTimeout(
      () => silence.abort(new Error(`nothing came for ${timeoutMs} ms`)),
      timeoutMs,
    );
    const form = multipart(body as object, parts, () => timer.refresh());
    try {
      return await this.send(url, {
        ...rest,
        parts: [],
        body: form.body,
        headers: { ...headers, ...form.headers },
        signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
        timeoutMs: 0,
      });
    } finally {
      clearTimeout(timer);
      form.body.destroy();
    }
  }

  /**
   * Sends a request and reads its JSON answer.
   *
   * @throws {PoolError} the problem in the answer; `member_lost` without an answer.
   */
  async json<T>(url: string, options: RequestOptions = {}): Promise<T> {
    try {
      const answer = await this.send(url, options);
      if (answer.statusCode >= 400) throw await this.problem(answer);
      return (await answer.body.json()) as T;
    } catch (error) {
      if (error instanceof PoolError || options.signal?.aborted) throw error;
      throw noAnswer(url, error);
    }
  }

  /** The error that an answer of 400 or more carries. */
  async problem(answer: Answer): Promise<PoolError> {
    let text = "";
    for await (const chunk of answer.body) {
      text += chunk;
      if (text.length > MAX_PROBLEM_BYTES) break;
    }
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      // Another program's answer need not be JSON.
    }
    const parsed = ProblemSchema.safeParse(body);
    if (parsed.success) return errorFor(parsed.data as Problem);
    return PoolError.of(
      "member_lost",
      "expected a problem of distributed-pool; " +
        `got HTTP ${answer.statusCode}: ${text.slice(0, 200)}`,
    );
  }

  /** Closes the connections, and ends the requests that are under way. */
  close(): Promise<void> {
    return this.#connections.agent.destroy();
  }
}
