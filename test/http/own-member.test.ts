/**
 * Calls that a member, as the gateway, places on itself: in process, without a connection to its
 * own port.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { newToken } from "../../server/access/tokens.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import {
  callEvents,
  collect,
  eventsOf,
  getJson,
  idle,
  lastOf,
  type Options,
  post,
  problemOf,
  startMembers,
  startOne,
  streamOf,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

/**
 * A member of which the registry says that it serves at a port that nobody listens on. So every
 * request that it sent to itself would fail.
 */
async function startUnreachable(options: Options = {}): Promise<RunningMember> {
  const registry = new EmbeddedRegistry();
  const member = await startOne({ registry, ...options });
  registry.move(member.name, "http://127.0.0.1:1");
  return member;
}

const call = (url: string, spec: object, accept: string, headers: Record<string, string> = {}) =>
  post(url, "/pools/pipeline/call", spec, { accept, ...headers });

test("a call is answered in each form, and names its child in the head", async () => {
  const member = await startUnreachable();
  const spec = { command: ["sh", "-c", "echo out; echo err >&2"] };
  const stream = await call(member.url, spec, "text/event-stream");
  expect(stream.headers.get("pool-child-id")).toMatch(/^m1\./);
  const events = await eventsOf(stream);
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
  expect(events[0]?.type).toBe("placed");
  expect(textOf(events)).toBe("out\n");
  expect(textOf(events, "stderr")).toBe("err\n");
  lastOf(events, "result");

  const json = await call(member.url, spec, "application/json");
  expect(json.headers.get("pool-child-id")).toMatch(/^m1\./);
  expect(await json.json()).toMatchObject({ stdout: "out\n", stderr: "err\n", exitCode: 0 });

  const raw = await call(member.url, spec, "application/octet-stream");
  expect(raw.headers.get("pool-child-id")).toMatch(/^m1\./);
  expect(await raw.text()).toBe("out\n");
  await idle(member);
});

test("a child is placed, and listed with the load and what can be run", async () => {
  const member = await startUnreachable();
  const answer = await post(member.url, "/pools/pipeline/children", {
    command: ["sleep", "60"],
    labels: { job: "one" },
  });
  expect(answer.status).toBe(201);
  const child = (await answer.json()) as ChildInfo;
  expect(answer.headers.get("location")).toBe(child.url);
  expect(child).toMatchObject({ member: "m1", pool: "pipeline", status: "running" });

  const pool = await getJson<Record<string, unknown>>(`${member.url}/pools/pipeline`);
  expect(pool).toMatchObject({
    members: [{ member: "m1", load: { active: 1, max: 2, queued: 0 } }],
    runtimes: expect.arrayContaining(["node"]),
  });
  const listed = (query: string) =>
    getJson<object>(`${member.url}/pools/pipeline/children?${query}`);
  const all = { children: [{ id: child.id }], unreachable: [] };
  expect(await listed("label=job%3Done&status=running")).toMatchObject(all);
  expect(await listed("label=other")).toEqual({ children: [], unreachable: [], draining: [] });
  await fetch(`${member.url}/children/${child.id}?graceMs=0`, { method: "DELETE" });
  await idle(member);
});

