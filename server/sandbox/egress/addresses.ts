/** The addresses to which a member connects for others: public ones, and those in a list. */
import { BlockList, isIP, isIPv4 } from "node:net";
import { z } from "zod";

/** `ADDRESS` or `ADDRESS/BITS`. */
export const NetworkSchema = z.string().refine((text) => {
  try {
    addressList([text]);
    return /^[^/%]+(\/\d{1,3})?$/.test(text);
  } catch {
    return false;
  }
}, "expected an IP address or a network, such as 10.0.0.0/8");

/** @throws for a text that is no network. */
export function addressList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const isV4 = isIPv4(address);
    list.addSubnet(address, Number(bits ?? (isV4 ? 32 : 128)), isV4 ? "ipv4" : "ipv6");
  }
  return list;
}

/**
 * Addresses that are not public (IANA special-purpose registry, RFC 6890). IPv4: this network,
 * private, shared, loopback, link-local (where clouds serve their metadata), protocols, tests,
 * relays, multicast and reserved ones. IPv6: protocols (Teredo), documentation, and 6to4, which
 * carries any IPv4 address.
 */
const SPECIAL = addressList([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
]);
/**
 * Public IPv6. Loopback, unique-local, link-local, multicast, mapped IPv4 and NAT64 lie outside.
 */
const PUBLIC_6 = addressList(["2000::/3"]);

/**
 * Whether a member may connect to an address on behalf of others.
 *
 * @param listed addresses that are allowed beside the public ones.
 */
export function isAllowedAddress(address: string, listed: BlockList): boolean {
  // An address with a zone is link-local.
  if (isIP(address) === 0 || address.includes("%")) return false;
  const isV4 = isIPv4(address);
  const family = isV4 ? "ipv4" : "ipv6";
  if (listed.check(address, family)) return true;
  return (isV4 || PUBLIC_6.check(address, family)) && !SPECIAL.check(address, family);
}
