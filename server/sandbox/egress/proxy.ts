/**
 * The member's proxy for one child: `CONNECT`, and requests for `http:` URLs. Each request has a
 * connection of its own on both sides, so nothing that a child sends reaches another target.
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { BlockList, Server as Listener, Socket } from "node:net";
import { pipeline, type Writable } from "node:stream";
import { addressList } from "./addresses.ts";
import { ChildBounds, MAX_OF_CHILD, type SharedBounds } from "./bounds.ts";
import { type Resolve, systemResolve } from "./checked-addresses.ts";
import { connectTo, Unreachable } from "./connect.ts";
import { OF_REQUEST, passedOn } from "./headers.ts";
import {
  allowedTarget,
  canonicalHost,
  isAllowedTarget,
  parseTarget,
  type Target,
  textOf,
} from "./targets.ts";

/** The longest time for the head of a request. */
const HEAD_TIMEOUT_MS = 10_000;
/** How often the times of heads are looked at. */
const HEAD_LOOK_MS = 5_000;
/** The longest silence of a connection: a service that computes may take minutes to answer. */
const IDLE_TIMEOUT_MS = 600_000;
/** Characters of the list of targets that a refused child reads. */
const MAX_LISTED = 4_096;
/** Characters of a child's text in an answer, and in the log. */
const MAX_SHOWN = 100;

/** The names and ports that a pool's children may reach. */
export interface Egress {
  /** Names and ports, as `TargetSchema` takes them. */
  readonly allow: readonly string[];
  /** Addresses that the names may have beside the public ones. */
  readonly addresses: readonly string[];
}

const shown = (text: string) => JSON.stringify(text.slice(0, MAX_SHOWN));

export class EgressProxy {
  readonly #allow: readonly string[];
  readonly #addresses: BlockList;
  readonly #shared: SharedBounds;
  readonly #resolve: Resolve;
  readonly #bounds = new ChildBounds();
  readonly #ended = new AbortController();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  /** @param resolve finds every address of a name. Default: the system's resolver. */
  constructor({ allow, addresses }: Egress, shared: SharedBounds, resolve = systemResolve) {
    this.#allow = allow.flatMap((text) => allowedTarget(text) ?? []);
    this.#addresses = addressList(addresses);
    this.#shared = shared;
    this.#resolve = resolve;
  }

