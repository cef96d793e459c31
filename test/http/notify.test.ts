/** Notifications of children's endings, checked by verifiers of other authors. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { type Options, post, problemOf, startMembers, startOne, until } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server that takes notifications, and answers each with the next of these statuses. */
async function receiver(...statuses: number[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    received.push({ headers: request.headers, body: await text(request) });
    response.writeHead(statuses.shift() ?? 204, { location: "/elsewhere" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/ended`, port, received };
}

function secretFile() {
  const folder = mkdtempSync(join(tmpdir(), "dpool-notify-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  const file = join(folder, "secret");
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return { file, secret };
}

const pool = (url: string) => ({
  maxChildren: 3,
  notify: [url],
  fetchAddresses: ["127.0.0.1"],
});

async function start(url: string, more: Options = {}) {
  const { file, secret } = secretFile();
  const member = await startOne({
    pools: { pipeline: pool(url) },
    notifySecretFile: file,
    ...more,
  });
  return { member, secret };
}

const dataOf = ({ body }: Received) =>
  (JSON.parse(body) as { data: { child: ChildInfo; ending: { type: string } } }).data;
const count = (received: readonly unknown[], expected: number) =>
  until(`${expected} notifications`, () => received.length === expected);

describe("a notification", () => {
  test("tells the ending, and verifies with the library, openssl and python", async () => {
    const { url, received } = await receiver();
    const { member, secret } = await start(url);
    const spec = { command: ["sh", "-c", "exit 7"], notify: { url } };
    const answer = await post(`${member.url}/pools/pipeline`, "/children", spec);
    const { id } = (await answer.json()) as ChildInfo;
    await count(received, 1);
    const [message] = received as [Received];
    expect(dataOf(message)).toMatchObject({
      child: { id, status: "ended", exitCode: 7 },
      ending: { type: "result", exitCode: 7 },
    });
    const { headers, body } = message;
    const signed = Object.fromEntries(
      ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => [
        name,
        String(headers[name]),
      ]),
    );
    expect(new Webhook(secret).verify(body, signed)).toMatchObject({ type: "child.ended" });
    expect(() => new Webhook(secret).verify(`${body} `, signed)).toThrow();

    const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const key = Buffer.from(secret.slice("whsec_".length), "base64").toString("hex");
    const openssl = ["dgst", "-sha256", "-mac", "HMAC", "-macopt", `hexkey:${key}`, "-binary"];
    if (onPath("openssl"))
      expect(`v1,${execFileSync("openssl", openssl, { input: content }).toString("base64")}`).toBe(
        headers["webhook-signature"],
      );
    const script =
      "import sys,hmac,hashlib,base64;" +
      "print('v1,'+base64.b64encode(hmac.digest(bytes.fromhex(sys.argv[1])," +
      "sys.stdin.buffer.read(),'sha256')).decode())";
    if (onPath("python3"))
      expect(execFileSync("python3", ["-c", script, key], { input: content }).toString()).toBe(
        `${headers["webhook-signature"]}\n`,
      );
  });

  test("comes for a function too, through a gateway; not for a refused one", async () => {
    const { url, received } = await receiver();
    const { file } = secretFile();
    const [, gateway] = await startMembers(
      { pools: { pipeline: pool(url) }, notifySecretFile: file },
      { pools: { other: 1 } },
    );
    const notify = { url };
    const at = `${gateway?.url}/pools/pipeline`;
    const run = await post(at, "/run", { function: { source: "() => 41 + 1" }, notify });
    expect(await run.json()).toMatchObject({ value: 42 });
    await count(received, 1);
    const large = { function: { source: "() => 'x'.repeat(100_000)" }, notify };
    await (await post(at, "/run", large)).text();
    await count(received, 2);
    expect(received.map((each) => dataOf(each).ending)).toMatchObject([
      { value: 42 },
      { type: "result", partial: true },
    ]);
    await post(at, "/run", { command: ["true"], notify, sandbox: "full", task: { name: "x" } });
    const deadline = { command: ["sleep", "60"], deadlineMs: 50, notify };
    await (await post(at, "/call", deadline)).text();
    await count(received, 3);
    expect(dataOf(received[2] as Received).child.code).toBe("deadline_exceeded");
  });

  test("is repeated with one id until it is taken; a redirect does not take it", async () => {
    const { url, received } = await receiver(500, 302);
    const { member, secret } = await start(url);
    await post(`${member.url}/pools/pipeline`, "/run", { command: ["true"], notify: { url } });
    await until("the third try", () => received.length === 3);
    const ids = new Set(received.map(({ headers }) => headers["webhook-id"]));
    expect(ids.size).toBe(1);
    for (const { headers, body } of received)
      new Webhook(secret).verify(body, headers as Record<string, string>);
  });

  test("that nobody takes is logged when the member ends, and holds it no longer", async () => {
    const lines: string[] = [];
    const { url, port } = await receiver();
    const away = `http://127.0.0.1:1/ended?token=secret`;
    const { file } = secretFile();
    const member = await startOne({
      pools: { pipeline: { ...pool(url), notify: [url, "http://127.0.0.1:1/"] } },
      notifySecretFile: file,
      drainMs: 100,
      log: (_, line) => void lines.push(line),
    });
    expect(port).toBeGreaterThan(0);
    await post(`${member.url}/pools/pipeline`, "/run", {
      command: ["true"],
      notify: { url: away },
    });
    await member.stop();
    expect(lines.filter((line) => line.includes("was not notified"))).toEqual([
      expect.stringMatching(/^child \S+: http:\/\/127.0.0.1:1\/ended was not notified: .*ECONNREF/),
    ]);
  });
});

