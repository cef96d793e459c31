/** The metrics of a member: the page lists each one, and each one changes by real work. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { newToken } from "../../server/access/tokens.ts";
import {
  callEvents,
  getJson,
  idle,
  post,
  problemOf,
  startMembers,
  startOne,
  until,
} from "../helpers/member.ts";
import { changedNames, listedMetrics, metricsOf } from "../helpers/metrics.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

const SLEEP = { command: ["sleep", "60"] };
const own = (names: Iterable<string>) => [...names].filter((name) => name.startsWith("dpool_"));
/** A constant, and metrics of Consul, which `test/cluster/fence.test.ts` changes. */
const ELSEWHERE = ["dpool_build_info", "dpool_registry_up", "dpool_pool_fenced"];

test("the page lists every metric, and each one changes by work", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dpool-metrics-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const bound = join(folder, "bound");
  mkdirSync(bound);
  // No sandbox that was made before the folder goes.
  const bind = HAS_BUBBLEWRAP ? { readOnly: [`${bound}:/bound`] } : {};
  const broken = { maxChildren: 4, warm: { command: 0 }, ...bind };
  const member = await startOne({
    pools: { pipeline: { maxChildren: 1, maxQueue: 1, warm: { node: 1 } }, broken },
    drainMs: 20_000,
    graceMs: 0,
  });
  const { url } = member;
  const first = await metricsOf(member);
  const changed = new Set<string>();
  const look = async () => {
    const now = await metricsOf(member);
    for (const name of changedNames(first, now)) changed.add(name);
    return now;
  };
  const warm = 'dpool_warm_processes{pool="pipeline",runtime="node"}';
  await until("a warm process", async () => (await look()).series.get(warm) === 1);
  await callEvents(url, "/pools/pipeline/call", { function: { source: "() => 1" } });
  await callEvents(url, "/pools/pipeline/call", { command: ["sh", "-c", "echo hello; exit 3"] });
  await idle(member);
  const { id } = (await (await post(url, "/pools/pipeline/children", SLEEP)).json()) as {
    id: string;
  };
  const leaving = new AbortController();
  const waiting = post(
    url,
    "/pools/pipeline/call",
    { ...SLEEP, waitMs: 60_000 },
    {},
    leaving.signal,
  ).catch(() => {});
  const queue = 'dpool_queue_length{pool="pipeline"}';
  await until("a caller to wait", async () => (await look()).series.get(queue) === 1);
  expect((await problemOf(await post(url, "/call", { pool: "pipeline", ...SLEEP }))).code).toBe(
    "at_capacity",
  );
  const busy = await look();
  expect(busy.series.get('dpool_slots_used{pool="pipeline"}')).toBe(1);
  expect(busy.series.get('dpool_slots{pool="pipeline"}')).toBe(1);
  expect(busy.series.get('dpool_refusals_total{pool="pipeline",code="at_capacity"}')).toBe(1);
  expect(busy.series.get('dpool_output_bytes_total{pool="pipeline"}')).toBe(6);
  const ended = 'dpool_children_ended_total{pool="pipeline"';
  expect(busy.series.get(`${ended},kind="function",ending="succeeded",code=""}`)).toBe(1);
  expect(busy.series.get(`${ended},kind="command",ending="exited",code=""}`)).toBe(1);
  expect(busy.series.get('dpool_child_run_seconds_count{pool="pipeline"}')).toBe(2);
  leaving.abort();
  await waiting;
  if (HAS_BUBBLEWRAP) {
    rmSync(bound, { recursive: true });
    for (let index = 0; index < 3; index++)
      await post(url, "/children", { pool: "broken", command: ["true"] });
    const sick = 'dpool_pool_sick{pool="broken"}';
    await until("the pool to be sick", async () => (await look()).series.get(sick) === 1);
  } else changed.add("dpool_pool_sick");
  await post(url, "/drain");
  const drained = await look();
  expect(drained.series.get("dpool_member_draining")).toBe(1);
  expect(drained.series.get("dpool_member_ready")).toBe(0);
  await fetch(`${url}/children/${id}`, { method: "DELETE" });
  expect([...drained.names].sort()).toEqual(listedMetrics().sort());
  expect([...changed, ...ELSEWHERE]).toEqual(expect.arrayContaining(own(drained.names)));
  expect(drained.text).not.toContain(id);
});

test("each member of a process counts for itself", async () => {
  const [one, two] = await startMembers({ pools: { a: 1 } }, { pools: { b: 1 } });
  if (!one || !two) throw new Error("expected two members");
  await callEvents(one.url, "/pools/b/call", { command: ["true"] });
  const [ofOne, ofTwo] = [await metricsOf(one), await metricsOf(two)];
  expect(ofOne.series.get('dpool_placement_tries_total{outcome="admitted"}')).toBe(1);
  expect(ofOne.text).not.toContain('pool="b"');
  expect(ofTwo.series.get('dpool_children_placed_total{pool="b"}')).toBe(1);
  expect(ofTwo.series.get('dpool_placement_tries_total{outcome="admitted"}')).toBe(0);
});

test("a token needs observe in all pools", async () => {
  const some = newToken("some", ["observe"], ["a"]);
  const all = newToken("all", ["observe"], ["*"]);
  const folder = mkdtempSync(join(tmpdir(), "dpool-metrics-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, "tokens");
  await writeFile(tokenFile, `${some.line}\n${all.line}\n`, { mode: 0o600 });
  const { url } = await startOne({ pools: { a: 1, b: 1 }, tokenFile });
  const ask = (token: string) =>
    fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  expect(await problemOf(await ask(some.token))).toMatchObject({ code: "forbidden" });
  const answer = await ask(all.token);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await problemOf(await fetch(`${url}/metrics`))).toMatchObject({ code: "unauthorized" });
  expect(await getJson<{ status: string }>(`${url}/livez`)).toMatchObject({ status: "ok" });
});
