/**
 * Connects to a target for a child. The connection goes to an address that was checked: a name that
 * changes its address a moment later (DNS rebinding) gains nothing.
 */
import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type BlockList, connect, isIP, type Socket } from "node:net";
import { isAllowedAddress } from "./addresses.ts";
import { addressOf, type Target, textOf } from "./targets.ts";
import type { Turns } from "./turns.ts";

/** The longest time for the name and the connection together. */
const CONNECT_TIMEOUT_MS = 10_000;

export type Resolve = (name: string) => Promise<readonly LookupAddress[]>;

/** Every address of a name, from the system's resolver. */
export const systemResolve: Resolve = (name) => lookup(name, { all: true, order: "verbatim" });

export interface ConnectOptions {
  /** Addresses that a name may have beside the public ones. */
  readonly addresses: BlockList;
  readonly resolve: Resolve;
  /** The turns of this child, and of all children: a lookup takes a thread of the process. */
  readonly turns: { readonly own: Turns; readonly shared: Turns };
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

/** A target that is not reached. The child reads the status and the message. */
export class Unreachable extends Error {
  readonly status: 400 | 403 | 502 | 504;

  constructor(status: Unreachable["status"], message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Connects to a target that is allowed. An address that the operator listed needs no further check.
 *
 * @throws {Unreachable} 403 for a name of which an address is not allowed, 504 after 10 seconds,
 *   502 for anything else.
 */
export async function connectTo(target: Target, options: ConnectOptions): Promise<Socket> {
  const timeout = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  const signal = AbortSignal.any([options.signal, timeout]);
  try {
    const found = await withSignal(signal, addressesOf(target, { ...options, signal }));
    const socket = connect({
      host: addressOf(target) ?? target.host,
      port: target.port,
      // Both directions end for themselves.
      allowHalfOpen: true,
      autoSelectFamily: true,
      lookup: (_, { all }, callback) => {
        const [first] = found;
        if (all || !first) callback(null, [...found]);
        else callback(null, first.address, first.family);
      },
    });
    try {
      await once(socket, "connect", { signal });
    } catch (error) {
      socket.on("error", () => {}).destroy();
      throw error;
    }
    return socket;
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    const reason = timeout.aborted
      ? `no answer in ${CONNECT_TIMEOUT_MS} ms`
      : ((error as NodeJS.ErrnoException).code ?? "it failed");
    throw new Unreachable(
      timeout.aborted ? 504 : 502,
      `could not connect to ${textOf(target)}: ${reason}`,
    );
  }
}

/** Every address of the target. */
async function addressesOf(
  target: Target,
  { addresses, resolve, turns, signal }: ConnectOptions,
): Promise<readonly LookupAddress[]> {
  const address = addressOf(target);
  if (address !== undefined) return [{ address, family: isIP(address) }];
  const lookUp = async () => {
    signal.throwIfAborted();
    return resolve(target.host).catch(() => []);
  };
  const found = await turns.own.run(() => turns.shared.run(lookUp));
  if (found.length === 0)
    throw new Unreachable(502, `could not connect to ${textOf(target)}: its name is not known`);
  if (!found.every((each) => isAllowedAddress(each.address, addresses)))
    throw new Unreachable(
      403,
      `${textOf(target)} has an address that is neither public nor in this pool's ` +
        "network.addresses",
    );
  return found;
}

/** The value of a promise, or the signal's reason. */
async function withSignal<T>(signal: AbortSignal, value: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([value, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
