/** The listening socket: HTTP or HTTPS, what a request may take in time and header bytes, and the answer to what is no request. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  STATUS_CODES,
} from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { getRequestListener, type HttpBindings, RequestError } from "@hono/node-server";
import { ERRORS, type ErrorCode, problem } from "../../openapi/errors.ts";
import { KEEP_ALIVE_DELAY_MS, watchPeer } from "../../sdk/typescript/http/dead-peers.ts";
import { isStreamed, timeStreamed } from "./body-timeout.ts";
import { Http2Listener } from "./http2.ts";
import type { TlsFiles } from "./tls.ts";

export interface ListenerOptions {
  /** Answers a request. */
  fetch(request: Request, env: HttpBindings): Response | Promise<Response>;
  /** Serve https with these. */
  readonly tls?: TlsFiles | undefined;
  /**
   * Milliseconds for a request's body to arrive after its head; of a body that is streamed, for the next part of it. The head must be there
   * in {@link HEAD_TIMEOUT_MS}, or this if less.
   */
  readonly requestTimeoutMs: number;
  logError(message: string): void;
}

const HEAD_TIMEOUT_MS = 10_000;
const MAX_HEAD_BYTES = 16 * 1024;
/** Longer than any client of ours keeps an idle connection, so that the client is the one to close it. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** How often connections are looked at for those that take too long. */
const CHECK_INTERVAL_MS = 1_000;

export interface Listener {
  readonly server: Server;
  /** Changes how long requests may take; over HTTP/1.1 those under way too. */
  limitRequests(requestTimeoutMs: number): void;
  /** Closes connections that have no request; those of HTTP/2 as soon as they have none. */
  closeIdle(): void;
  closeAll(): void;
}

export function createListener({
  fetch,
  tls,
  requestTimeoutMs,
  logError,
}: ListenerOptions): Listener {
  const options = {
    maxHeaderSize: MAX_HEAD_BYTES,
    ...timeouts(requestTimeoutMs),
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, requestTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    // A request without Host is refused by the door, with a problem.
    requireHostHeader: false,
  };
  const answer = (more: { autoCleanupIncoming?: boolean } = {}) =>
    getRequestListener((request, env) => fetch(request, env as HttpBindings), {
      hostname: "missing.invalid",
      errorHandler: (error) => {
        const isTheirs = error instanceof RequestError;
        if (!isTheirs) logError(error instanceof Error ? `${error.stack}` : String(error));
        const given = isTheirs
          ? problem("invalid_request", "expected a request target and a Host that make a URL")
          : problem("internal_error", "an unexpected error; the member's log has it");
        return new Response(JSON.stringify(given), {
          status: given.status,
          headers: { "content-type": "application/problem+json" },
        });
      },
      ...more,
    });
  const server = tls ? secureServer(options, tls, answer()) : createServer(options, answer());
  const streaming = new WeakSet<Socket>();
  server.on("request", (incoming: IncomingMessage) => {
    if (!isStreamed(incoming)) return;
    const { socket } = incoming;
    streaming.add(socket);
    timeStreamed(incoming, server.requestTimeout, {
      late: () => refuse("ERR_HTTP_REQUEST_TIMEOUT", socket),
      over: () => void streaming.delete(socket),
    });
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // The time for a whole request is not for those.
    if (error.code !== "ERR_HTTP_REQUEST_TIMEOUT" || !streaming.has(socket as Socket))
      refuse(error.code ?? "", socket as Socket);
  });
  const http2 = new Http2Listener({
    // Its clean-up would end answers that are sent while the body is still coming.
    listener: answer({ autoCleanupIncoming: false }),
    maxHeadBytes: MAX_HEAD_BYTES,
    headTimeoutMs: () => server.headersTimeout,
    requestTimeoutMs: () => server.requestTimeout,
    keepAliveTimeoutMs: KEEP_ALIVE_TIMEOUT_MS,
  });
  if (tls) divide(server as SecureServer, http2);
  server.on(tls ? "secureConnection" : "connection", watchPeer);
  return {
    server,
    limitRequests: (changedMs) => void Object.assign(server, timeouts(changedMs)),
    closeIdle: () => {
      server.closeIdleConnections();
      http2.close();
    },
    closeAll: () => {
      server.closeAllConnections();
      http2.destroy();
    },
  };
}

/** Gives connections whose client chose HTTP/2 in the handshake to the one, and leaves all others where they were. */
function divide(server: SecureServer, http2: Http2Listener): void {
  const others = server.listeners("secureConnection");
  server.removeAllListeners("secureConnection");
  server.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol === "h2") http2.serve(socket);
    else for (const serve of others) serve.call(server, socket);
  });
}

function timeouts(requestTimeoutMs: number): { headersTimeout: number; requestTimeout: number } {
  return {
    headersTimeout: Math.min(HEAD_TIMEOUT_MS, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
  };
}

function secureServer(
  options: ServerOptions,
  tls: TlsFiles,
  listener: RequestListener,
): SecureServer {
  const minVersion = "TLSv1.2";
  const ALPNProtocols = ["h2", "http/1.1"];
  const server = createSecureServer(
    { ...options, ...tls.server, minVersion, ALPNProtocols, handshakeTimeout: HEAD_TIMEOUT_MS },
    listener,
  );
  tls.onChange((changed) => server.setSecureContext({ ...changed.server, minVersion }));
  return server;
}

/** What is said to a client whose bytes were no request; undefined for those with whom there is no talking. */
function refusalOf(code: string): [ErrorCode, string] | undefined {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return ["request_timeout", "expected the whole request sooner"];
  if (code === "HPE_HEADER_OVERFLOW")
    return ["payload_too_large", `expected at most ${MAX_HEAD_BYTES} bytes of headers`];
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW")
    return ["payload_too_large", "expected shorter chunk extensions"];
  if (code.startsWith("HPE_")) return ["invalid_request", "expected an HTTP/1.1 request"];
  return undefined;
}

function refuse(
  errorCode: string,
  socket: Socket & { _httpMessage?: { headersSent: boolean } | null },
): void {
  const refusal = refusalOf(errorCode);
  // An answer under way can only be cut.
  if (!refusal || !socket.writable || socket._httpMessage?.headersSent) {
    socket.destroy();
    return;
  }
  const [code, detail] = refusal;
  const { status } = ERRORS[code];
  const body = JSON.stringify(problem(code, detail));
  // Not by `destroySoon`, which may wait for the rest of the body.
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
