/**
 * The operator's rules for fetching: which URLs a member fetches for its callers, and at which
 * addresses. By default it fetches no URL, and connects to public addresses only.
 */
import { type BlockList, isIP } from "node:net";
import { z } from "zod";
import { addressList } from "../../sandbox/egress/addresses.ts";

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

export function fetchRulesOf({
  fetch,
  fetchAddresses,
}: {
  fetch: readonly UrlRule[];
  fetchAddresses: readonly string[];
}): FetchRules {
  return { urls: fetch, addresses: addressList(fetchAddresses) };
}

/** Whether the operator allows the URL. The addresses of its host are checked besides. */
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
