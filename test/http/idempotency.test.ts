/** Idempotency keys: one start for each key of a caller, over the members of one registry. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import {
  callEvents,
  eventsOf,
  type Options,
  post,
  problemOf,
  startMembers,
  startOne,
  textOf,
  until,
} from "../helpers/member.ts";

const random = ["sh", "-c", "head -c 8 /dev/urandom | od -An -tx1"];

/** Two members, of which the second serves another pool and forwards. */
async function places(options: Options = {}) {
  const [m1, m2] = await startMembers(options, { ...options, pools: { other: 1 } });
  if (!m1 || !m2) throw new Error("expected two members");
  return { m1, m2, urls: [`${m1.url}/pools/pipeline`, `${m2.url}/pools/pipeline`] as const };
}

interface Ran {
  readonly child: ChildInfo;
  readonly stdout: string;
}

async function run(url: string, spec: object, headers = {}): Promise<Ran> {
  const answer = await post(url, "/run", spec, headers);
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Ran;
}

async function refused(url: string, path: string, spec: unknown, headers = {}) {
  const answer = await post(url, path, spec, headers);
  return problemOf(answer);
}

describe("a key", () => {
  test("is answered with the same child in every form, at every member", async () => {
    const { m1, m2, urls } = await places();
    const spec = { command: random, idempotencyKey: "k" };
    const first = await run(urls[0], spec);
    const member = { ...spec, pool: "pipeline" };
    for (const url of urls) {
      expect(await run(url, spec)).toEqual(first);
      const events = await callEvents(url, "/call", spec);
      expect(events[0]).toMatchObject({ type: "placed", child: { id: first.child.id }, id: 1 });
      expect(textOf(events)).toBe(first.stdout);
      const raw = await post(url, "/call", spec, { accept: "application/octet-stream" });
      expect(await raw.text()).toBe(first.stdout);
    }
    expect(await run(m1.url, member)).toEqual(first);
    // The same child, although this member does not serve the pool: it admits nothing.
    expect(await refused(m2.url, "/run", member)).toMatchObject({ code: "pool_not_found" });
  });

  test("may come as a header, and must then be that of the spec", async () => {
    const { urls } = await places();
    const first = await run(urls[1], { command: random }, { "idempotency-key": "k" });
    expect(await run(urls[0], { command: random, idempotencyKey: "k" })).toEqual(first);
    const both = { command: random, idempotencyKey: "other" };
    expect(await refused(urls[0], "/run", both, { "idempotency-key": "k" })).toMatchObject({
      code: "invalid_request",
      fields: [{ path: "/idempotencyKey" }],
    });
  });

  test.each([0, 1])("a linked repeat stops the child with its caller, at member %i", async (at) => {
    const { m1, urls } = await places();
    const spec = { command: ["sleep", "60"], idempotencyKey: "k", link: true };
    const first = await post(urls[0], "/call", spec);
    const id = first.headers.get("pool-child-id");
    const leaving = new AbortController();
    const again = await fetch(`${urls[at]}/call`, {
      method: "POST",
      body: JSON.stringify(spec),
      headers: { "content-type": "application/json" },
      signal: leaving.signal,
    });
    expect(again.headers.get("pool-child-id")).toBe(id);
    leaving.abort();
    await until("the child to end", async () => {
      const child = (await (await fetch(`${m1.url}/children/${id}`)).json()) as ChildInfo;
      return child.status === "ended" && child.code === "cancelled";
    });
  });

  test("places one child, which is answered as it is now", async () => {
    const { m1, urls } = await places();
    const spec = { command: ["sleep", "60"], idempotencyKey: "k" };
    const first = await post(urls[1], "/children", spec);
    const child = (await first.json()) as ChildInfo;
    const again = await post(urls[0], "/children", spec);
    expect(again.status).toBe(201);
    expect(again.headers.get("location")).toBe(child.url);
    expect(await again.json()).toEqual(child);
    const direct = await post(m1.url, "/children", { ...spec, pool: "pipeline" });
    expect(await direct.json()).toEqual(child);
  });

  test("needs no slot when it comes again", async () => {
    const { urls } = await places({ pools: { pipeline: 1 } });
    const spec = { command: ["sleep", "60"], idempotencyKey: "k" };
    // The usage so far differs from answer to answer.
    const placed = (await (await post(urls[0], "/children", spec)).json()) as ChildInfo;
    const { usage: _, ...child } = placed;
    for (const url of urls)
      expect(await (await post(url, "/children", spec)).json()).toMatchObject(child);
  });

  test("is refused with another spec, lifetime or upload", async () => {
    const { urls } = await places();
    const form = (text: string) => {
      const body = new FormData();
      body.append("spec", '{"command":["cat","in.txt"],"idempotencyKey":"files"}');
      body.append("in.txt", new Blob([text]));
      return body;
    };
    const upload = (text: string) => fetch(`${urls[1]}/run`, { method: "POST", body: form(text) });
    expect(await (await upload("one")).json()).toMatchObject({ stdout: "one" });
    expect(await (await upload("one")).json()).toMatchObject({ stdout: "one" });
    expect(await problemOf(await upload("two"))).toMatchObject({ code: "idempotency_conflict" });
    await run(urls[0], { command: ["true"], idempotencyKey: "k", labels: { a: "1", b: "2" } });
    await run(urls[0], {
      deadlineMs: 9_000,
      waitMs: 5,
      labels: { b: "2", a: "1" },
      idempotencyKey: "k",
      command: ["true"],
    });
    for (const [path, spec] of [
      ["/run", { command: ["true"] }],
      ["/run", { command: ["false"], labels: { a: "1", b: "2" } }],
      ["/children", { command: ["true"], labels: { a: "1", b: "2" } }],
    ] as const)
      expect(await refused(urls[1], path, { ...spec, idempotencyKey: "k" })).toMatchObject({
        code: "idempotency_conflict",
        status: 409,
        admitted: false,
      });
  });

  test("starts another child once it has expired", async () => {
    const { m1, urls } = await places({ idempotencyMs: 1 });
    const first = await run(urls[0], { command: random, idempotencyKey: "k" });
    const second = await run(urls[0], { command: random, idempotencyKey: "k" });
    expect(second.child.id).not.toBe(first.child.id);
    expect(m1.pools).toEqual({ pipeline: 2 });
  });

  test("tells that the output is gone once the child is forgotten", async () => {
    const { urls } = await places({ rememberMs: 0 });
    const spec = { command: ["true"], idempotencyKey: "k" };
    const { child } = await run(urls[0], spec);
    const isForgotten = async () => (await fetch(child.url)).status === 410;
    await until("the child is forgotten", isForgotten);
    for (const url of urls)
      for (const path of ["/run", "/call"])
        expect(await refused(url, path, spec)).toMatchObject({
          code: "child_forgotten",
          admitted: true,
        });
    const placing = { command: ["true"], idempotencyKey: "placed" };
    const placed = (await (await post(urls[0], "/children", placing)).json()) as ChildInfo;
    await until("it is forgotten", async () => (await fetch(placed.url)).status === 410);
    for (const url of urls)
      expect(await refused(url, "/children", placing)).toMatchObject({ code: "child_forgotten" });
  });

  test("says that nobody knows when the child's member is gone", async () => {
    const { m1, m2, urls } = await places();
    const spec = { command: ["sleep", "60"], idempotencyKey: "k" };
    await post(urls[1], "/children", spec);
    await m1.stop();
    expect(await refused(`${m2.url}/pools/pipeline`, "/children", spec)).toMatchObject({
      code: "member_lost",
      admitted: "unknown",
    });
  });

  test("starts one child for many requests at once, at two members", async () => {
    const [m1, m2] = await startMembers({ pools: { pipeline: 8 } }, { pools: { pipeline: 8 } });
    const urls = [m1, m2].map((member) => `${member?.url}/pools/pipeline`);
    const spec = { command: random, waitMs: 60_000, idempotencyKey: "k" };
    const ran = await Promise.all(
      Array.from({ length: 20 }, (_, index) => run(urls[index % 2] as string, spec)),
    );
    expect(new Set(ran.map(({ child }) => child.id)).size).toBe(1);
  });
});

