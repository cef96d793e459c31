/**
 * A network that fails: a proxy that cuts connections after a number of bytes of the answer, or
 * that keeps them open and passes nothing on.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface CuttingProxy {
  readonly url: string;
  /** How often the proxy has cut. */
  readonly cuts: number;
  /** How many requests of this method have passed. */
  requests(method: string): number;
  /** Cuts the connections that are open. */
  cut(): void;
  /** Freezes the open connections: nothing passes on them any more. */
  freeze(): void;
}

/**
 * Stands before a server until the test ends.
 *
 * @param cutAfter gives, for each request, after how many bytes of its answer the connection is
 * cut; undefined for never.
 * @param lost bytes that the proxy reads before the cut and drops, as if they were on the way.
 * Default 0.
 */
export async function cuttingProxy(
  url: string,
  cutAfter: () => number | undefined,
  lost = 0,
): Promise<CuttingProxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const methods: string[] = [];
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let left = Number.POSITIVE_INFINITY;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {}).once("close", () => sockets.delete(socket));
    }
    client.on("data", (chunk: Buffer) => {
      for (const [, method] of chunk.toString("latin1").matchAll(/^([A-Z]+) \S+ HTTP\/1\.1\r$/gm)) {
        methods.push(method as string);
        left = cutAfter() ?? Number.POSITIVE_INFINITY;
      }
      upstream.write(chunk);
    });
    upstream.on("data", (chunk: Buffer) => {
      // The proxy reads no faster than it writes: a real network has no such buffer.
      if (left > 0 && !client.write(chunk.subarray(0, left))) {
        upstream.pause();
        client.once("drain", () => upstream.resume());
      }
      left -= chunk.length;
      if (left > -lost) return;
      cuts += 1;
      client.destroySoon();
      upstream.destroy();
    });
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => client.destroySoon());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cuts() {
      return cuts;
    },
    requests: (method) => methods.filter((each) => each === method).length,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    freeze: () => {
      for (const socket of sockets) socket.removeAllListeners("data").pause();
    },
  };
}
