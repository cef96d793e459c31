/**
 * The open connections of a member, bounded in number. When all places are taken, a newcomer gets
 * the place of a connection that does nothing. Strangers, who have shown no valid token, go first,
 * so they never shut out callers. Each caller begins as a stranger, so strangers are admitted too.
 */
import type { Server, Socket } from "node:net";
import { perMinute } from "./per-minute.ts";
import { type Connection, Rank, Ranking } from "./ranking.ts";

export interface ConnectionsOptions {
  /** The most connections at a time, handshakes under way included. */
  readonly max: number;
  /** Answers a newcomer for which there is no place, and closes its connection. */
  refuse(socket: Socket): void;
  log(message: string): void;
}

/**
 * A quarter of the places: the share of one address. It counts only when all places are taken, and
 * only for strangers: all callers behind one proxy have one address.
 */
const ADDRESS_SHARE = 1 / 4;
/** An eighth of the places stays open to strangers, because each caller begins as one. */
const STRANGER_SHARE = 1 / 8;

/** The addresses of both ends: they name an open connection, over TLS and HTTP/2 too. */
type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localAddress">;

const nameOf = ({ remoteAddress, remotePort, localAddress }: Ends) =>
  `${remoteAddress}|${remotePort}|${localAddress}`;

export class Connections {
  readonly #options: ConnectionsOptions;
  /** The most connections at a time. */
  max: number;
  readonly #open = new Map<string, Connection>();
  /** The connections by the sockets of their requests, which differ from them over TLS. */
  readonly #bySocket = new WeakMap<Ends, Connection>();
  readonly #ranking = new Ranking();
  #known = 0;
  readonly #report: ReturnType<typeof perMinute<"refused" | "evicted">>;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.max = options.max;
    this.#report = perMinute(({ refused = 0, evicted = 0 }) =>
      options.log(
        `all ${this.max} connections are taken: ${refused} refused, ${evicted} others closed ` +
          "to make room; --max-connections sets the limit",
      ),
    );
  }

  /** Decides on each new connection of a server, before the server sees it. */
  guard(server: Server): void {
    const serve = server.listeners("connection");
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      if (this.#admit(socket)) for (const each of serve) each.call(server, socket);
    });
  }

  /** Notes a request, until the returned function is called. */
  begin(socket: Ends): () => void {
    const connection = this.#of(socket);
    if (!connection) return () => {};
    connection.requests += 1;
    this.#rank(connection);
    return () => {
      connection.requests -= 1;
      connection.served = true;
      this.#rank(connection);
    };
  }

  /** Notes that the client of a connection has shown a valid token. */
  know(socket: Ends): void {
    const connection = this.#of(socket);
    // Its client may have left while the token was checked.
    if (!connection || connection.known || !this.#isOpen(connection)) return;
    connection.known = true;
    this.#known += 1;
    this.#rank(connection);
  }

  #of(socket: Ends): Connection | undefined {
    const known = this.#bySocket.get(socket);
    if (known) return known;
    const connection = this.#open.get(nameOf(socket));
    if (connection) this.#bySocket.set(socket, connection);
    return connection;
  }

  #admit(socket: Socket): boolean {
    const name = nameOf(socket);
    const address = socket.remoteAddress ?? "";
    // The client may be gone already.
    if (address === "") {
      socket.destroy();
      return false;
    }
    if (this.#open.size >= this.max && !this.#makeRoom(address)) {
      this.#report("refused");
      this.#options.refuse(socket);
      return false;
    }
    const connection: Connection = { name, socket, address, requests: 0, served: false };
    this.#open.set(name, connection);
    socket.once("close", () => this.#remove(connection));
    // A newcomer keeps its place for two turns of the event loop, in which its request may arrive.
    setImmediate(() => setImmediate(() => this.#rank(connection)));
    return true;
  }

  /** Closes the connection that can best be spared; false when there is none. */
  #makeRoom(address: string): boolean {
    const strangers = this.#open.size - this.#known;
    const isOverShare = this.#ranking.strangersFrom(address) >= this.max * ADDRESS_SHARE;
    const spared =
      (isOverShare ? this.#ranking.strangerOf(address) : undefined) ??
      this.#ranking.first(
        strangers < Math.max(1, this.max * STRANGER_SHARE) ? Rank.IdleCaller : Rank.Stranger,
      );
    if (!spared) return false;
    this.#remove(spared);
    spared.socket.destroy();
    this.#report("evicted");
    return true;
  }

  #isOpen(connection: Connection): boolean {
    return this.#open.get(connection.name) === connection;
  }

  #rank(connection: Connection): void {
    if (this.#isOpen(connection)) this.#ranking.place(connection, rankOf(connection));
  }

  #remove(connection: Connection): void {
    if (!this.#isOpen(connection)) return;
    this.#open.delete(connection.name);
    this.#ranking.place(connection, undefined);
    if (connection.known) this.#known -= 1;
  }
}

/** The rank of a connection among those that can be spared; undefined for a caller at work. */
function rankOf({ known, requests, served }: Connection): Rank | undefined {
  if (known) return requests === 0 ? Rank.IdleCaller : undefined;
  return requests === 0 && served ? Rank.IdleStranger : Rank.Stranger;
}