describe("keys that are none", () => {
  test("are refused with what came", async () => {
    const { url } = await startOne();
    const bad = ["", "a b", "\u0000", "\u0007", "schlüssel", "鍵", "k".repeat(256), " k"];
    for (const idempotencyKey of bad) {
      const problem = await refused(`${url}/pools/pipeline`, "/call", {
        command: ["true"],
        idempotencyKey,
      });
      expect(problem).toMatchObject({ code: "invalid_request" });
      expect(problem.fields?.[0]?.path).toBe("/idempotencyKey");
    }
    const long = { command: ["true"], idempotencyKey: "k".repeat(1024 * 1024) };
    const { detail } = await refused(`${url}/pools/pipeline`, "/call", long);
    expect(detail).toContain("1048576 characters");
    expect(detail.length).toBeLessThan(300);
  });

  test("are refused as headers too", async () => {
    const { url } = await startOne();
    for (const key of ["", "a b", "\u00fc", "k".repeat(256)]) {
      const header = { "idempotency-key": key };
      const problem = await refused(`${url}/pools/pipeline`, "/run", { command: ["true"] }, header);
      expect(problem).toMatchObject({ code: "invalid_request" });
    }
  });
});

test("another caller's key is another key", async () => {
  const folder = mkdtempSync(join(tmpdir(), "keys-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, "tokens");
  const callers = ["ann", "bob"].map((name) => {
    const token = randomBytes(32).toString("hex");
    const hash = createHash("sha256").update(token).digest("hex");
    const line = `${name} sha256:${hash} scopes=call pools=*`;
    return { line, header: { authorization: `Bearer ${token}` } };
  });
  writeFileSync(tokenFile, callers.map(({ line }) => line).join("\n"));
  const { url } = await startOne({ tokenFile });
  const [ann, bob] = callers.map(({ header }) => header);
  const spec = { command: random, idempotencyKey: "k" };
  const hers = await run(`${url}/pools/pipeline`, spec, ann);
  const his = await run(`${url}/pools/pipeline`, { ...spec, labels: { a: "b" } }, bob);
  expect(his.child.id).not.toBe(hers.child.id);
  expect(await run(`${url}/pools/pipeline`, spec, ann)).toEqual(hers);
});

test("a repeated stream begins with the first event while the child runs", async () => {
  const { urls } = await places();
  const spec = {
    command: ["sh", "-c", "echo first; cat; echo last"],
    stdin: { open: true },
    idempotencyKey: "k",
  };
  const first = await post(urls[0], "/call", spec);
  const id = first.headers.get("pool-child-id");
  const again = await post(urls[1], "/call", spec);
  expect(again.headers.get("pool-child-id")).toBe(id);
  await post(urls[0].replace("/pools/pipeline", ""), `/children/${id}/stdin?end=true`, "in\n", {
    "content-type": "text/plain",
  });
  const streams = await Promise.all([eventsOf(first), eventsOf(again)]);
  expect(textOf(streams[0])).toBe("first\nin\nlast\n");
  expect(textOf(streams[1])).toBe("first\nin\nlast\n");
});
