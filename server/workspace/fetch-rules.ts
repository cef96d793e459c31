/**
 * The operator's rules for fetching: which URLs a member fetches for its callers, and at which
 * addresses. By default it fetches no URL, and connects to public addresses only.
 */
import { BlockList, isIP, isIPv4 } from "node:net";
import { z } from "zod";

export interface UrlRule {
  /** As the operator wrote it. */
  readonly text: string;
  readonly protocol: string;
  /** A name or an address. A name that begins with a dot stands for every name below it. */
  readonly host: string;
  readonly port: string;
  readonly path: string;
}

export interface FetchRules {
  readonly urls: readonly UrlRule[];
  /** Addresses that are allowed beside the public ones. */
  readonly addresses: BlockList;
}

/** `SCHEME://HOST[:PORT][/PATH]`, `*.` before a host for all names below it. */
export const UrlRuleSchema = z.string().transform((text, context): UrlRule => {
  const [, scheme, wildcard = "", rest = ""] =
    /^(https?:\/\/)(\*\.)?([^\s@?#*\\]+)$/.exec(text) ?? [];
  const url = URL.parse(`${scheme}${rest}`);
  if (
    scheme === undefined ||
    !url ||
    (wildcard !== "" && isIP(url.hostname.replace(/^\[|\]$/g, "")) > 0)
  ) {
    context.addIssue({
      code: "custom",
      message:
        "expected the beginning of a URL, such as https://assets.example.com/public/ or " +
        `https://*.example.com; got ${JSON.stringify(text)}`,
    });
    return z.NEVER;
  }
  return {
    text,
    protocol: url.protocol,
    host: `${wildcard.slice(1)}${url.hostname}`,
    port: url.port,
    path: url.pathname,
  };
});

/** `ADDRESS` or `ADDRESS/BITS`. */
export const NetworkSchema = z.string().refine((text) => {
  try {
    listOf([text]);
    return /^[^/%]+(\/\d{1,3})?$/.test(text);
  } catch {
    return false;
  }
}, "expected an IP address or a network, such as 10.0.0.0/8");

/** @throws for a text that is no network. */
function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const isV4 = isIPv4(address);
    list.addSubnet(address, Number(bits ?? (isV4 ? 32 : 128)), isV4 ? "ipv4" : "ipv6");
  }
  return list;
}

export function fetchRulesOf({
  fetch,
  fetchAddresses,
}: {
  fetch: readonly UrlRule[];
  fetchAddresses: readonly string[];
}): FetchRules {
  return { urls: fetch, addresses: listOf(fetchAddresses) };
}

/**
 * Whether the operator allows the URL. The addresses of its host need {@link allowsAddress}
 * besides.
 */
export function allowsUrl(
  { urls }: FetchRules,
  { protocol, hostname, port, pathname }: URL,
): boolean {
  return urls.some((rule) => {
    const isHost = rule.host.startsWith(".")
      ? hostname.endsWith(rule.host) && hostname !== rule.host
      : hostname === rule.host;
    if (!isHost || rule.protocol !== protocol || rule.port !== port) return false;
    // Some servers decode an encoded slash: `..%2f` would climb out of the allowed path.
    if (rule.path === "/") return true;
    return (
      !/%(2f|5c)/i.test(pathname) &&
      (pathname === rule.path ||
        pathname.startsWith(rule.path.endsWith("/") ? rule.path : `${rule.path}/`))
    );
  });
}

/**
 * Addresses that are not public (IANA special-purpose registry, RFC 6890). IPv4: this network,
 * private, shared, loopback, link-local (where clouds serve their metadata), protocols, tests,
 * relays, multicast and reserved ones. IPv6: protocols (Teredo), documentation, and 6to4, which
 * carries any IPv4 address.
 */
const SPECIAL = listOf([
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
const PUBLIC_6 = listOf(["2000::/3"]);

/** Whether the server may connect to the address for a caller. */
export function allowsAddress(
  { addresses }: Pick<FetchRules, "addresses">,
  address: string,
): boolean {
  // An address with a zone is link-local.
  if (isIP(address) === 0 || address.includes("%")) return false;
  const isV4 = isIPv4(address);
  const family = isV4 ? "ipv4" : "ipv6";
  if (addresses.check(address, family)) return true;
  return (isV4 || PUBLIC_6.check(address, family)) && !SPECIAL.check(address, family);
}