test("no connection reaches the member but those of its callers", async () => {
  const registry = new EmbeddedRegistry();
  const member = await startOne({ registry, pools: { pipeline: 1 } });
  const proxy = await cuttingProxy(member.url, () => undefined);
  registry.move(member.name, proxy.url);
  const pools = new DistributedPool({ url: member.url }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  await pools.call("pipeline", { command: ["cat"], stdin: "in" });
  const first = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
  const waiting = pools.call("pipeline", { command: ["true"], waitMs: 20_000 });
  await until(
    "the call to wait",
    async () =>
      (await getJson<{ members: [{ load: { queued: number } }] }>(`${member.url}/pools/pipeline`))
        .members[0].load.queued === 1,
  );
  await first.stop({ graceMs: 0 });
  expect(await within("the call", waiting)).toMatchObject({ exitCode: 0 });
  for (const method of ["GET", "POST", "DELETE"]) expect(proxy.requests(method)).toBe(0);
  await idle(member);
});

test("a call waits in the member's queue, reads its position, and gets the next slot", async () => {
  const member = await startUnreachable({ pools: { pipeline: 1 } });
  const holder = (await (
    await post(member.url, "/pools/pipeline/children", { command: ["sleep", "60"] })
  ).json()) as ChildInfo;
  const events = streamOf(
    await post(member.url, "/pools/pipeline/call", { command: ["true"], waitMs: 20_000 }),
  );
  expect((await within("the position", events.next())).value).toEqual({
    type: "queued",
    position: 1,
  });
  await fetch(`${member.url}/children/${holder.id}?graceMs=0`, { method: "DELETE" });
  const rest = await within("the rest", collect(events));
  expect(rest.map(({ type }) => type)).toEqual(["placed", "result"]);
  await idle(member);
});

test("a caller that leaves while its call waits leaves the queue", async () => {
  const member = await startUnreachable({ pools: { pipeline: 1 } });
  await post(member.url, "/pools/pipeline/children", { command: ["sleep", "60"] });
  const queued = async () =>
    (await getJson<{ pools: { pipeline: { queued: number } } }>(`${member.url}/children/count`))
      .pools.pipeline.queued;
  const leaves = new AbortController();
  const left = post(
    member.url,
    "/pools/pipeline/call",
    { command: ["true"], waitMs: 20_000 },
    {},
    leaves.signal,
  ).then(
    (answer) => answer.text(),
    () => "",
  );
  await until("the call to wait", async () => (await queued()) === 1);
  leaves.abort();
  await left.catch(() => {});
  await until("the queue to be empty", async () => (await queued()) === 0);
});

test("a refusal of the member is the answer, in each of its forms", async () => {
  const member = await startUnreachable({ pools: { pipeline: 1 } });
  const refused = async (spec: object) =>
    (await problemOf(await post(member.url, "/pools/pipeline/call", spec))).code;
  expect(await refused({ task: { name: "nobody-knows" } })).toBe("task_not_found");
  expect(await refused({ command: ["true"], limits: { memoryBytes: 2 ** 45 } })).toBe(
    "invalid_request",
  );
  await post(member.url, "/pools/pipeline/children", { command: ["sleep", "60"] });
  expect(await refused({ command: ["true"] })).toBe("all_members_at_capacity");
  const waited = await callEvents(member.url, "/pools/pipeline/call", {
    command: ["true"],
    waitMs: 100,
  });
  expect(lastOf(waited, "failed").problem.code).toBe("queue_timeout");
});

test("a linked child stops with its caller's connection, another child goes on", async () => {
  const member = await startUnreachable();
  for (const [link, code] of [
    [true, "cancelled"],
    [false, null],
  ] as const) {
    const leaves = new AbortController();
    const answer = await post(
      member.url,
      "/pools/pipeline/call",
      { command: ["sh", "-c", "echo up; sleep 0.5"], link },
      {},
      leaves.signal,
    );
    const id = answer.headers.get("pool-child-id");
    const events = streamOf(answer);
    await within("the first events", events.next());
    await within("the first output", events.next());
    leaves.abort();
    await idle(member);
    await until(
      "the child's end",
      async () => (await getJson<ChildInfo>(`${member.url}/children/${id}`)).status === "ended",
    );
    expect((await getJson<ChildInfo>(`${member.url}/children/${id}`)).code).toBe(code);
  }
});

test("a body that is the child's input goes in while the output comes back", async () => {
  const member = await startUnreachable();
  const sent = request(`${member.url}/pools/pipeline/call`, {
    method: "POST",
    headers: {
      "content-type": "application/octet-stream",
      accept: "application/octet-stream",
      "pool-spec": JSON.stringify({ command: ["cat"] }),
    },
  });
  sent.write("one ");
  const [answer] = (await within("the head", once(sent, "response"))) as [IncomingMessage];
  const [first] = (await within("the first output", once(answer, "data"))) as [Buffer];
  expect(first.toString()).toBe("one ");
  const rest = collect<Buffer>(answer);
  sent.end("two");
  expect(Buffer.concat(await within("the rest", rest)).toString()).toBe("two");
  await idle(member);
});

test("uploads of the largest size fit, because the member keeps them once", async () => {
  const member = await startUnreachable({ maxUploadBytes: 100_000 });
  for (const path of ["/pools/pipeline/call", "/pools/pipeline/children"]) {
    const form = new FormData();
    form.set("spec", JSON.stringify({ command: ["sh", "-c", "cat big; cat"] }));
    form.set("big", new Blob(["x".repeat(90_000)]), "big");
    form.set("stdin", new Blob(["input"]), "stdin");
    const answer = await within(
      "the answer",
      fetch(`${member.url}${path}`, { method: "POST", body: form }),
    );
    const events = path.endsWith("call")
      ? await eventsOf(answer)
      : await eventsOf(await fetch(`${((await answer.json()) as ChildInfo).url}/events`));
    expect(textOf(events)).toBe(`${"x".repeat(90_000)}input`);
  }
  await idle(member);
});

test("a call counts as one stream and one request of its caller, and takes its turn", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dpool-own-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [one, two] = [newToken("one", ["call"], ["*"]), newToken("two", ["call"], ["*"])];
  const tokenFile = join(folder, "tokens");
  writeFileSync(tokenFile, `${one.line}\n${two.line}\n`, { mode: 0o600 });
  const member = await startUnreachable({ pools: { pipeline: 1 }, tokenFile, maxStreams: 3 });
  const as = ({ token }: typeof one) => ({ authorization: `Bearer ${token}` });
  const start = (who: typeof one, spec: object) =>
    post(member.url, "/pools/pipeline/call", spec, as(who));
  const holder = streamOf(await start(one, { command: ["sleep", "60"] }));
  const { value: placed } = await within("the holder", holder.next());
  if (placed?.type !== "placed") throw new Error(`expected placed; got ${JSON.stringify(placed)}`);

  const order: string[] = [];
  const wait = async (who: typeof one, label: string) => {
    const events = streamOf(await start(who, { command: ["true"], waitMs: 20_000 }));
    await within("its position", events.next());
    return collect(events).then(() => order.push(label));
  };
  const done = [];
  for (const [who, label] of [
    [one, "one's first"],
    [one, "one's second"],
    [two, "two's first"],
  ] as const) {
    const begun = wait(who, label);
    done.push(begun);
    await until("it to wait", async () => {
      const count = await fetch(`${member.url}/children/count`, { headers: as(one) });
      const { pools } = (await count.json()) as { pools: { pipeline: { queued: number } } };
      return pools.pipeline.queued === done.length;
    });
  }
  // One caller has 3 streams open, as many as it may.
  expect((await problemOf(await start(one, { command: ["true"] }))).code).toBe("too_many_requests");
  await fetch(`${placed.child.url.replace("http://127.0.0.1:1", member.url)}?graceMs=0`, {
    method: "DELETE",
    headers: as(one),
  });
  await within("all of them", Promise.all(done));
  expect(order.indexOf("two's first")).toBeLessThan(order.indexOf("one's second"));
});

test("a draining member finishes the calls placed on itself, and takes no more", async () => {
  const [member] = (await startMembers({ drainMs: 20_000 })) as [RunningMember];
  const events = streamOf(
    await post(member.url, "/pools/pipeline/call", {
      command: ["sh", "-c", "echo up; sleep 0.5; echo done"],
    }),
  );
  await within("the child", events.next());
  await within("the drain", fetch(`${member.url}/drain`, { method: "POST" }));
  expect(
    await callEvents(member.url, "/pools/pipeline/call", { command: ["true"] }).catch(String),
  ).toMatch(/no_members_available|pool_not_found|draining|at_capacity/);
  const rest = await within("the rest", collect(events));
  expect(textOf(rest)).toBe("up\ndone\n");
  lastOf(rest, "result");
  await within("the member to leave", member.stopped);
});
