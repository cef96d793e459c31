/** Members behind reverse proxies that cut a silent connection after 3 seconds. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { problemOf, startMembers, until, within } from "../helpers/member.ts";

const TOOLS = fileURLToPath(new URL("../../.tools/proxies", import.meta.url));
const PUBLIC_HOST = "pool.example.org";
const PUBLIC = `https://${PUBLIC_HOST}`;

async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  const port = await promise;
  await new Promise((closed) => server.close(closed));
  return port;
}

interface Proxy {
  readonly program: string;
  args(folder: string): readonly string[];
  readonly file: string;
  config(port: number, upstream: number, folder: string): string;
}

const PROXIES: Readonly<Record<string, Proxy>> = {
  nginx: {
    program: "usr/sbin/nginx",
    file: "nginx.conf",
    args: (folder) => ["-p", folder, "-e", "stderr", "-c", `${folder}/nginx.conf`],
    config: (port, upstream, folder) => `
daemon off; master_process off; pid ${folder}/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${upstream};
      proxy_http_version 1.1; proxy_read_timeout 3s;
    }
  }
}`,
  },
  HAProxy: {
    program: "usr/sbin/haproxy",
    file: "haproxy.cfg",
    args: (folder) => ["-db", "-f", `${folder}/haproxy.cfg`],
    config: (port, upstream) => `
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 3s
frontend pool
  bind 127.0.0.1:${port}
  default_backend members
backend members
  server m1 127.0.0.1:${upstream}
`,
  },
  Caddy: {
    program: "usr/bin/caddy",
    file: "Caddyfile",
    args: (folder) => ["run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"],
    config: (port, upstream, folder) => `{
  admin off
  storage file_system ${folder}
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstream} {
    transport http {
      read_timeout 3s
      response_header_timeout 3s
    }
  }
}
`,
  },
};

/** Two members, and the proxy in front of the one that has no pool. Returns the proxy's port. */
async function behind({ program, file, args, config }: Proxy) {
  const options = { heartbeatMs: 500, publicUrl: PUBLIC, rememberMs: 60_000 };
  const [gateway, own] = await startMembers({ ...options, pools: { other: 1 } }, options);
  const folder = await mkdtemp(join(tmpdir(), "proxy-"));
  const port = await freePort();
  await writeFile(
    join(folder, file),
    config(port, Number(new URL(gateway?.url ?? "").port), folder),
  );
  const proxy = spawn(join(TOOLS, program), args(folder), {
    stdio: "ignore",
    env: { LD_LIBRARY_PATH: join(TOOLS, "usr/lib/x86_64-linux-gnu"), HOME: folder },
  });
  const ended = new Promise((resolve) => proxy.once("close", resolve));
  onTestFinished(async () => {
    proxy.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${url}/livez`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until("the proxy to answer", isUp);
  return { url, ownUrl: own?.url ?? "" };
}

const SILENT = { command: ["sh", "-c", "sleep 4.5; echo done"] };
const HEADERS = { "content-type": "application/json", host: PUBLIC_HOST, origin: PUBLIC };

describe.each(Object.entries(PROXIES))("%s in front", (_, proxy) => {
  const there = existsSync(join(TOOLS, proxy.program));

  test.skipIf(!there)("passes on silent calls, links and endings", async () => {
    const { url, ownUrl } = await behind(proxy);
    const ask = (path: string, body?: unknown, headers = {}) =>
      within(
        `the head of ${path}`,
        request(`${url}${path}`, {
          reset: true,
          method: body === undefined ? "GET" : "POST",
          headers: { ...HEADERS, ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      );
    const silent = async (path: string, work: object, headers = {}) => {
      const { statusCode, headers: head, body } = await ask(path, work, headers);
      return { statusCode, id: String(head["pool-child-id"]), text: await body.text() };
    };
    const [json, stream, failed] = await Promise.all([
      silent("/pools/pipeline/run", { ...SILENT, waitMs: 0 }),
      silent("/pools/pipeline/call", SILENT),
      silent("/pools/other/run", { command: ["sh", "-c", "sleep 3.5; kill -9 $$"] }),
    ]);
    expect(json.statusCode).toBe(200);
    expect(json.text).toMatch(/^\n+\{/);
    expect(JSON.parse(json.text)).toMatchObject({ stdout: "done\n", child: { id: json.id } });
    expect(stream.text).toContain('"exitCode":0');
    expect(JSON.parse(failed.text)).toMatchObject({ problem: { code: "worker_crashed" } });
    const early = await silent("/pools/other/run", { command: ["sh", "-c", "kill -9 $$"] });
    expect(early.statusCode).toBe(502);

    const placed = await ask("/pools/pipeline/children", { command: ["cat"] });
    const child = (await placed.body.json()) as ChildInfo;
    expect(placed.headers.location).toBe(`${PUBLIC}/children/${child.id}`);
    const now = await ask(`/children/${child.id}/result`);
    expect([now.statusCode, now.headers["pool-child-id"]]).toEqual([204, child.id]);
    await ask(`/children/${child.id}/stdin?end=true`, "");
    const ending = async () => (await ask(`/children/${child.id}/result?waitMs=1000`)).statusCode;
    await until("its end", async () => (await ending()) === 200);
    const contract = await ask("/openapi.json");
    expect(await contract.body.json()).toMatchObject({ servers: [{ url: PUBLIC }] });
    const foreign = await ask("/pools", undefined, { origin: "https://evil.example" });
    expect(foreign.statusCode).toBe(403);
    const unknown = await fetch(`${ownUrl}/children/m2.${"0".repeat(32)}`);
    expect(await problemOf(unknown)).toMatchObject({ code: "child_not_found", status: 404 });
  });
});
