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
  const [address = "", bits, ...more] = text.split("/");
  const size = isIPv4(address) ? 32 : 128;
  return (
    isIP(address) > 0 &&
    !address.includes("%") &&
    more.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= size))
  );
}, "expected an IP address or a network, such as 10.0.0.0/8");

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIPv4(address) ? "ipv4" : "ipv6";
    list.addSubnet(
      address,
      bits === undefined ? (family === "ipv4" ? 32 : 128) : Number(bits),
      family,
    );
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
 * IPv4 that is not public: this network, private, shared, loopback, link-local (where clouds serve
 * their metadata), protocols, tests, relays, multicast and reserved ones (IANA special-purpose
 * registry, RFC 6890).
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
]);
/**
 * Public IPv6. Loopback, unique-local, link-local, multicast, mapped IPv4 and NAT64 lie outside.
 */
const PUBLIC_6 = listOf(["2000::/3"]);
/**
 * Exceptions within it: protocols (Teredo), documentation, and 6to4, which carries any IPv4
 * address.
 */
const SPECIAL_6 = listOf(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]);

/** Whether the server may connect to the address for a caller. */
export function allowsAddress({ addresses }: FetchRules, address: string): boolean {
  // An address with a zone is link-local.
  if (isIP(address) === 0 || address.includes("%")) return false;
  if (isIPv4(address)) return addresses.check(address, "ipv4") || !SPECIAL.check(address, "ipv4");
  return (
    addresses.check(address, "ipv6") ||
    (PUBLIC_6.check(address, "ipv6") && !SPECIAL_6.check(address, "ipv6"))
  );
}
