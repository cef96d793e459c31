/** HTTP by Node's own module: connections are kept, watched, and may show certificates. */
import type { ClientRequest, Agent as HttpAgent, IncomingMessage } from "node:http";
import type { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { memberInUrl } from "../../../openapi/names.ts";
import { explained } from "../http/faults.ts";
import { Multipart } from "../http/multipart.ts";
import type { Answer, Body, Transport, TransportRequest } from "../http/transport.ts";
import { afterSilence } from "../time/silence.ts";
import { KEEP_ALIVE_DELAY_MS, watchPeer } from "./dead-peers.ts";
import { httpModule, httpsModule } from "./http-modules.ts";

/** 2 seconds for a member to accept a connection; a slower one counts as away. */
const CONNECT_TIMEOUT_MS = 2_000;
/** 10 seconds, less than a member's own limit: no request goes out on a connection that closes. */
const IDLE_TIMEOUT_MS = 10_000;

/** Certificates for https, each as PEM text or bytes. */
export interface TlsIdentity {
  /** The authorities to trust. Default: the well-known ones. */
  readonly ca?: string | Buffer | undefined;
  /** The client certificate for members that ask for one; together with `key`. Default: none. */
  readonly cert?: string | Buffer | undefined;
  /** The key of the client certificate. */
  readonly key?: string | Buffer | undefined;
}

/** The domain of the names that members' certificates have, unless an option says another one. */
export const MEMBER_DOMAIN = "distributed-pool";

export class NodeTransport implements Transport {
  readonly streamsBodies = true;
  readonly #http: HttpAgent;
  /** Made for the first https URL where no certificates are given. */
  #https: HttpsAgent | undefined;
  /** The requests that are under way. */
  readonly #open = new Set<ClientRequest>();
  readonly #memberDomain: string | undefined;
  #closed = false;

  /**
   * @param memberDomain a certificate has to be for `NAME.DOMAIN`, where NAME is the member that is
   *   asked. Default: it has to be for the host of the URL.
   * @throws {PoolError} `invalid_request` for certificates that make no sense.
   */
  constructor(identity: TlsIdentity = {}, memberDomain?: string) {
    this.#http = new (httpModule().Agent)(KEPT);
    const { ca, cert, key } = identity;
    this.#https = (ca ?? cert ?? key) === undefined ? undefined : secureAgent({ ca, cert, key });
    this.#memberDomain = memberDomain;
  }

  /** Shows other certificates on later connections. @throws as the constructor does. */
  identify(identity: TlsIdentity): void {
    const before = this.#https;
    this.#https = secureAgent(identity);
    // Its idle connections close now, and the busy ones after their requests.
    if (!before) return;
    before.maxFreeSockets = 0;
    for (const socket of Object.values(before.freeSockets).flat()) socket?.destroy();
  }

  async send(url: string, outgoing: TransportRequest): Promise<Answer> {
    if (this.#closed)
      throw PoolError.of("member_lost", "the client is closed", { admitted: "unknown" });
    const { method, headers, signal, timeoutMs, body } = outgoing;
    const secure = url.startsWith("https:");
    const { member = memberInUrl(url) } = outgoing;
    const servername =
      member !== undefined && this.#memberDomain !== undefined
        ? `${member}.${this.#memberDomain}`
        : undefined;
    if (secure) this.#https ??= secureAgent({});
    const { request } = secure ? httpsModule() : httpModule();
    const started = request(url, {
      method,
      agent: secure ? this.#https : this.#http,
      // Node checks the certificate against this name instead of the host.
      ...(servername !== undefined && { servername }),
      headers: body instanceof Multipart ? { ...headers, "content-length": body.bytes } : headers,
    });
    this.#open.add(started);
    const abort = () => started.destroy(asError(signal?.reason));
    signal?.addEventListener("abort", abort);
    const late = () => started.destroy(new Error(`nothing came for ${timeoutMs} ms`));
    let cancel = () => {};
    let isAnswered = false;
    const restart = () => {
      cancel();
      if (timeoutMs > 0 && !isAnswered) cancel = afterSilence(timeoutMs, late);
    };
    restart();
    started.once("close", () => {
      cancel();
      this.#open.delete(started);
      signal?.removeEventListener("abort", abort);
    });
    watchConnection(started);
    const answered = headOf(started);
    // A body that cannot be read ends the request, which rejects with that error.
    void write(started, body, restart).catch((error) => started.destroy(error));
    return answered.finally(() => {
      isAnswered = true;
      cancel();
    });
  }

  close(): void {
    this.#closed = true;
    for (const started of this.#open) started.destroy(new Error("the client is closed"));
    this.#http.destroy();
    this.#https?.destroy();
  }
}

const KEPT = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_DELAY_MS, timeout: IDLE_TIMEOUT_MS };

function secureAgent({ ca, cert, key }: TlsIdentity): HttpsAgent {
  if ((cert === undefined) !== (key === undefined))
    throw PoolError.of("invalid_request", "expected cert and key together; got one of them");
  try {
    process.getBuiltinModule("node:tls").createSecureContext({ ca, cert, key });
    return new (httpsModule().Agent)({ ...KEPT, ca, cert, key });
  } catch (error) {
    throw PoolError.of("invalid_request", `expected ca, cert and key as PEM: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

const asError = (reason: unknown) =>
  reason instanceof Error ? reason : new Error("the caller ended the request");

/** Limits the time of a new connection, the handshake included, and watches its peer. */
function watchConnection(started: ClientRequest): void {
  started.once("socket", (socket: Socket & { readonly encrypted?: boolean }) => {
    if (!socket.connecting) return;
    const late = () => {
      const message = `no connection was made in ${CONNECT_TIMEOUT_MS} ms`;
      socket.destroy(Object.assign(new Error(message), { code: "ERR_CONNECT_TIMEOUT" }));
    };
    const cancel = afterSilence(CONNECT_TIMEOUT_MS, late);
    socket.once("close", cancel);
    socket.once(socket.encrypted ? "secureConnect" : "connect", () => {
      cancel();
      socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
      watchPeer(socket);
    });
  });
}

/** The head of the answer. Rejects with what ended the request before. */
function headOf(started: ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // It stays on, because a connection may also break behind the head.
    started.on("error", (error) => reject(explained(error)));
    started.once("response", (message) => resolve(answerOf(started, message)));
    // Node ends the connection without an error when the answer changes the protocol (101).
    started.once("close", () => reject(new Error("the connection was closed without an answer")));
  });
}

function answerOf(started: ClientRequest, message: IncomingMessage): Answer {
  const { headers, statusCode = 0 } = message;
  // Without a listener it would end the process.
  message.on("error", () => {});
  // The error of the connection says more than that the answer was cut.
  started.on("error", (error) => {
    if (!message.complete) message.destroy(error);
  });
  // A connection is free again when its answer has been read. These answers have nothing to read.
  if (statusCode === 204 || statusCode === 304) message.resume();
  // The rest of a body is of no use behind the whole answer.
  message.once("end", () => {
    if (!started.writableFinished) started.destroy();
  });
  return {
    status: statusCode,
    headers: { get: (name) => headers[name]?.toString() ?? null },
    body: message,
    get trailers() {
      return message.trailers;
    },
    cancel: (reason) => void message.destroy(reason),
  };
}

/** Writes a body, no faster than it is taken. `onPiece` is called for each piece. */
async function write(started: ClientRequest, body: Body | undefined, onPiece: () => void) {
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array)
    return void started.end(body);
  started.flushHeaders();
  for await (const piece of body instanceof Multipart ? body.read() : body) {
    onPiece();
    if (started.destroyed) return;
    if (started.write(piece)) continue;
    await new Promise<void>((resolve) => {
      const go = () => {
        started.off("drain", go).off("close", go);
        resolve();
      };
      started.on("drain", go).on("close", go);
    });
  }
  started.end();
}
