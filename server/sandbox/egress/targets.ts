/** The names and ports that a pool's children may reach, and how they are compared. Pure. */
import { isIP } from "node:net";
import { z } from "zod";

/** A host in the one form in which hosts are compared, and a port. */
export interface Target {
  /** A name in lower case and in Punycode without a dot at its end, or an address in brackets. */
  readonly host: string;
  readonly port: number;
}

/** The longest name of the domain name system. */
const MAX_HOST = 253;
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^\s:/?#@%\\[\]]+):(\d{1,5})$/i;

export const textOf = ({ host, port }: Target) => `${host}:${port}`;

/** The IP address that a target names; undefined for a name. */
export function addressOf({ host }: Pick<Target, "host">): string | undefined {
  const address = host.replace(/^\[|\]$/g, "");
  return isIP(address) > 0 ? address : undefined;
}

/** @returns undefined for a text that is not `HOST:PORT`. */
export function parseTarget(text: string): Target | undefined {
  const [, name = "", digits] = AUTHORITY.exec(text) ?? [];
  const host = canonicalHost(name);
  const port = Number(digits);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** The one form of a host. Other forms of an address, such as `0x7f.1`, become the usual one. */
export function canonicalHost(host: string): string | undefined {
  const canonical = URL.parse(`http://${host}/`)?.hostname.replace(/\.$/, "");
  return canonical && canonical.length <= MAX_HOST ? canonical : undefined;
}

/** The one form of an allowed target, `*.` before a name; undefined for a text that is none. */
export function allowedTarget(text: string): string | undefined {
  const [, wildcard = "", rest = ""] = /^(\*\.)?([^*]*)$/.exec(text) ?? [];
  const target = parseTarget(rest);
  if (!target || (wildcard !== "" && addressOf(target) !== undefined)) return undefined;
  return `${wildcard}${textOf(target)}`;
}

/** @param allowed as {@link allowedTarget} returns them. */
export function isAllowedTarget(target: Target, allowed: readonly string[]): boolean {
  const text = textOf(target);
  return allowed.some((each) =>
    each.startsWith("*") ? text.endsWith(each.slice(1)) && text !== each.slice(1) : text === each,
  );
}

/** `HOST:PORT`, `*.` before a name for all names below it. */
export const TargetSchema = z
  .string()
  .refine(
    (text) => allowedTarget(text) !== undefined,
    "expected a name and a port, such as files.example:443, *.files.example:443 or " +
      "[2001:db8::1]:443",
  );
