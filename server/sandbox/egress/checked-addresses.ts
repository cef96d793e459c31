/**
 * Finds the addresses of a host to which a member connects for others. The connection goes to the
 * addresses that were checked: a name that changes its address a moment later (DNS rebinding) gains
 * nothing.
 */
import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { type BlockList, isIP, type TcpSocketConnectOpts } from "node:net";
import { isAllowedAddress } from "./addresses.ts";
import { addressOf } from "./targets.ts";
import { LOOKUPS, type Turns } from "./turns.ts";

/** Finds every address of a name. */
export type Resolve = (name: string) => Promise<readonly LookupAddress[]>;

/** Every address of a name, from the system's resolver. */
export const systemResolve: Resolve = (name) => lookup(name, { all: true, order: "verbatim" });

export interface AddressRules {
  /** Addresses that are allowed beside the public ones. */
  readonly listed: BlockList;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve | undefined;
  /** The turns of the caller, before those of the whole process. Default: no further ones. */
  readonly turns?: Turns | undefined;
  /** Ends the wait for the resolver. */
  readonly signal: AbortSignal;
  /** Makes the error for a name that is not known, or for an address that is not allowed. */
  fail(why: "unknown" | "forbidden"): Error;
}

/**
 * Every address of a host. All of them are allowed, because the connection may go to any.
 *
 * @param host a name, or an address in the form of a URL.
 * @throws what `fail` makes; the signal's reason.
 */
export async function checkedAddresses(
  host: string,
  { listed, resolve = systemResolve, turns, signal, fail }: AddressRules,
): Promise<readonly LookupAddress[]> {
  const address = addressOf({ host });
  const lookUp = () =>
    LOOKUPS.run(async () => {
      signal.throwIfAborted();
      return resolve(host);
    });
  const found =
    address === undefined
      ? await withSignal(
          signal,
          (turns ? turns.run(lookUp) : lookUp()).catch(() => []),
        )
      : [{ address, family: isIP(address) }];
  if (found.length === 0) throw fail("unknown");
  if (!found.every((each) => isAllowedAddress(each.address, listed))) throw fail("forbidden");
  return found;
}

/** The `lookup` of a connection to a host whose addresses have been found. */
export function lookupOf(
  found: readonly LookupAddress[],
): NonNullable<TcpSocketConnectOpts["lookup"]> {
  return (_, { all }, callback) => {
    const [first] = found;
    if (all || !first) callback(null, [...found]);
    else callback(null, first.address, first.family);
  };
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
