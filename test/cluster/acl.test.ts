/**
 * Consul with ACLs that deny by default. The policies are those of the page on Consul; a program
 * without one of their rules is told at once which.
 */
import { execFile, execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { consulOptionsFrom, DistributedPool } from "../../sdk/typescript/node.ts";
import { consulBinary, consulMissing, startConsul } from "../helpers/consul.ts";
import { GuardedConsul, readyIs, readyOf } from "../helpers/guarded-consul.ts";
import { post, problemOf, until, within } from "../helpers/member.ts";
import { readPage } from "../helpers/pages/markdown.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";
import { onPath } from "../helpers/programs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TRUE = { command: ["true"] };

const run = promisify(execFile);
const PYTHON = fileURLToPath(new URL("../../.tools/python/bin/python", import.meta.url));
const python = existsSync(PYTHON);
const REQUESTS =
  "import requests, sys; print(requests.post(sys.argv[1], json={'command': ['true']}).text)";
const HTTPX = REQUESTS.replaceAll("requests", "httpx");
const JSON_BODY = ["-H", "content-type: application/json", "-d", JSON.stringify(TRUE)];
/** Each posts work to the URL behind its arguments, and prints the answer. */
const CLIENTS: readonly (readonly [string, boolean, string, readonly string[]])[] = [
  ["curl", onPath("curl"), "curl", ["-s", ...JSON_BODY]],
  ["requests", python, PYTHON, ["-c", REQUESTS]],
  ["httpx", python, PYTHON, ["-c", HTTPX]],
];

const POLICIES = new Map(
  readPage(ROOT, "server/docs/consul.md")
    .blocks.filter(({ language, tags }) => language === "hcl" && tags.length > 0)
    .map(({ tags, text }) => [tags[0]?.replace("file=", "") ?? "", text]),
);
const policy = (file: string) => POLICIES.get(file) ?? expect.fail(`the page has no ${file}`);
const RULES = {
  read: 'service "distributed-pool" { policy = "read" }',
  write: 'service "distributed-pool" { policy = "write" }',
  node: 'node_prefix "" { policy = "read" }',
  key: 'key_prefix "distributed-pool/" { policy = "write" }',
};

describe.skipIf(consulMissing)("Consul with ACLs", { timeout: 60_000 }, () => {
  const guarded = new GuardedConsul();
  let serving: Awaited<ReturnType<GuardedConsul["member"]>>;

  beforeAll(async () => {
    await guarded.start();
    const token = guarded.token("serving", policy("member.hcl") + policy("keys.hcl"));
    serving = await guarded.member("serving", token);
    await within("the member to join", serving.member.joined);
  }, 60_000);
  afterAll(async () => {
    await serving?.member.stop();
    await guarded.agent?.stop();
  });

  test("the page's policies are enough for a member, a caller, and keys", async () => {
    // The tests below leave one rule out, and expect it in the message: no rule is one too many.
    const rules = [...POLICIES.values()].flatMap((text) => text.trim().split("\n"));
    expect(new Set(rules)).toEqual(new Set(Object.values(RULES)));
    const { member, lines } = serving;
    expect(await readyOf(member)).toMatchObject({ status: 200 });
    expect(lines.filter((line) => line.startsWith("warn") && /token|right/.test(line))).toEqual([]);
    const pools = guarded.pools(guarded.token("caller", policy("caller.hcl")));
    const keyed = { ...TRUE, idempotencyKey: randomUUID() };
    await pools.call("pipeline", TRUE);
    await pools.call("pipeline", keyed);
    const { children } = await pools.children("pipeline");
    expect(children).toHaveLength(2);
    await expect(pools.call("video", TRUE)).rejects.toMatchObject({ code: "pool_not_found" });
    const stored = guarded.consul("kv", "get", "-keys", "distributed-pool/idempotency/");
    expect(stored.trim().split("\n")).toHaveLength(1);
  });

  test.each([
    ["no token", undefined, "unauthorized", ["no ACL token is given", RULES.read, RULES.node]],
    ["an unknown token", randomUUID(), "unauthorized", ["does not know the ACL token"]],
    ["a token for other things", 'key "x" { policy = "read" }', "forbidden", [RULES.read]],
    ["no right to read nodes", RULES.read, "forbidden", [RULES.node]],
    ["no right to read the service", RULES.node, "forbidden", [RULES.read]],
  ])("a caller with %s is told so by every verb", async (name, rules, code, parts) => {
    const isPolicy = rules?.includes("policy") === true;
    const pools = guarded.pools(isPolicy ? guarded.token(name.replaceAll(" ", "-"), rules) : rules);
    const verbs = {
      call: pools.call("pipeline", TRUE),
      wait: pools.call("pipeline", { ...TRUE, waitMs: 30_000 }),
      placeChild: pools.placeChild("pipeline", TRUE),
      pools: pools.pools(),
      pool: pools.pool("pipeline"),
      children: pools.children("pipeline"),
      child: pools.child(`serving.${"0".repeat(32)}`).info(),
    };
    // Less than the 5 seconds that a caller waits for the first list of a Consul that is away.
    const all = await within("all verbs", Promise.allSettled(Object.values(verbs)), 4_000);
    for (const [index, verb] of all.entries()) {
      const label = Object.keys(verbs)[index];
      const error = verb.status === "rejected" ? verb.reason : verb.value;
      expect(error, label).toMatchObject({ code });
      for (const part of parts) expect(error.message, label).toContain(part);
    }
  });

  test("a caller hears at once when its rights come", async () => {
    const pools = guarded.pools(guarded.token("late", RULES.read));
    await expect(pools.call("pipeline", TRUE)).rejects.toMatchObject({ code: "forbidden" });
    guarded.setRules("late", policy("caller.hcl"));
    const calls = () => pools.call("pipeline", TRUE).then(() => true);
    await until("the call to work", () => calls().catch(() => false));
  });

  test("a caller that loses its rights goes on, and is told when it finds no member", async () => {
    const token = guarded.token("loser", policy("caller.hcl"));
    const pools = guarded.pools(token);
    await pools.call("pipeline", TRUE);
    const codeFor = (pool: string) =>
      pools.call(pool, TRUE).then(
        () => "done",
        ({ code }) => code,
      );
    expect(await codeFor("video")).toBe("pool_not_found");
    guarded.setRules("loser", 'key "x" { policy = "read" }');
    await guarded.wake();
    await until("the loss to show", async () => (await codeFor("video")) === "forbidden");
    expect(await codeFor("pipeline")).toBe("done");
    guarded.setRules("loser", policy("caller.hcl"));
    await until("the rights", async () => (await codeFor("video")) === "pool_not_found");
    guarded.delete(token);
    await guarded.wake();
    await until("the end of the token", async () => (await codeFor("video")) === "unauthorized");
    expect(await codeFor("pipeline")).toBe("done");
  });

  test.each([
    ["no-token", undefined, [RULES.write, RULES.node]],
    ["unknown-token", randomUUID(), ["does not know the ACL token"]],
    ["read-only", policy("caller.hcl"), ["lacks", RULES.write]],
    ["no-nodes", RULES.write, ["lacks", RULES.node]],
  ])("a member with %s does not register, and says why", async (name, rules, parts) => {
    const isPolicy = rules?.includes("policy") === true;
    const token = isPolicy ? guarded.token(name, rules) : rules;
    const { member, lines } = await guarded.member(name, token);
    onTestFinished(() => within("the member's stop", member.stop()));
    await readyIs(member, 503, "Consul refuses to register this member", ...parts);
    const warnings = lines.filter((line) => line.startsWith("warn Consul refuses"));
    expect(warnings).toHaveLength(1);
    for (const part of parts) expect(warnings[0]).toContain(part);
    const names = await guarded.agent.ask<Record<string, unknown>>("/v1/agent/services");
    expect(Object.keys(names)).toEqual(["distributed-pool-serving"]);
    if (name !== "read-only") {
      // The caller of a gateway is not at fault.
      const problem = await problemOf(await post(member.url, "/pools/pipeline/call", TRUE));
      expect(problem.code).toBe("no_members_available");
      expect(problem.detail).toContain(parts.at(-1));
    }
    if (!isPolicy) return;
    guarded.setRules(name, policy("member.hcl"));
    await within("the member to join", member.joined);
    await readyIs(member, 200);
  });

  test("clients of a member without rights read which one it lacks", async () => {
    const token = guarded.token("blind", RULES.write);
    const { member } = await guarded.member("blind", token);
    onTestFinished(() => within("the member's stop", member.stop()));
    await readyIs(member, 503, RULES.node);
    for (const [name, isThere, file, args] of CLIENTS) {
      if (!isThere) continue;
      const url = `${member.url}/pools/pipeline/run`;
      const { stdout } = await within(name, run(file, [...args, url]));
      const problem = JSON.parse(stdout);
      expect(problem, name).toMatchObject({ status: 503, code: "no_members_available" });
      expect(problem.detail, name).toContain(RULES.node);
    }
  });

  test("a member without the right to keys refuses calls with one, and no others", async () => {
    const { member, lines } = await guarded.member(
      "keyless",
      guarded.token("keyless", policy("member.hcl")),
      "keyless",
    );
    onTestFinished(() => within("the member's stop", member.stop()));
    await within("the member to join", member.joined);
    await until("the warning", async () => lines.some((line) => line.includes(RULES.key)));
    const keyed = { ...TRUE, idempotencyKey: randomUUID() };
    const refused = await problemOf(await post(member.url, "/pools/keyless/call", keyed));
    expect(refused).toMatchObject({
      code: "idempotency_unavailable",
      admitted: false,
      detail: expect.stringContaining(RULES.key),
    });
    expect((await post(member.url, "/pools/keyless/run", TRUE)).status).toBe(200);
    guarded.setRules("keyless", policy("member.hcl") + policy("keys.hcl"));
    expect((await post(member.url, "/pools/keyless/run", keyed)).status).toBe(200);
  });

  test("a member that loses its rights says so, goes on, and recovers", async () => {
    const start = async (name: string) => {
      const token = guarded.token(name, policy("member.hcl"));
      const started = await guarded.member(name, token, name);
      onTestFinished(() => within("the member's stop", started.member.stop()));
      await within("the member to join", started.member.joined);
      return { ...started, token };
    };
    const [lost, deleted] = await Promise.all([start("lost"), start("deleted")]);
    guarded.setRules("lost", policy("caller.hcl"));
    guarded.delete(deleted.token);
    await readyIs(lost.member, 503, `the ACL token lacks ${RULES.write}`);
    await readyIs(deleted.member, 503, "it does not know the ACL token");
    for (const { member, lines } of [lost, deleted]) {
      expect((await post(member.url, "/pools/pipeline/run", TRUE)).status).toBe(200);
      expect(lines.filter((line) => line.includes("refuses to register"))).toHaveLength(1);
    }
    guarded.setRules("lost", policy("member.hcl"));
    await readyIs(lost.member, 200);
    expect(lost.lines).toContain("info the ACL token has the rights of a member again");
  });
});

const missing = consulMissing ?? (hasOpenssl ? undefined : "openssl is not installed");
test.skipIf(missing)(
  "the SDK takes the variables of the consul command",
  async () => {
    const pki = new Pki();
    onTestFinished(() => pki.remove());
    pki.authority("ours");
    for (const name of ["agent", "client"]) pki.certificate(name, "ours");
    const guarded = new GuardedConsul();
    await guarded.start(`
    ports { https = {https} }
    ca_file = "${pki.at("ours.pem")}"
    cert_file = "${pki.at("agent.pem")}"
    key_file = "${pki.at("agent.key")}"
    verify_incoming_https = true`);
    onTestFinished(() => guarded.agent.stop());
    writeFileSync(pki.at("token"), `${guarded.token("caller", policy("caller.hcl"))}\n`);
    const env: Record<string, string> = {
      CONSUL_HTTP_ADDR: guarded.agent.httpsAddress.replace("https://", ""),
      CONSUL_HTTP_SSL: "true",
      CONSUL_HTTP_TOKEN: "is not read beside the file",
      CONSUL_HTTP_TOKEN_FILE: pki.at("token"),
      CONSUL_CACERT: pki.at("ours.pem"),
      CONSUL_CLIENT_CERT: pki.at("client.pem"),
      CONSUL_CLIENT_KEY: pki.at("client.key"),
      CONSUL_TLS_SERVER_NAME: "m1.distributed-pool",
    };
    const read = ["acl", "token", "read", "-self"];
    expect(execFileSync(consulBinary(), read, { env }).toString()).toContain("AccessorID");
    const pools = new DistributedPool({ consul: consulOptionsFrom(env) });
    onTestFinished(() => pools.close());
    await expect(pools.call("pipeline", TRUE)).rejects.toMatchObject({ code: "pool_not_found" });
  },
  30_000,
);

test.skipIf(consulMissing)(
  "without ACLs, any token will do, and Consul is told from none",
  async () => {
    const agent = await startConsul();
    onTestFinished(() => agent.stop());
    const consul = { address: agent.httpAddress, token: randomUUID() };
    const codeOf = async () => {
      const pools = new DistributedPool({ consul });
      onTestFinished(() => pools.close());
      return pools.call("pipeline", TRUE).catch(({ code }) => code);
    };
    expect(await codeOf()).toBe("pool_not_found");
    await agent.stop();
    expect(await codeOf()).toBe("no_members_available");
  },
  30_000,
);
