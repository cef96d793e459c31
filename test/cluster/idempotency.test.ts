/** Idempotency keys in a real Consul: one start for each, and none while Consul is away. */
import { randomBytes } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { consulClient } from "../../sdk/typescript/node/consul/consul-client.ts";
import { ConsulRights } from "../../sdk/typescript/node/consul/consul-rights.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { ConsulKeys, KEY_PREFIX } from "../../server/membership/consul-keys.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { post, problemOf, startMembers, within } from "../helpers/member.ts";
import { eventually } from "../helpers/wait.ts";

const PAIRS = 400;
/** Pairs under way at a time. */
const AT_A_TIME = 16;
const PAIRS_MS = 400_000;

async function open() {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  const options = { consul: { address: consul.httpAddress }, pools: { pipeline: 8 } };
  const members = await startMembers(options, options);
  const urls = members.map(({ url }) => `${url}/pools/pipeline`) as [string, string];
  return { consul, members, urls };
}

const random = ["sh", "-c", "head -c 8 /dev/urandom | od -An -tx1"];

async function run(url: string, spec: object) {
  const answer = await post(url, "/run", spec);
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as { child: { id: string }; stdout: string };
}

describe.skipIf(consulMissing)("keys in Consul", { timeout: 600_000 }, () => {
  test(`${PAIRS} pairs at two members at once start one child each`, async () => {
    const { urls } = await open();
    const started = new Set<string>();
    let next = 0;
    const worker = async () => {
      while (next < PAIRS) {
        const spec = { command: ["true"], waitMs: 60_000, idempotencyKey: `pair-${next++}` };
        const [one, two] = await Promise.all(urls.map((url) => run(url, spec)));
        expect(two?.child).toEqual(one?.child);
        started.add(one?.child.id as string);
      }
    };
    const workers = Promise.all(Array.from({ length: AT_A_TIME }, worker));
    await within("the pairs", workers, PAIRS_MS);
    expect(started.size).toBe(PAIRS);
  });

  test("are refused while Consul is away, and other calls go on", async () => {
    const { consul, members, urls } = await open();
    const spec = { command: random, idempotencyKey: "k", outputEncoding: "base64" } as const;
    await run(urls[0], { command: random });
    // Calls without a key leave nothing in Consul.
    expect(await consul.ask("/v1/kv/?keys")).toEqual([]);
    const first = await run(urls[0], spec);
    const names = await consul.ask<string[]>("/v1/kv/?keys");
    expect(names).toEqual([expect.stringMatching(`^${KEY_PREFIX}[0-9a-f]{64}$`)]);
    const direct = new DistributedPool({ consul: { address: consul.httpAddress } });
    onTestFinished(() => direct.close());
    const again = await direct.run("pipeline", spec);
    expect(again.child.id).toBe(first.child.id);
    await consul.stop();
    for (const [url, body] of [
      [urls[0], spec],
      [urls[1], { ...spec, idempotencyKey: "new" }],
      [members[0]?.url as string, { ...spec, pool: "pipeline" }],
    ] as const)
      expect(await problemOf(await post(url, "/run", body))).toMatchObject({
        code: "idempotency_unavailable",
        status: 503,
        admitted: false,
      });
    await run(urls[1], { command: random });
    await consul.restart();
    await eventually("keys are taken again", () => run(urls[1], spec), 30_000);
  });

  test("are created once, replaced when they have expired, and swept", async () => {
    const { httpAddress, stop } = await startConsul();
    onTestFinished(stop);
    const consul = consulClient({ address: httpAddress });
    const keys = new ConsulKeys(consul, new ConsulRights(consul, {}));
    onTestFinished(() => keys.close());
    const name = randomBytes(32).toString("hex");
    const entry = (child: string, ms = 60_000) => ({
      child,
      fingerprint: "f",
      expiresAt: Date.now() + ms,
    });
    const kept = await Promise.all(
      Array.from({ length: 20 }, (_, index) => keys.create(name, entry(`m1.${index}`))),
    );
    expect(new Set(kept.map(({ child }) => child)).size).toBe(1);
    const child = kept[0]?.child as string;
    await keys.remove(name, "m1.other");
    expect((await keys.find(name))?.child).toBe(child);
    await keys.sweep(name.slice(0, 2));
    expect((await keys.find(name))?.child).toBe(child);
    await keys.remove(name, child);
    expect(await keys.find(name)).toBeUndefined();
    await keys.create(name, entry("m1.a", -1));
    expect(await keys.find(name)).toBeUndefined();
    expect((await keys.create(name, entry("m1.b"))).child).toBe("m1.b");
    await keys.sweep(name.slice(0, 2), Date.now() + 3_600_000);
    expect((await keys.create(name, entry("m1.c"))).child).toBe("m1.c");
  });
});
