/** Connects to a target for a child. */
import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { type BlockList, connect, isIP, type Socket } from "node:net";
import { checkedAddresses, lookupOf, type Resolve } from "./checked-addresses.ts";
import { addressOf, type Target, textOf } from "./targets.ts";
import type { Turns } from "./turns.ts";

/** The longest time for the name and the connection together. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface ConnectOptions {
  /** Addresses that a name may have beside the public ones. */
  readonly addresses: BlockList;
  readonly resolve: Resolve;
  /** The turns of this child: it looks up one name at a time. */
  readonly turns: Turns;
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
    const found = await addressesOf(target, { ...options, signal });
    const socket = connect({
      host: addressOf(target) ?? target.host,
      port: target.port,
      // Both directions end for themselves.
      allowHalfOpen: true,
      autoSelectFamily: true,
      lookup: lookupOf(found),
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
  return checkedAddresses(target.host, {
    listed: addresses,
    resolve,
    turns,
    signal,
    fail: (why) =>
      why === "unknown"
        ? new Unreachable(502, `could not connect to ${textOf(target)}: its name is not known`)
        : new Unreachable(
            403,
            `${textOf(target)} has an address that is neither public nor in this pool's ` +
              "network.addresses",
          ),
  });
}
