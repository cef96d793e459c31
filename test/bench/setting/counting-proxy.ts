/** A proxy before Consul that counts the questions of members and clients. */
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

export interface CountingProxy {
  readonly url: string;
  /** Requests so far, without the heartbeats of members. */
  readonly count: number;
  close(): void;
}

const HEARTBEAT = "/v1/agent/check/";

/** @param target `http://HOST:PORT` of the agent. */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    if (!incoming.url?.startsWith(HEARTBEAT)) count += 1;
    const { method, headers } = incoming;
    const onward = request(`${target}${incoming.url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get count() {
      return count;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
