/** The listening socket: HTTP or HTTPS, what a request may take in time and header bytes, and the answer to what is no request. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, STATUS_CODES } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import { getRequestListener, type HttpBindings, RequestError } from "@hono/node-server";
import { ERRORS, type ErrorCode, problem } from "../openapi/errors.ts";
import { isMultipart, isRaw } from "./multipart.ts";
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

export function createListener({ fetch, tls, requestTimeoutMs, logError }: ListenerOptions): Server {
  const options = {
    maxHeaderSize: MAX_HEAD_BYTES,
    ...timeouts(requestTimeoutMs),
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, requestTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // A request without Host is refused by the door, with a problem.
    requireHostHeader: false,
  };
  const listener = getRequestListener((request, env) => fetch(request, env as HttpBindings), {
    hostname: "missing.invalid",
    errorHandler: (error) => {
      const isTheirs = error instanceof RequestError;
      if (!isTheirs) logError(error instanceof Error ? `${error.stack}` : String(error));
      const given = isTheirs
        ? problem("invalid_request", "expected a request target and a Host that make a URL")
        : problem("internal_error", "an unexpected error; the member's log has it");
      return new Response(JSON.stringify(given), { status: given.status, headers: { "content-type": "application/problem+json" } });
    },
  });
  const server = tls ? secureServer(options, tls, listener) : createServer(options, listener);
  const streaming = new WeakSet<Socket>();
  server.on("request", (incoming: IncomingMessage) => {
    if (isStreamed(incoming)) timeStreamed(incoming, server.requestTimeout, streaming);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // The time for a whole request is not for those.
    if (error.code !== "ERR_HTTP_REQUEST_TIMEOUT" || !streaming.has(socket as Socket)) refuse(error.code ?? "", socket as Socket);
  });
  return server;
}

function timeouts(requestTimeoutMs: number): { headersTimeout: number; requestTimeout: number } {
  return { headersTimeout: Math.min(HEAD_TIMEOUT_MS, requestTimeoutMs), requestTimeout: requestTimeoutMs };
}

/** Changes how long requests may take, those under way too. */
export function limitRequests(server: Server, requestTimeoutMs: number): void {
  Object.assign(server, timeouts(requestTimeoutMs));
}

function secureServer(options: ServerOptions, tls: TlsFiles, listener: RequestListener): SecureServer {
  const minVersion = "TLSv1.2";
  const server = createSecureServer({ ...options, ...tls.server, minVersion, handshakeTimeout: HEAD_TIMEOUT_MS }, listener);
  tls.onChange((changed) => server.setSecureContext({ ...changed.server, minVersion }));
  return server;
}

/** Whether the body is taken piece by piece, however long: files of a child spec, or a child's input. */
export function isStreamed({ method, url = "", headers }: IncomingMessage): boolean {
  return method === "POST" && (isMultipart(headers["content-type"]) || isRaw(headers["content-type"]) || /^\/children\/[^/]+\/stdin(\?|$)/.test(url));
}

/** So much an upload has to bring each time. A child's input may come as slowly as somebody types. */
const MIN_UPLOAD_BYTES = 65_536;

/** Refuses a request whose streamed body does not go on each time, unless it is not being read. */
function timeStreamed(incoming: IncomingMessage, timeoutMs: number, streaming: WeakSet<Socket>): void {
  const { socket } = incoming;
  const least = isMultipart(incoming.headers["content-type"]) ? MIN_UPLOAD_BYTES : 1;
  let seen = socket.bytesRead;
  streaming.add(socket);
  const timer = setInterval(() => {
    const goesOn = incoming.isPaused() || incoming.readableLength > 0 || socket.bytesRead >= seen + least;
    seen = socket.bytesRead;
    if (goesOn) return;
    over();
    if (!incoming.complete) refuse("ERR_HTTP_REQUEST_TIMEOUT", socket);
  }, timeoutMs);
  const over = () => {
    clearInterval(timer);
    streaming.delete(socket);
  };
  incoming.once("close", over).once("end", over);
}

/** What is said to a client whose bytes were no request; undefined for those with whom there is no talking. */
function refusalOf(code: string): [ErrorCode, string] | undefined {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return ["request_timeout", "expected the whole request sooner"];
  if (code === "HPE_HEADER_OVERFLOW") return ["payload_too_large", `expected at most ${MAX_HEAD_BYTES} bytes of headers`];
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return ["payload_too_large", "expected shorter chunk extensions"];
  if (code.startsWith("HPE_")) return ["invalid_request", "expected an HTTP/1.1 request"];
  return undefined;
}

function refuse(errorCode: string, socket: Socket & { _httpMessage?: { headersSent: boolean } | null }): void {
  const refusal = refusalOf(errorCode);
  // An answer under way can only be cut.
  if (!refusal || !socket.writable || socket._httpMessage?.headersSent) {
    socket.destroy();
    return;
  }
  const [code, detail] = refusal;
  const { status } = ERRORS[code];
  const body = JSON.stringify(problem(code, detail));
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
  socket.destroySoon();
}