describe("a URL", () => {
  test.each([
    ["that the operator does not allow", "http://127.0.0.1:1/elsewhere", "forbidden"],
    ["with a user", "http://a:b@127.0.0.1:1/", "invalid_request"],
    ["of another scheme", "file:///etc/passwd", "invalid_request"],
    ["that is none", "nonsense", "invalid_request"],
  ])("%s is refused, and nothing runs", async (_, url, code) => {
    const { member } = await start("http://127.0.0.1:1/ended");
    const spec = { command: ["true"], notify: { url } };
    const answer = await post(`${member.url}/pools/pipeline`, "/run", spec);
    expect((await problemOf(answer)).code).toBe(code);
    expect(await (await fetch(`${member.url}/children`)).json()).toEqual({ children: [] });
  });

  test("at an address that is not public is not asked", async () => {
    const lines: string[] = [];
    const { url, received } = await receiver();
    const { file } = secretFile();
    const member = await startOne({
      pools: { pipeline: { maxChildren: 1, notify: [url] } },
      notifySecretFile: file,
      log: (_, line) => void lines.push(line),
    });
    await post(`${member.url}/pools/pipeline`, "/run", { command: ["true"], notify: { url } });
    await until("the log", () => lines.some((line) => line.includes("expected a public address")));
    expect(received).toEqual([]);
  });
});

test("a repeated call with a key notifies once", async () => {
  const { url, received } = await receiver();
  const { member } = await start(url);
  const at = `${member.url}/pools/pipeline`;
  const spec = { command: ["true"], notify: { url } };
  const keyed = { ...spec, idempotencyKey: "once" };
  for (const each of [keyed, keyed, spec]) await (await post(at, "/run", each)).text();
  await count(received, 2);
  const children = await (await fetch(`${member.url}/children`)).json();
  expect(new Set(received.map((each) => dataOf(each).child.id)).size).toBe(2);
  expect(children).toMatchObject({ children: [{}, {}] });
});

test("a reload gives a member no key, so nothing is signed", async () => {
  const { url } = await receiver();
  const member = await startOne({ pools: { pipeline: 1 } });
  const { file } = secretFile();
  await member.reload({ pools: { pipeline: pool(url) }, notifySecretFile: file });
  const spec = { command: ["true"], notify: { url } };
  const answer = await post(`${member.url}/pools/pipeline`, "/run", spec);
  expect(await problemOf(answer)).toMatchObject({
    code: "forbidden",
    detail: expect.stringContaining("notifySecretFile"),
  });
});

test("a pool that notifies needs a key", async () => {
  await expect(startOne({ pools: { pipeline: pool("https://a.example/") } })).rejects.toThrow(
    "pools.pipeline.notify: expected notifySecretFile beside it",
  );
  const { file } = secretFile();
  writeFileSync(file, "whsec_c2hvcnQ=");
  const options = { pools: { pipeline: 1 }, notifySecretFile: file };
  await expect(startOne(options)).rejects.toThrow("expected whsec_ and 24 to 64 bytes as base64");
});
