/** The listening socket: HTTP or HTTPS, the bounds of a request, and the refusal of bad bytes. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { getRequestListener, type HttpBindings, RequestError } from "@hono/node-server";
import { type Problem, problem } from "../../openapi/errors.ts";
import { KEEP_ALIVE_DELAY_MS, watchPeer } from "../../sdk/typescript/node/dead-peers.ts";
import { isStreamed, timeStreamed } from "./body-timeout.ts";
import { Connections } from "./connections/connections.ts";
import { perMinute } from "./connections/per-minute.ts";
import { Http2Listener } from "./http2.ts";
import { internalError, problemAnswer } from "./problems.ts";
import type { TlsFiles } from "./tls.ts";

export interface ListenerOptions {
  /** Answers a request. */
  fetch(request: Request, env: HttpBindings): Response | Promise<Response>;
  /** The certificates of HTTPS. Default: HTTP. */
  readonly tls?: TlsFiles | undefined;
  /**
   * Milliseconds from a request's head to the end of its body, or to the next part of a body that
   * is streamed. The head has {@link HEAD_TIMEOUT_MS}, or this if it is less.
   */
  readonly requestTimeoutMs: number;
  /** The most connections at a time. */
  readonly maxConnections: number;
  logError(message: string): void;
}

const HEAD_TIMEOUT_MS = 10_000;
const MAX_HEAD_BYTES = 16 * 1024;
/** Longer than our own clients keep an idle connection, so that the client closes it first. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** How often the server looks for connections that take too long. */
const CHECK_INTERVAL_MS = 1_000;

export interface Listener {
  readonly server: Server;
  readonly connections: Connections;
  /** Changes the time of requests. Over HTTP/1.1 this holds for requests under way too. */
  limitRequests(requestTimeoutMs: number): void;
  /** Closes connections without a request; those of HTTP/2 as soon as they have none. */
  closeIdle(): void;
  closeAll(): void;
}

export function createListener(options: ListenerOptions): Listener {
  const { tls, requestTimeoutMs } = options;
  const serverOptions = {
    maxHeaderSize: MAX_HEAD_BYTES,
    ...timeouts(requestTimeoutMs),
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, requestTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    keepAlive: true,
    // A header that comes twice is read as both, as a web request does. Node would drop the second.
    joinDuplicateHeaders: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    // The browser guard refuses a request without Host, with a problem.
    requireHostHeader: false,
  };
  const answer = requestListener(options);
  const server = tls
    ? secureServer(serverOptions, tls, answer)
    : createServer(serverOptions, answer);
  const connections = new Connections({
    max: options.maxConnections,
    refuse: (socket) => (tls ? socket.destroy() : answerBelow(socket, NO_ROOM)),
    log: options.logError,
  });
  limitBodies(server);
  // Node answers 417 to an unknown `Expect`, without a problem. A server may ignore it.
  server.on("checkExpectation", (...request) => server.emit("request", ...request));
  watchRequests(server, connections);
  logFaults(server, options.logError);
  const http2 = new Http2Listener({
    // The adapter's clean-up would end an answer that is sent while the body still arrives.
    listener: requestListener(options, { autoCleanupIncoming: false }),
    maxHeadBytes: MAX_HEAD_BYTES,
    headTimeoutMs: () => server.headersTimeout,
    requestTimeoutMs: () => server.requestTimeout,
    keepAliveTimeoutMs: KEEP_ALIVE_TIMEOUT_MS,
    connections,
  });
  if (tls) divide(server as SecureServer, http2);
  server.on(tls ? "secureConnection" : "connection", watchPeer);
  connections.guard(server);
  return {
    server,
    connections,
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

function requestListener(
  { fetch, logError }: ListenerOptions,
  more: { autoCleanupIncoming?: boolean } = {},
) {
  return getRequestListener((request, env) => fetch(request, env as HttpBindings), {
    hostname: "missing.invalid",
    errorHandler: (error) => {
      const { body, ...init } = problemAnswer(
        error instanceof RequestError
          ? problem("invalid_request", "expected a request target and a Host that make a URL")
          : internalError(error, logError),
      );
      return new Response(body, init);
    },
    ...more,
  });
}

/** Refuses bodies that are late and bytes that are no request. */
function limitBodies(server: Server): void {
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
    // Node's timeout for a whole request does not apply to streamed bodies.
    if (error.code !== "ERR_HTTP_REQUEST_TIMEOUT" || !streaming.has(socket as Socket))
      refuse(error.code ?? "", socket as Socket);
  });
}

/** Tells the connections of their requests over HTTP/1.1. */
function watchRequests(server: Server, connections: Connections): void {
  server.prependListener("request", ({ socket }: IncomingMessage, outgoing: ServerResponse) =>
    outgoing.once("close", connections.begin(socket)),
  );
}

/**
 * Logs faults of the listening socket, such as a lack of descriptors. The system has closed the new
 * connection then, and the member goes on.
 */
function logFaults(server: Server, logError: ListenerOptions["logError"]): void {
  let last = "";
  const report = perMinute(({ failed }: { failed?: number }) =>
    logError(`could not accept ${failed} connections: ${last}`),
  );
  server.on("error", (error) => {
    last = error.message;
    if (server.listening) report("failed");
  });
}

/** Hands connections whose client chose HTTP/2 in the TLS handshake to that listener. */
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
  tls.onChange(() => server.setSecureContext({ ...tls.server, minVersion }));
  return server;
}

/** The problem for a client whose bytes are no request; undefined when no answer can reach it. */
function refusalOf(code: string): Problem | undefined {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return problem("request_timeout", "expected the whole request sooner");
  if (code === "HPE_HEADER_OVERFLOW")
    return problem("payload_too_large", `expected at most ${MAX_HEAD_BYTES} bytes of headers`);
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW")
    return problem("payload_too_large", "expected shorter chunk extensions");
  if (code.startsWith("HPE_")) return problem("invalid_request", "expected an HTTP/1.1 request");
  return undefined;
}

/** Refuses below Node's HTTP server, which has no response for bytes that are no request. */
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
  answerBelow(socket, refusal);
}

const NO_ROOM = problem("overloaded", "all connections of the member are taken", {
  admitted: false,
});

/** Answers below Node's HTTP server, and closes the connection. */
function answerBelow(socket: Socket, refusal: Problem): void {
  const { status, headers, body } = problemAnswer(refusal);
  const fields = Object.entries({
    ...headers,
    "content-length": Buffer.byteLength(body),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...fields, "", ""].join("\r\n");
  // `destroySoon` could wait for the rest of the body.
  socket.end(head + String(body), () => socket.destroy());
}
