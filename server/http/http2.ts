/** HTTP/2, with the bounds of HTTP/1.1 and those that only HTTP/2 needs. */
import {
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import { problem } from "../../openapi/errors.ts";
import { isStreamed, timeStreamed } from "./body-timeout.ts";
import { problemAnswer } from "./problems.ts";
import { isOver } from "./response.ts";

export interface Http2Options {
  /** Answers a request. */
  listener(incoming: Http2ServerRequest, outgoing: Http2ServerResponse): void;
  readonly maxHeadBytes: number;
  /** Milliseconds that a new connection may take for its first request. */
  headTimeoutMs(): number;
  /** Milliseconds that a request may take to its last byte. */
  requestTimeoutMs(): number;
  /** Milliseconds that a connection without a request is kept. */
  readonly keepAliveTimeoutMs: number;
}

/**
 * Streams that one connection may have open. Node's own defaults bound resets of streams (the rapid
 * reset attack) and frames that make no sense.
 */
const MAX_CONCURRENT_STREAMS = 256;
/**
 * A connection whose buffers take more gets no further streams. Node's default of 10 is less than
 * one large result.
 */
const MAX_SESSION_MEGABYTES = 256;
const MAX_HEADERS = 128;

export class Http2Listener {
  readonly #options: Http2Options;
  readonly #server;
  readonly #sockets = new Set<TLSSocket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(options: Http2Options) {
    this.#options = options;
    this.#server = createServer({
      maxHeaderListPairs: MAX_HEADERS,
      maxSessionMemory: MAX_SESSION_MEGABYTES,
      settings: {
        maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
        maxHeaderListSize: options.maxHeadBytes,
        enablePush: false,
      },
    });
    this.#server.on("session", (session) => this.#watch(session));
    for (const event of ["request", "checkExpectation"])
      this.#server.on(event, (incoming, outgoing) => this.#answer(incoming, outgoing));
  }

  /** Serves a connection. */
  serve(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.#server.emit("connection", socket);
  }

  /** Takes no more requests, and closes each connection after the answers under way. */
  close(): void {
    for (const session of this.#sessions) session.close();
  }

  /** Closes all connections at once. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Closes a connection that has no request for too long, even if it sends other frames. */
  #watch(session: ServerHttp2Session): void {
    const { headTimeoutMs, keepAliveTimeoutMs } = this.#options;
    this.#sessions.add(session);
    const leave = () => session.destroy();
    let timer = setTimeout(leave, headTimeoutMs());
    let open = 0;
    session.on("stream", (stream) => {
      clearTimeout(timer);
      open += 1;
      stream.once("close", () => {
        open -= 1;
        if (open === 0 && !session.destroyed) timer = setTimeout(leave, keepAliveTimeoutMs);
      });
    });
    session.once("close", () => {
      clearTimeout(timer);
      this.#sessions.delete(session);
    });
  }

  #answer(incoming: Http2ServerRequest, outgoing: Http2ServerResponse): void {
    const { stream } = outgoing;
    if (!stream.endAfterHeaders) {
      const ms = this.#options.requestTimeoutMs();
      const late = () => refuseLate(outgoing);
      if (isStreamed(incoming)) timeStreamed(incoming, ms, { late });
      else {
        const timer = setTimeout(late, ms);
        incoming.once("end", () => clearTimeout(timer));
        stream.once("close", () => clearTimeout(timer));
      }
      // Otherwise a body that breaks off would look complete.
      incoming.on("error", () => {});
      stream.once("aborted", () => incoming.destroy(new Error("the client went away")));
      // After the last frame of the answer the client need not send the rest of the body.
      stream.once("wantTrailers", () =>
        setImmediate(() => incoming.readableEnded || stream.close(constants.NGHTTP2_NO_ERROR)),
      );
    }
    this.#options.listener(incoming, outgoing);
  }
}

/** Refuses a request whose body is late. An answer under way can only be reset. */
function refuseLate(outgoing: Http2ServerResponse): void {
  if (isOver(outgoing)) return;
  if (outgoing.headersSent) {
    outgoing.stream.close(constants.NGHTTP2_CANCEL);
    return;
  }
  const { status, headers, body } = problemAnswer(
    problem("request_timeout", "expected the whole request sooner"),
  );
  outgoing.writeHead(status, headers);
  outgoing.end(body);
}
