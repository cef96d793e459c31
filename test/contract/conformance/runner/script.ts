/** A fake member: it replays bytes, cuts, delays and splits, and records the requests. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import type { Exchange, Part } from "./cases.ts";
import { filled, type Variables } from "./variables.ts";

/** 1 MiB of a request's body is recorded. */
const MAX_BODY_BYTES = 1_048_576;

/**
 * 100 ms from the last byte to a cut. Bun's fetch drops bytes that it has not handed out when the
 * connection ends.
 */
const CUT_MS = 100;

/** A request as the fake member got it. */
export interface Recorded {
  /** `METHOD /path`, with the query. */
  readonly to: string;
  /** The name of the fake member. */
  readonly at: string;
  readonly headers: IncomingMessage["headers"];
  /** JSON as its value, anything else as text. */
  body: unknown;
  /** Whether the client closed the connection before the answer had ended. */
  closed: boolean;
}

export interface ScriptOptions {
  readonly name: string;
  readonly exchanges: readonly Exchange[];
  /** Gets the fake's requests, beside those of other fakes. */
  readonly requests: Recorded[];
  /** The variables of the case, apart from `<url>` and `<child>`, which are the fake's own. */
  readonly variables: Variables;
  /** A certificate and its key. Default: the fake serves http. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

/** Whether a request fits `METHOD /path`, in which `*` stands for any text. */
export function fits(pattern: string, to: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}(\\?.*)?$`, "su").test(to);
}

export class ScriptedMember {
  readonly url: string;
  readonly #server: Server;
  readonly #options: ScriptOptions;
  /** How many answers of each exchange are left. */
  readonly #left: Map<Exchange, number>;
  readonly #variables: Variables;

  private constructor(server: Server, options: ScriptOptions) {
    const { port } = server.address() as AddressInfo;
    const { name, exchanges, variables, tls } = options;
    this.url = `${tls ? "https" : "http"}://127.0.0.1:${port}`;
    this.#server = server;
    this.#options = options;
    const id = `${name}.0123456789abcdef0123456789abcdef`;
    const child = { id, pool: "pipeline", member: name, url: `${this.url}/children/${id}` };
    this.#variables = { ...variables, url: this.url, id, child };
    this.#left = new Map(
      filled(exchanges, this.#variables).map((each) => [
        each,
        each.times === "any" ? Number.POSITIVE_INFINITY : (each.times ?? 1),
      ]),
    );
  }

  /** The variables of the case, with the fake's own. */
  get variables(): Variables {
    return this.#variables;
  }

  static async start(options: ScriptOptions): Promise<ScriptedMember> {
    const server = options.tls ? createSecureServer(options.tls) : createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const member = new ScriptedMember(server as Server, options);
    server.on("request", (incoming, outgoing) => {
      member.#answer(incoming, outgoing).catch(() => outgoing.destroy());
    });
    return member;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#close();
    await closed;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method, url = "", headers } = incoming;
    const { name: at, requests } = this.#options;
    const recorded: Recorded = {
      to: `${method} ${url}`,
      at,
      headers,
      body: undefined,
      closed: false,
    };
    requests.push(recorded);
    outgoing.once("close", () => {
      recorded.closed = !outgoing.writableFinished;
    });
    outgoing.on("error", () => {});
    recorded.body = await bodyOf(incoming);
    const exchange = [...this.#left.keys()].find(
      (each) => (this.#left.get(each) ?? 0) > 0 && fits(each.to, recorded.to),
    );
    if (!exchange) return send(outgoing, { to: "* *", send: [UNSCRIPTED] });
    this.#left.set(exchange, (this.#left.get(exchange) ?? 0) - 1);
    await send(outgoing, exchange);
    if (exchange.send?.includes("die")) this.#close();
  }

  #close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** The answer to a request that the script does not have. No client tries it again. */
const UNSCRIPTED: Part = {
  problem: { code: "not_found", status: 404 },
};

async function bodyOf(incoming: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    length += part.length;
    if (length <= MAX_BODY_BYTES) parts.push(part);
  }
  const text = Buffer.concat(parts).toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Sends an answer, and returns when it has ended in whatever way. */
async function send(outgoing: ServerResponse, exchange: Exchange): Promise<void> {
  const { send: pieces = [], split, status, headers } = exchange;
  // A cut before all else comes before the head, too.
  if (pieces[0] === "cut") return void outgoing.destroy();
  const parts = pieces.filter((piece) => typeof piece === "object");
  const type = typeOf(parts);
  outgoing.writeHead(status ?? parts.find(({ problem }) => problem)?.problem?.status ?? 200, {
    ...(type && { "content-type": type }),
    ...headers,
  });
  outgoing.socket?.setNoDelay(true);
  if (pieces.length > 0) outgoing.flushHeaders();
  for (const piece of pieces) {
    if (outgoing.destroyed) return;
    if (piece === "cut" || piece === "die") {
      await pause(CUT_MS);
      // The port is closed first, so that no client finds it open behind the cut.
      return piece === "cut" ? void outgoing.destroy() : undefined;
    }
    if (piece === "hold") return void (await once(outgoing, "close"));
    await sendPart(outgoing, piece, split);
  }
  outgoing.end();
}

/** The content type of an answer, by what it consists of. */
function typeOf(parts: readonly Part[]): string | undefined {
  if (parts.some(({ problem }) => problem)) return "application/problem+json";
  if (parts.some((part) => "json" in part)) return "application/json";
  return parts.length > 0 ? "text/event-stream;charset=utf-8" : undefined;
}

async function sendPart(outgoing: ServerResponse, part: Part, split: number | undefined) {
  const { times = 1, delayMs } = part;
  const one = bytesOf(part);
  const bytes = times === "endless" ? one : Buffer.alloc(one.length * times, one);
  for (let isLast = false; !isLast && !outgoing.destroyed; ) {
    isLast = times !== "endless";
    if (delayMs) await pause(delayMs);
    for (let at = 0; at < bytes.length && !outgoing.destroyed; at += split ?? bytes.length)
      await written(outgoing, bytes.subarray(at, at + (split ?? bytes.length)));
  }
}

/** Writes a chunk of its own, no faster than the client reads. */
async function written(outgoing: ServerResponse, bytes: Uint8Array): Promise<void> {
  const closed = new AbortController();
  const close = () => closed.abort();
  outgoing.once("close", close);
  const isFull = !outgoing.write(bytes);
  // The next turn puts the next chunk into a packet of its own.
  await (isFull ? once(outgoing, "drain", closed).catch(() => {}) : nextTurn());
  outgoing.off("close", close);
}

/** The bytes of a part. */
function bytesOf({ event, raw, base64, json, problem }: Part): Buffer {
  if (base64 !== undefined) return Buffer.from(base64, "base64");
  if (raw !== undefined) return Buffer.from(raw);
  if (json !== undefined) return Buffer.from(JSON.stringify(json));
  if (problem) {
    const { code } = problem;
    const type = `urn:distributed-pool:problem:${code}`;
    return Buffer.from(JSON.stringify({ type, title: code, detail: `says ${code}`, ...problem }));
  }
  if (!event) return Buffer.alloc(0);
  const { id, ...data } = event;
  const number = id === undefined ? "" : `id: ${id}\n`;
  return Buffer.from(`event: ${event.type}\n${number}data: ${JSON.stringify(data)}\n\n`);
}
