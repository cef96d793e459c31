/** The connections that can be spared, in the order in which they give up their places. */
import type { Socket } from "node:net";

export interface Connection {
  readonly name: string;
  readonly socket: Socket;
  /** The address of the client. */
  readonly address: string;
  /** Whether its client has shown a valid token. */
  known?: boolean;
  /** Requests under way. */
  requests: number;
  /** Whether it has had an answer. */
  served: boolean;
  rank?: Rank | undefined;
}

/** A lower rank goes first. */
export const Rank = {
  /** A stranger between two requests. */
  IdleStranger: 0,
  /** A stranger whose handshake or request is under way, however slowly. */
  Stranger: 1,
  /** A caller between two requests. */
  IdleCaller: 2,
} as const;
export type Rank = (typeof Rank)[keyof typeof Rank];

/** One set a rank. A set keeps the order in which its connections came: the longest first. */
type Sets = readonly [Set<Connection>, Set<Connection>, Set<Connection>];

const newSets = (): Sets => [new Set(), new Set(), new Set()];

function firstIn(sets: Sets, last: Rank): Connection | undefined {
  for (const set of sets.slice(0, last + 1)) for (const connection of set) return connection;
  return undefined;
}

export class Ranking {
  readonly #all = newSets();
  readonly #byAddress = new Map<string, Sets>();

  /** Puts a connection behind those of its rank; undefined takes it out. */
  place(connection: Connection, rank: Rank | undefined): void {
    const { address } = connection;
    const own = this.#byAddress.get(address) ?? newSets();
    for (const sets of [this.#all, own]) {
      if (connection.rank !== undefined) sets[connection.rank].delete(connection);
      if (rank !== undefined) sets[rank].add(connection);
    }
    connection.rank = rank;
    if (own.every(({ size }) => size === 0)) this.#byAddress.delete(address);
    else this.#byAddress.set(address, own);
  }

  /** The connection to be spared first, up to this rank. */
  first(last: Rank): Connection | undefined {
    return firstIn(this.#all, last);
  }

  /** The stranger of this address to be spared first. */
  strangerOf(address: string): Connection | undefined {
    const own = this.#byAddress.get(address);
    return own && firstIn(own, Rank.Stranger);
  }

  /** The number of strangers of this address. */
  strangersFrom(address: string): number {
    const own = this.#byAddress.get(address);
    return own ? own[Rank.IdleStranger].size + own[Rank.Stranger].size : 0;
  }
}
