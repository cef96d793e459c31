/** Services of this machine that the children of a pool may reach through the member's proxy. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { PoolOptions } from "../../server/main.ts";
import { hostileMissing } from "./hostile.ts";
import { within } from "./member.ts";
import { hasOpenssl, Pki } from "./pki.ts";

/** Why there are no children with a proxy here; undefined where there are. */
export const egressMissing =
  hostileMissing ??
  (hasOpenssl ? undefined : "openssl is not installed") ??
  (existsSync("/usr/bin/perl") ? undefined : "there is no /usr/bin/perl");

/** An address of this machine's loopback that no `NO_PROXY` names. */
const ADDRESS = "127.0.0.2";

/** Answers with the request, and below `/files/` with the files of a folder. */
function answerFrom(folder: string): RequestListener {
  return async (incoming, outgoing) => {
    const { method, url = "" } = incoming;
    const [, path] = /^\/files\/([^?]*)/.exec(url) ?? [];
    if (path !== undefined) {
      const file = join(folder, path);
      if (existsSync(file)) outgoing.end(readFileSync(file));
      else outgoing.writeHead(404).end();
      return;
    }
    let body = "";
    for await (const piece of incoming) body += piece;
    outgoing.end(`${method} ${url} ${body}`);
  };
}

/** A server on every address of this machine, closed with the test. Counts its connections. */
export async function serve(listener: RequestListener, tls?: { key: string; cert: string }) {
  let visitors = 0;
  const server = tls ? createSecure(tls, listener) : createServer(listener);
  server.on("connection", () => {
    visitors += 1;
  });
  server.listen(0, "0.0.0.0");
  await within("a service", once(server, "listening"));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port, visitors: () => visitors };
}

/**
 * Two services, one of them with TLS, and a pool whose children may reach them.
 *
 * @param folder the files of both services.
 */
export async function reachable(folder: string) {
  const pki = new Pki();
  onTestFinished(() => pki.remove());
  pki.authority("ca");
  pki.certificate("server", "ca", { address: ADDRESS });
  const answer = answerFrom(folder);
  const keys = { key: pki.pem("server.key"), cert: pki.pem("server.pem") };
  const secure = await serve(answer, keys);
  const plain = await serve(answer);
  const hosts = { secure: `${ADDRESS}:${secure.port}`, plain: `${ADDRESS}:${plain.port}` };
  const network = { allow: Object.values(hosts) };
  return {
    plain,
    hosts,
    urls: [`https://${hosts.secure}`, `http://${hosts.plain}`] as const,
    pool: { maxChildren: 3, network } satisfies PoolOptions,
    /** Makes programs trust the service with TLS. */
    spec: {
      files: { "ca.pem": pki.pem("ca.pem") },
      env: {
        CURL_CA_BUNDLE: "/work/ca.pem",
        GIT_SSL_CAINFO: "/work/ca.pem",
        NODE_EXTRA_CA_CERTS: "/work/ca.pem",
        REQUESTS_CA_BUNDLE: "/work/ca.pem",
        SSL_CERT_FILE: "/work/ca.pem",
      },
    },
  };
}
