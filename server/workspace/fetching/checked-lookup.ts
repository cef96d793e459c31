/**
 * Resolves names for connections that a caller asked for. The connection goes to the address that
 * was checked: a name that changes its address a moment later (DNS rebinding) gains nothing.
 */
import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP, type TcpSocketConnectOpts } from "node:net";
import type { ErrorCode } from "../../../openapi/errors.ts";
import { LOOKUPS } from "../../sandbox/egress/turns.ts";
import { allowsAddress, type FetchRules } from "./fetch-rules.ts";

export interface LookupOptions {
  readonly rules: Pick<FetchRules, "addresses">;
  /** Every address of a name. Default: the system's resolver. */
  readonly resolve?: ((name: string) => Promise<readonly LookupAddress[]>) | undefined;
  /** Makes the error for a name that is not known, or for an address that is not allowed. */
  readonly fail: (code: Extract<ErrorCode, "forbidden" | "fetch_failed">, why: string) => Error;
}

const systemResolve = (name: string) => lookup(name, { all: true, order: "verbatim" });

/** Checks the host of a URL that is an address: it is connected to without a lookup. */
export function checkHost({ hostname }: URL, options: LookupOptions): void {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) > 0) checkAddresses([host], options);
}

/** A lookup that checks every address of a name: the connection may go to any of them. */
export function checkedLookup(options: LookupOptions): NonNullable<TcpSocketConnectOpts["lookup"]> {
  const { resolve = systemResolve, fail } = options;
  const addressesOf = async (name: string) => {
    const addresses = await LOOKUPS.run(() => resolve(name)).catch(() => []);
    const [first] = addresses;
    if (!first) throw fail("fetch_failed", "its name is not known");
    checkAddresses(
      addresses.map(({ address }) => address),
      options,
    );
    return { addresses: [...addresses], first };
  };
  return (name, { all }, callback) =>
    void addressesOf(name).then(
      ({ addresses, first }) =>
        all ? callback(null, addresses) : callback(null, first.address, first.family),
      (error) => callback(error, ""),
    );
}

function checkAddresses(addresses: readonly string[], { rules, fail }: LookupOptions): void {
  if (!addresses.every((address) => allowsAddress(rules, address)))
    throw fail(
      "forbidden",
      "expected a public address, or one that the pool's operator allows in its option " +
        "`fetchAddresses`; it has another one",
    );
}
