/** HTTP to a member: connections kept open, every wait with a deadline, problems turned into errors. */
import { Readable } from "node:stream";
import { createSecureContext } from "node:tls";
import { Agent, buildConnector, type Dispatcher, request } from "undici";
import {
  errorFor,
  messageOf,
  PoolError,
  type Problem,
  ProblemSchema,
} from "../../../openapi/errors.ts";
import { HEARTBEAT_MS } from "../../../openapi/events.ts";
import { KEEP_ALIVE_DELAY_MS, watchPeer } from "./dead-peers.ts";
import { multipart, type Part } from "./multipart.ts";

/** A member that does not take the connection in this time is not there. */
const CONNECT_TIMEOUT_MS = 2_000;
/** A silent stream is a lost one after this long: the heartbeat, and half of it again. */
const SILENCE_TIMEOUT_MS = HEARTBEAT_MS * 1.5;
/** A problem longer than this is not one of ours. */
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

/** Certificates that do not match end the handshake, before any request. */
const HANDSHAKE =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED$|ERR_SSL_WRONG_VERSION_NUMBER$)/;

/** Whether the request certainly never reached the member, because there was no connection to send it on. */
export function neverSent(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(neverSent);
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  return NEVER_SENT.has(code) || HANDSHAKE.test(code);
}

export interface RequestOptions {
  readonly method?: "GET" | "POST" | "DELETE";
  /** Sent as JSON; a string is taken to be JSON already. A stream is sent as the bytes it brings. */
  readonly body?: unknown;
  /** Sent beside the body, an object, as multipart/form-data. */
  readonly parts?: readonly Part[] | undefined;
  readonly accept?: "text/event-stream" | "application/json" | "application/octet-stream";
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the head of the answer must be there; 0 for no limit. Default 10,000. */
  readonly timeoutMs?: number;
}

export type Answer = Dispatcher.ResponseData;

/** Certificates for https, each as PEM text or bytes. */
export interface TlsIdentity {
  /** Trusted instead of the well-known authorities. */
  readonly ca?: string | Buffer | undefined;
  /** Shown to members that ask for a client certificate; with `key`. */
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
}

/** A connector for new connections. @throws {PoolError} `invalid_request` for certificates that make no sense. */
function connectorFor({ ca, cert, key }: TlsIdentity): buildConnector.connector {
  if ((cert === undefined) !== (key === undefined))
    throw PoolError.of("invalid_request", "expected cert and key together; got one of them");
  try {
    const tls = { ...(ca ? { ca } : {}), ...(cert && key ? { cert, key } : {}) };
    createSecureContext(tls);
    return buildConnector({
      timeout: CONNECT_TIMEOUT_MS,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      ...tls,
    });
  } catch (error) {
    if (error instanceof PoolError) throw error;
    throw PoolError.of("invalid_request", `expected ca, cert and key as PEM: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Connections to members. */
class Connections {
  readonly agent: Agent;
  #connect: buildConnector.connector;

  constructor(identity: TlsIdentity) {
    this.#connect = connectorFor(identity);
    this.agent = new Agent({
      connect: (options, callback) =>
        this.#connect(options, (...made) => {
          if (made[1]) watchPeer(made[1]);
          callback(...made);
        }),
      // Shorter than a member keeps an idle connection, so that a request is never sent on one that is being closed.
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 10_000,
      bodyTimeout: SILENCE_TIMEOUT_MS,
    });
  }

  identify(identity: TlsIdentity): void {
    this.#connect = connectorFor(identity);
  }
}

export class Client {
  readonly #connections: Connections;
  readonly #authorization: string | undefined;

  /**
   * @param authorization what each request shows as `Authorization`; nothing by default.
   * @throws {PoolError} `invalid_request` for certificates that make no sense.
   */
  constructor(identity: TlsIdentity | Connections = {}, authorization?: string | undefined) {
    this.#connections = identity instanceof Connections ? identity : new Connections(identity);
    this.#authorization = authorization;
  }

  /** The same connections, for a caller who shows something else. */
  as(authorization: string | undefined): Client {
    return new Client(this.#connections, authorization);
  }

  /** Shows other certificates on connections made from now on. */
  identify(identity: TlsIdentity): void {
    this.#connections.identify(identity);
  }

  /** Sends a request and answers with the head; the body is the caller's to read or to `dump()`. Rejects with the transport's own error. */
  send(url: string, options: RequestOptions = {}): Promise<Answer> {
    const {
      method = "GET",
      body,
      parts = [],
      accept = "application/json",
      headers,
      signal,
      timeoutMs = 10_000,
    } = options;
    if (parts.length > 0) return this.#upload(url, options, parts);
    return request(url, {
      dispatcher: this.#connections.agent,
      method,
      headers: {
        accept,
        ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }),
        ...(body === undefined
          ? {}
          : {
              "content-type":
                body instanceof Readable ? "application/octet-stream" : "application/json",
            }),
        ...headers,
      },
      body:
        body === undefined || typeof body === "string" || body instanceof Readable
          ? (body ?? null)
          : JSON.stringify(body),
      signal: signal ?? null,
      headersTimeout: timeoutMs,
      // Raw bytes have no heartbeat: their silence says nothing.
      ...(accept === "application/octet-stream" ? { bodyTimeout: 0 } : {}),
    });
  }

  /** The time for the answer begins anew with each piece of the parts: they may be large. */
  async #upload(
    url: string,
    { timeoutMs = 10_000, signal, body, headers, ...rest }: RequestOptions,
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
   * @throws {PoolError} the problem that came back; `member_lost` when nothing did.
   */
  async json<T>(url: string, options: RequestOptions = {}): Promise<T> {
    try {
      const answer = await this.send(url, options);
      if (answer.statusCode >= 400) throw await this.problem(answer);
      return (await answer.body.json()) as T;
    } catch (error) {
      if (error instanceof PoolError || options.signal?.aborted) throw error;
      throw PoolError.of(
        "member_lost",
        `no answer from ${new URL(url).origin}: ${messageOf(error)}`,
        { cause: error },
      );
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
      body = undefined;
    }
    const parsed = ProblemSchema.safeParse(body);
    if (parsed.success) return errorFor(parsed.data as Problem);
    return PoolError.of(
      "member_lost",
      `expected a problem of distributed-pool; got HTTP ${answer.statusCode}: ${text.slice(0, 200)}`,
    );
  }

  /** Closes the connections; requests under way are ended. */
  close(): Promise<void> {
    return this.#connections.agent.destroy();
  }
}