  /** Serves the child's socket until {@link close}. */
  serve(listener: Listener): void {
    if (this.#ended.signal.aborted) return void listener.close();
    const server = createServer({
      headersTimeout: HEAD_TIMEOUT_MS,
      connectionsCheckingInterval: HEAD_LOOK_MS,
      // The idle time bounds the rest of a request: an upload may take its time.
      requestTimeout: 0,
    });
    server.maxConnections = MAX_OF_CHILD;
    server.maxRequestsPerSocket = 1;
    server.setTimeout(IDLE_TIMEOUT_MS);
    server.on("connection", (socket: Socket) => this.#admit(socket));
    server.on("drop", () => this.#count());
    server.on("request", (incoming, outgoing) => void this.#forward(incoming, outgoing));
    server.on("connect", (incoming, client, head) =>
      // A server on a TCP socket emits TCP sockets.
      this.#tunnel(incoming, client as Socket, head),
    );
    server.listen(listener);
    this.#server = server;
  }

  /** Ends the child's connections, and admits none. */
  close(): void {
    this.#ended.abort();
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #admit(socket: Socket): void {
    this.#keep(socket);
    const release = this.#shared.take();
    if (release) socket.once("close", release);
    else socket.destroy();
    this.#count();
  }

  /** Counts a connection. A flood of them would take the member's time from others. */
  #count(): void {
    if (!this.#bounds.hasExceeded() || this.#ended.signal.aborted) return;
    this.#shared.log("a child opened too many connections to its proxy, and has lost it");
    this.close();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket.on("error", () => {}));
    socket.once("close", () => this.#sockets.delete(socket));
  }

  async #forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const { method, rawHeaders, headers, url: text = "" } = incoming;
      const url = /^http:\/\//i.test(text) ? URL.parse(text) : null;
      const host = url && url.username === "" && url.password === "" && canonicalHost(url.hostname);
      if (!host) throw this.#notUnderstood(text);
      const socket = await this.#reach({ host, port: Number(url.port || 80) }, outgoing);
      outgoing.once("close", () => socket.destroy());
      const isChunked = headers["transfer-encoding"] !== undefined;
      const asked = request({
        createConnection: () => socket,
        method,
        path: `${url.pathname}${url.search}`,
        headers: [
          ...["host", url.host, ...passedOn(rawHeaders, OF_REQUEST)],
          ...(isChunked ? ["transfer-encoding", "chunked"] : []),
        ],
      });
      pipeline(incoming, asked, () => {});
      const changed = once(asked, "upgrade").then(() => {
        throw new Unreachable(502, "the target changed the protocol, which nobody asked for");
      });
      const [answer] = (await Promise.race([once(asked, "response"), changed])) as [
        IncomingMessage,
      ];
      asked.on("error", () => {});
      outgoing.sendDate = false;
      outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, [
        ...["connection", "close", ...passedOn(answer.rawHeaders)],
      ]);
      pipeline(answer, outgoing, () => {});
    } catch (error) {
      if (outgoing.headersSent) return void outgoing.destroy();
      const { status, body } = refusal(error);
      outgoing.writeHead(status, { ...HEADERS, "content-length": body.length }).end(body);
    }
  }

  async #tunnel(incoming: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    try {
      const target = parseTarget(incoming.url ?? "");
      if (!target) throw this.#notUnderstood(incoming.url ?? "");
      const socket = await this.#reach(target, client);
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) socket.write(head);
      join(client, socket);
      join(socket, client);
    } catch (error) {
      const { status, body } = refusal(error);
      const headers = Object.entries({ ...HEADERS, "content-length": body.length });
      const lines = [
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
        ...headers.map(([name, value]) => `${name}: ${value}`),
      ];
      client.write(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), body]));
      // Whatever the child still sends would take the member's time.
      client.destroySoon();
    }
  }

  /** @param client ends the attempt when it closes. */
  async #reach(target: Target, client: Writable): Promise<Socket> {
    if (!isAllowedTarget(target, this.#allow)) {
      this.#shared.log(`the proxy refused a child ${shown(textOf(target))}`);
      throw new Unreachable(403, `${shown(textOf(target))} may not be reached. ${this.#listed}`);
    }
    const gone = new AbortController();
    client.once("close", () => gone.abort());
    const socket = await connectTo(target, {
      addresses: this.#addresses,
      resolve: this.#resolve,
      turns: this.#bounds.lookups,
      signal: AbortSignal.any([this.#ended.signal, gone.signal]),
    });
    this.#keep(socket);
    if (client.destroyed) socket.destroy();
    return socket;
  }

  get #listed(): string {
    return `This pool's network.allow has: ${this.#allow.join(", ").slice(0, MAX_LISTED)}`;
  }

  #notUnderstood(url: string): Unreachable {
    return new Unreachable(
      400,
      `expected CONNECT with NAME:PORT, or an http: URL without a user; got ${shown(url)}. ` +
        `This is the pool's proxy. ${this.#listed}`,
    );
  }
}

const HEADERS = { "content-type": "text/plain; charset=utf-8", connection: "close" };

function refusal(error: unknown): { readonly status: number; readonly body: Buffer } {
  const { status, message } =
    error instanceof Unreachable ? error : new Unreachable(502, "the target broke the connection");
  return { status, body: Buffer.from(`${message}\n`) };
}

/** Passes on one direction, its end included. */
function join(from: Socket, to: Socket): void {
  from.setTimeout(IDLE_TIMEOUT_MS, () => from.destroy());
  from.pipe(to);
  from.once("close", () => {
    if (!from.readableEnded || !from.writableFinished) to.destroy();
  });
}
