/** Tells hosts that only this machine can reach, where nobody else reads what is sent in clear. */

/** Whether the host is a loopback address or `localhost`. */
export function isLoopback(host: string): boolean {
  return /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|\[::1\]|localhost)$/.test(host);
}

/** Whether others on the network can read what is sent to this URL. */
export function isReadable(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !isLoopback(hostname);
}
