/**
 * An attacker can register services in Consul, and may have a certificate of the right authority.
 * Members and the SDK send it neither tokens nor calls.
 */
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool, type DistributedPoolOptions } from "../../sdk/typescript/node.ts";
import { newToken } from "../../server/access/tokens.ts";
import { type MemberOptions, type RunningMember, startMember } from "../../server/main.ts";
import { type ConsulAgent, consulMissing, startConsul } from "../helpers/consul.ts";
import { until, within } from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const missing = consulMissing ?? (hasOpenssl ? undefined : "openssl is not installed");
const CALLER = newToken("caller", ["call", "observe"], ["*"]);

describe.skipIf(missing !== undefined)(`an attacker in Consul${missing ?? ""}`, () => {
  let agent: ConsulAgent;
  let pki: Pki;

  beforeAll(async () => {
    agent = await startConsul();
    pki = new Pki();
    pki.authority("ours");
    for (const name of ["m1", "m2", "m3"]) pki.certificate(name, "ours", { members: [name] });
    pki.certificate("database", "ours", { members: [] });
    writeFileSync(pki.at("tokens"), `${CALLER.line}\n`, { mode: 0o600 });
  }, 60_000);
  afterAll(async () => {
    await agent?.stop();
    pki?.remove();
  });

  async function start(options: Partial<MemberOptions> & { name: string }) {
    const member = await startMember({
      pools: { gate: 1 },
      port: 0,
      sandbox: SANDBOX_OPTION,
      drainMs: 0,
      consul: { address: agent.httpAddress },
      tokenFile: pki.at("tokens"),
      ...options,
    });
    onTestFinished(() => within("the member's stop", member.stop()));
    await within("the member to join", member.joined);
    return member;
  }

  const secure = (name: string) => ({
    name,
    tls: {
      certFile: pki.at(`${name}.pem`),
      keyFile: pki.at(`${name}.key`),
      clientCaFile: pki.at("ours.pem"),
      caFile: pki.at("ours.pem"),
    },
  });

  /** A server that answers every question as a free member would, and keeps what it is sent. */
  async function startRogue(certificate?: string) {
    const seen: { url: string | undefined; authorization: string | undefined }[] = [];
    const answer = ({ url, headers }: IncomingMessage, response: ServerResponse) => {
      seen.push({ url, authorization: headers.authorization });
      const load = { active: 0, max: 1_000, queued: 0 };
      const pools = { pipeline: load, gate: load };
      response
        .writeHead(url === "/call" ? 500 : 200, { "content-type": "application/json" })
        .end(JSON.stringify({ member: "m9", pools, children: [], id: "forged" }));
    };
    const server = certificate
      ? createTlsServer(
          { cert: pki.pem(`${certificate}.pem`), key: pki.pem(`${certificate}.key`) },
          answer,
        )
      : createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return { seen, port: (server.address() as AddressInfo).port };
  }

  async function register(member: string, port: number, scheme: "http" | "https") {
    const id = `rogue-${member}-${port}`;
    const answer = await fetch(`${agent.httpAddress}/v1/agent/service/register`, {
      method: "PUT",
      body: JSON.stringify({
        ID: id,
        Name: "distributed-pool",
        Address: "127.0.0.1",
        Port: port,
        Tags: ["pipeline", "gate"],
        Meta: {
          member,
          scheme,
          version: "0.2.0",
          sandbox: "full",
          "maxChildren-pipeline": "1000",
          "maxChildren-gate": "1000",
        },
      }),
    });
    expect(answer.status).toBe(200);
    onTestFinished(() => agent.ask(`/v1/agent/service/deregister/${id}`, "PUT"));
  }

  const identity = () => ({
    token: CALLER.token,
    ca: pki.pem("ours.pem"),
    cert: pki.pem("database.pem"),
    key: pki.pem("database.key"),
  });

  function poolsOf(options: DistributedPoolOptions): DistributedPool {
    const pools = new DistributedPool(options);
    onTestFinished(() => pools.close());
    return pools;
  }

  /** Waits until the member and the SDK have heard of a member from Consul. */
  async function isListed(name: string) {
    const list = () =>
      agent.ask<{ Service: { Meta: { member: string } } }[]>(
        "/v1/health/service/distributed-pool?passing",
      );
    await until(`${name} to be listed`, async () =>
      (await list()).some(({ Service }) => Service.Meta.member === name),
    );
  }

  /** Calls through a gateway and directly, often enough to have met every member. */
  async function callAll(gate: RunningMember) {
    const ways = [
      poolsOf({ url: gate.url, ...identity() }),
      poolsOf({ consul: agent.httpAddress, ...identity() }),
    ];
    for (const pools of ways) {
      for (let round = 0; round < 5; round++)
        expect(await pools.call("pipeline", (_: number, { member }) => member, 1)).toBe("m2");
      const { children } = await pools.children("pipeline");
      expect(new Set(children.map(({ member }) => member))).toEqual(new Set(["m2"]));
      await pools.pools();
    }
    return ways;
  }

  test("with scheme http gets no token and no call of a member or SDK that uses TLS", async () => {
    const lines: string[] = [];
    const log = (_: string, message: string) => void lines.push(message);
    const gate = await start({ ...secure("m1"), log });
    await start({ ...secure("m2"), pools: { pipeline: 2 } });
    const rogue = await startRogue();
    await register("m9", rogue.port, "http");
    await isListed("m9");
    await until("the gateway to hear of it", async () => {
      await poolsOf({ url: gate.url, ...identity() }).pools();
      return lines.some((line) => line.includes("m9"));
    });
    const ways = await callAll(gate);
    for (const pools of ways) {
      const child = pools.child(`m9.${"0".repeat(32)}`);
      await expect(child.info()).rejects.toMatchObject({
        code: "member_lost",
        message: expect.stringContaining("is registered with http"),
      });
    }
    expect(rogue.seen).toEqual([]);
    expect(lines.filter((line) => line.includes("m9"))).toHaveLength(1);
  });

  test("with another server's certificate, or another member's, gets nothing either", async () => {
    const gate = await start(secure("m1"));
    await start({ ...secure("m2"), pools: { pipeline: 2 } });
    const rogues = await Promise.all(["database", "m3"].map(startRogue));
    const names = ["m8", "m9"];
    for (const [index, name] of names.entries())
      await register(name, rogues[index]?.port ?? 0, "https");
    for (const name of names) await isListed(name);
    const ways = await callAll(gate);
    for (const pools of ways)
      for (const name of names)
        await expect(pools.child(`${name}.${"0".repeat(32)}`).stop()).rejects.toMatchObject({
          code: "member_lost",
        });
    expect(rogues.flatMap(({ seen }) => seen)).toEqual([]);
  });

  test("that names a member's address as its own leads nobody to it", async () => {
    const gate = await start(secure("m1"));
    await start({ ...secure("m2"), pools: { pipeline: 2 } });
    await register("m9", Number(new URL(gate.url).port), "https");
    await isListed("m9");
    const [pools] = await callAll(gate);
    // The certificate is that of m1, so the request does not go round in circles.
    await expect(pools?.child(`m9.${"0".repeat(32)}`).info()).rejects.toMatchObject({
      code: "member_lost",
      message: expect.stringMatching(/m9\.distributed-pool/),
    });
  });
});

test("no token goes in clear beyond loopback unless that is allowed", () => {
  const url = "http://192.0.2.1:7400";
  const { token } = CALLER;
  expect(() => new DistributedPool({ url, token })).toThrow(/expected an https URL.*insecure/);
  for (const options of [
    { url, token, insecure: true },
    { url },
    { url: "https://192.0.2.1:7400", token },
    { url: "http://127.0.0.2:7400", token },
    { url: "http://[::1]:7400", token },
  ])
    void new DistributedPool(options).close();
});
