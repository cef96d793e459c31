/** The headers that a proxy passes on. Pure. */

/** Headers of one connection, which end at the proxy (RFC 9110, section 7.6.1). */
const OF_CONNECTION = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
/** Headers of a request that the proxy answers or writes itself. */
export const OF_REQUEST = ["host", "expect"];

/**
 * The headers without those of the connection.
 *
 * @param raw names and values in turn, as Node's `rawHeaders`.
 * @param more further names that are left out.
 */
export function passedOn(raw: readonly string[], more: readonly string[] = []): string[] {
  const pairs = raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ""]] : []));
  const named = pairs
    .filter(([name]) => name?.toLowerCase() === "connection")
    .flatMap(([, value = ""]) => value.toLowerCase().split(","));
  const left = new Set([...OF_CONNECTION, ...more, ...named.map((name) => name.trim())]);
  // Without its length, the body of a GET would pass for another request.
  left.delete("content-length");
  return pairs.filter(([name = ""]) => !left.has(name.toLowerCase())).flat();
}
