/** The file descriptors of the process, which bound its connections and children. */
import { readFileSync } from "node:fs";

/** The member itself needs 64: its libraries, sandbox, log, Consul and listening socket. */
const OWN = 64;
/** A child needs 6 while it runs, and up to 8 while it starts. */
const PER_CHILD = 8;
/** A connection may need a second one, to the member of the child that it asks for. */
const PER_CONNECTION = 2;
/** With fewer connections, a member is of no use. */
const MIN_CONNECTIONS = 16;
/** A connection takes some 20 KB of memory, so 10,000 take 200 MB. */
const MAX_DEFAULT = 10_000;

/** The soft limit of open descriptors; Infinity where the system has none, or does not tell. */
export function descriptorLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "latin1");
    const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** The use of descriptors beside the connections to the member. */
export interface DescriptorUse {
  /** The most processes of children at a time, those that wait included. */
  readonly children: number;
  /** Descriptors of the children's proxies. Default 0. */
  readonly proxies?: number;
}

/** How many connections a member may have at a time, and what is wrong with that. */
export interface ConnectionBudget {
  readonly max: number;
  /** The descriptors that the children and the connections need. */
  readonly needed: number;
  /** Whether the limit leaves no room to serve anyone. */
  readonly isTooLow: boolean;
}

/**
 * @param limit the soft limit of open descriptors.
 * @param wanted the operator's number of connections. Default: as many as fit, up to 10,000.
 */
export function connectionBudget(
  limit: number,
  { children, proxies = 0 }: DescriptorUse,
  wanted: number | undefined,
): ConnectionBudget {
  const others = OWN + children * PER_CHILD + proxies;
  const room = Math.floor((limit - others) / PER_CONNECTION);
  const max = wanted ?? Math.max(MIN_CONNECTIONS, Math.min(MAX_DEFAULT, room));
  const needed = others + max * PER_CONNECTION;
  return { max, needed, isTooLow: room < MIN_CONNECTIONS };
}
