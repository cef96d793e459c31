/** Members as real processes that find each other through a real Consul agent. */
import { randomInt } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type EventOf,
  isTerminal,
  type PoolEvent,
  type TerminalEvent,
} from "../../openapi/events.ts";
import type { Count } from "../../openapi/resources.ts";
import type { ChildSpecInput } from "../../openapi/spec.ts";
import { readEvents } from "../../sdk/typescript/http/read-events.ts";
import { type CommandSpec, DistributedPool } from "../../sdk/typescript/index.ts";
import { type ConsulAgent, consulMissing, startConsul } from "../helpers/consul.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { HAS_BUBBLEWRAP, LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually, within } from "../helpers/wait.ts";

const SERVICE = "distributed-pool";
const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

/** Longer than any child of these tests is let live: what ends it is the test. */
type Command = Pick<CommandSpec, "command" | "link">;
const BLOCK: Command = { command: ["sleep", "60"], link: true };
const TRUE: Command = { command: ["true"] };

const SETTLE_MS = 15_000;
const CALL_MS = 20_000;
/** The TTL of a member's check is 15 s; Consul then needs a moment. */
const TTL_MS = 40_000;
/** A member that Consul does not know finds out at its next heartbeat, within 5 s, and may need a second try. */
const REGISTER_MS = 30_000;

interface Cluster {
  readonly consul: ConsulAgent;
  readonly members: readonly MemberProcess[];
  member(name: string): MemberProcess;
}

/** A Consul agent of its own and members m1, m2 …, each of which sees them all. Ended with the test. */
async function cluster(size: number): Promise<Cluster> {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  // A child that was told to stop while it was starting may need the KILL.
  const starting = Array.from({ length: size }, (_, index) =>
    startServe({
      member: `m${index + 1}`,
      consul: consul.httpAddress,
      args: ["--drain-ms", "0", "--grace-ms", "100", "--sandbox", SANDBOX_OPTION],
    }),
  );
  onTestFinished(async () => {
    const started = await Promise.allSettled(starting);
    await Promise.all(
      started.map((outcome) => (outcome.status === "fulfilled" ? outcome.value.end() : undefined)),
    );
  });
  const members = await Promise.all(starting);
  await everybodySees(members);
  const member = (name: string) => {
    const found = members.find((candidate) => candidate.name === name);
    if (!found) throw new Error(`there is no member ${name}`);
    return found;
  };
  return { consul, members, member };
}

function everybodySees(members: readonly MemberProcess[]): Promise<void> {
  const names = members.map(({ name }) => name).sort();
  return eventually(
    "every member sees all members",
    async () => {
      for (const { url } of members) {
        const { members: seen } = (await (await fetch(`${url}/pools/pipeline`)).json()) as {
          members?: { member: string }[];
        };
        expect(seen?.map(({ member }) => member).sort()).toEqual(names);
      }
    },
    SETTLE_MS,
  );
}

/** The SDK, placing directly; closed with the test. */
function direct(consul: ConsulAgent): DistributedPool {
  const pools = new DistributedPool({ consul: consul.httpAddress }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  return pools;
}

/** The SDK through one member; closed with the test. */
function through(member: MemberProcess): DistributedPool {
  const pools = new DistributedPool({ url: member.url }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  return pools;
}

/** A call whose child has its slot. */
interface Held {
  readonly placed: EventOf<"placed">;
  /** The terminal event. */
  end(): Promise<TerminalEvent>;
  /** Closes the caller's connection. */
  leave(): Promise<void>;
}

function post(url: string, spec: ChildSpecInput, signal?: AbortSignal): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify(spec),
    ...(signal ? { signal } : {}),
  });
}

async function hold(events: AsyncGenerator<PoolEvent, void, undefined>): Promise<Held> {
  const first = await within("the event placed", CALL_MS, events.next());
  if (first.done || first.value.type !== "placed")
    throw new Error(`expected placed first; got ${JSON.stringify(first.value)}`);
  return {
    placed: first.value,
    async end() {
      const terminal = (async () => {
        for await (const event of events) if (isTerminal(event)) return event;
        throw new Error("the stream ended before its terminal event");
      })();
      return within("the terminal event", CALL_MS, terminal);
    },
    async leave() {
      await events.return();
    },
  };
}

/** Makes a call over plain HTTP and waits until its child is placed. */
async function callAt(url: string, spec: ChildSpecInput & { pool?: string }): Promise<Held> {
  const controller = new AbortController();
  const response = await within(
    "the head of the answer",
    CALL_MS,
    post(url, spec, controller.signal),
  );
  if (response.status !== 200 || response.body === null)
    throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  const held = await hold(readEvents(response.body));
  return { ...held, leave: async () => controller.abort() };
}

/** A call in the pool, through a member. */
function call(member: MemberProcess, spec: Command = BLOCK): Promise<Held> {
  return callAt(`${member.url}/pools/pipeline/call`, spec);
}

/** All of them, or the reasons of those that failed; those that were placed are left then. */
async function all(calls: readonly Promise<Held>[]): Promise<Held[]> {
  const outcomes = await Promise.allSettled(calls);
  const held = outcomes.flatMap((outcome) =>
    outcome.status === "fulfilled" ? [outcome.value] : [],
  );
  const reasons = outcomes.flatMap((outcome) =>
    outcome.status === "rejected" ? [String(outcome.reason)] : [],
  );
  if (reasons.length > 0) {
    await Promise.all(held.map((one) => one.leave()));
    throw new Error(
      `${reasons.length} of ${calls.length} calls were not placed: ${[...new Set(reasons)].join("; ")}`,
    );
  }
  return held;
}

/** A call through one member whose child runs on another. */
async function callElsewhere(gateway: MemberProcess, spec: Command = BLOCK): Promise<Held> {
  // With a child of its own the gateway is not among the least loaded.
  await callAt(`${gateway.url}/call`, { pool: "pipeline", ...BLOCK });
  const held = await call(gateway, spec);
  expect(held.placed.child.member).not.toBe(gateway.name);
  return held;
}

async function active(member: MemberProcess): Promise<number | undefined> {
  const count = (await (await fetch(`${member.url}/children/count`)).json()) as Count;
  return count.pools.pipeline?.active;
}

function idle(members: readonly MemberProcess[]): Promise<void> {
  return eventually(
    "the counts are back at zero",
    async () => expect(await Promise.all(members.map(active))).toEqual(members.map(() => 0)),
    CALL_MS,
  );
}

/** Every member has noticed at its heartbeat that Consul does not answer. */
function complained(members: readonly MemberProcess[]): Promise<void> {
  return eventually(
    "every member says in its log that it cannot reach Consul",
    () => {
      for (const { log } of members) expect(log).toMatch(/ warn Consul at .*; trying again/);
    },
    REGISTER_MS,
  );
}

async function expectReady(members: readonly MemberProcess[]): Promise<void> {
  for (const { url } of members)
    expect((await within("/readyz", CALL_MS, fetch(`${url}/readyz`))).status).toBe(200);
}

/** Whether a process with exactly these arguments runs on this machine, in a sandbox or not. */
function runs(argv: readonly string[]): boolean {
  const wanted = argv.map((argument) => `${argument}\0`).join("");
  return readdirSync("/proc").some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8") === wanted;
    } catch {
      // It has ended in this moment.
      return false;
    }
  });
}

function tally(held: readonly Held[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { placed } of held)
    counts[placed.child.member] = (counts[placed.child.member] ?? 0) + 1;
  return counts;
}

interface Instance {
  readonly Service: {
    readonly ID: string;
    readonly Tags: string[];
    readonly Meta: Record<string, string>;
    readonly Address: string;
    readonly Port: number;
  };
}

function passing(consul: ConsulAgent): Promise<Instance[]> {
  return consul.ask<Instance[]>(`/v1/health/service/${SERVICE}?passing`);
}

function consulShows(
  consul: ConsulAgent,
  names: readonly string[],
  timeoutMs: number,
): Promise<void> {
  return eventually(
    `Consul shows ${names.join(", ")} as passing`,
    async () =>
      expect((await passing(consul)).map(({ Service }) => Service.Meta.member).sort()).toEqual(
        [...names].sort(),
      ),
    timeoutMs,
  );
}

describe.skipIf(consulMissing)(
  `members in Consul${consulMissing ? ` (${consulMissing})` : ""}`,
  () => {
    test("three members are registered with their pools as tags and their facts in meta", async () => {
      const { consul, members } = await cluster(3);
      const ids = members.map(({ name }) => `${SERVICE}-${name}`);

      const instances = (await passing(consul))
        .map(({ Service }) => Service)
        .sort((a, b) => (a.ID < b.ID ? -1 : 1));
      expect(instances.map(({ ID }) => ID)).toEqual(ids);
      for (const [index, { Tags, Meta, Address, Port }] of instances.entries()) {
        const member = members[index] as MemberProcess;
        expect(Tags).toContain("pipeline");
        expect(Meta).toMatchObject({
          member: member.name,
          version,
          sandbox: LEVEL,
          "maxChildren-pipeline": "5",
        });
        expect(`http://${Address}:${Port}`).toBe(member.url);
      }

      const catalog = await consul.ask<{ ServiceID: string; ServiceTags: string[] }[]>(
        `/v1/catalog/service/${SERVICE}`,
      );
      expect(catalog.map(({ ServiceID }) => ServiceID).sort()).toEqual(ids);
      for (const { ServiceTags } of catalog) expect(ServiceTags).toContain("pipeline");
    });

    test("15 simultaneous calls land five on each of three members, the 16th is refused, and leaving frees the slots", async () => {
      const { members } = await cluster(3);
      const held = await all(
        Array.from({ length: 15 }, (_, index) => call(members[index % 3] as MemberProcess)),
      );
      expect(tally(held)).toEqual({ m1: 5, m2: 5, m3: 5 });
      expect(await Promise.all(members.map(active))).toEqual([5, 5, 5]);

      for (const { url } of members) {
        const refused = await within(
          "the refusal",
          CALL_MS,
          post(`${url}/pools/pipeline/call`, BLOCK),
        );
        expect(refused.status).toBe(503);
        expect(refused.headers.get("content-type")).toContain("application/problem+json");
        expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
        expect(await refused.json()).toMatchObject({
          status: 503,
          code: "all_members_at_capacity",
        });
      }

      await Promise.all(held.map((one) => one.leave()));
      await idle(members);
    });

    test("20 of 20 simultaneous calls are admitted by 20 slots, a hundred rounds in a row", {
      timeout: 300_000,
    }, async () => {
      const { consul, members } = await cluster(4);
      const placing = direct(consul);
      const gateways = members.map(through);
      for (let round = 1; round <= 100; round++) {
        const held = await all(
          Array.from({ length: 20 }, (_, index) => {
            const pools = round % 2 === 0 ? placing : (gateways[index % 4] as DistributedPool);
            return hold(pools.stream("pipeline", BLOCK));
          }),
        ).catch((error: Error) => {
          throw new Error(`round ${round}: ${error.message}`, { cause: error });
        });
        expect(tally(held), `round ${round}`).toEqual({ m1: 5, m2: 5, m3: 5, m4: 5 });
        await Promise.all(held.map((one) => one.leave()));
        await idle(members);
      }
    });

    test("a member that is killed ends its calls with member_lost, and the pool goes on without it", {
      timeout: 120_000,
    }, async () => {
      const { consul, members, member } = await cluster(3);
      const gateway = member("m1");
      // Told from every other process by its odd number of seconds.
      const command = ["sleep", `60.${randomInt(1_000_000, 10_000_000)}`];
      const held = await callElsewhere(gateway, { command });
      if (HAS_BUBBLEWRAP)
        await eventually("the child runs", () => expect(runs(command)).toBe(true), CALL_MS);
      const lost = member(held.placed.child.member);
      const watching = direct(consul);
      // Its list is there before the death, as a member's is.
      expect((await watching.pool("pipeline")).members).toHaveLength(3);

      lost.kill("SIGKILL");
      expect(await within("the end of the stream", 5_000, held.end())).toMatchObject({
        type: "failed",
        problem: { code: "member_lost", status: 502 },
      });

      const next = await call(gateway, TRUE);
      expect(next.placed.child.member).not.toBe(lost.name);
      expect(await next.end()).toMatchObject({ type: "result", exitCode: 0 });
      expect(
        await within("a call past the dead member", CALL_MS, watching.call("pipeline", TRUE)),
      ).toMatchObject({ exitCode: 0 });

      // Without a sandbox nothing ends the children of a member that had no time to.
      if (HAS_BUBBLEWRAP)
        await eventually(
          "the child is gone with its member",
          () => expect(runs(command)).toBe(false),
          CALL_MS,
        );

      const left = members.filter(({ name }) => name !== lost.name).map(({ name }) => name);
      await consulShows(consul, left, TTL_MS);
      expect(
        await within("a call after the TTL", CALL_MS, watching.call("pipeline", TRUE)),
      ).toMatchObject({ exitCode: 0 });
    });

    test("calls go on while Consul is away, and while the members register again after it is back", {
      timeout: 180_000,
    }, async () => {
      const { consul, members, member } = await cluster(3);
      const names = members.map(({ name }) => name);
      const access = [direct(consul), through(member("m1"))];
      const callBoth = async () => {
        for (const pools of access) {
          const { exitCode } = await within("a call", CALL_MS, pools.call("pipeline", TRUE));
          expect(exitCode).toBe(0);
        }
      };
      // Whoever has never seen the list has nothing to go on with.
      await callBoth();
      const over = await call(member("m2"));

      await consul.stop();
      await callBoth();
      await complained(members);
      // They serve on with the members they know.
      await expectReady(members);
      for (let times = 0; times < 10; times++) await callBoth();

      // One call after another, until Consul is back and has been told everything again.
      const failures: unknown[] = [];
      let made = 0;
      let settled = false;
      const calling = (async () => {
        while (!settled) {
          await callBoth().catch((error) => failures.push(error));
          made += 1;
        }
      })();
      try {
        await consul.restart();
        await consulShows(consul, names, REGISTER_MS);
        await expectReady(members);
        await everybodySees(members);
      } finally {
        settled = true;
        await calling;
      }
      expect(failures).toEqual([]);
      expect(made).toBeGreaterThan(0);

      const running = (await (await fetch(over.placed.child.url)).json()) as { status: string };
      expect(running.status).toBe("running");
      await over.leave();
      await idle(members);
    });

    test("a member that the agent has forgotten registers again", async () => {
      const { consul, members } = await cluster(2);
      const id = `${SERVICE}-m2`;
      const known = () => consul.ask<{ ID: string }>(`/v1/agent/service/${id}`);
      expect((await known()).ID).toBe(id);

      await consul.ask(`/v1/agent/service/deregister/${id}`, "PUT");
      // The agent's own list changes at once, unlike the catalog: an entry there is a new one.
      await eventually("the agent knows the member again", known, REGISTER_MS);
      await consulShows(consul, ["m1", "m2"], REGISTER_MS);
      await everybodySees(members);
    });

    test("a member that reads its file again tells Consul, and so the others, how many children it takes; flags win", async () => {
      const consul = await startConsul();
      onTestFinished(() => consul.stop());
      const folder = mkdtempSync(join(tmpdir(), "distributed-pool-config-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const file = join(folder, "pool.yaml");
      writeFileSync(file, "pools:\n  pipeline: 2\n  fixed: 9\n");
      const args = ["--config", file, "--sandbox", SANDBOX_OPTION];
      const members = await Promise.all([
        startServe({ member: "m1", consul: consul.httpAddress, pool: "fixed=1", args }),
        startServe({
          member: "m2",
          consul: consul.httpAddress,
          pool: "pipeline=1",
          args: args.slice(2),
        }),
      ]);
      onTestFinished(async () => void (await Promise.all(members.map((member) => member.end()))));
      const [m1, m2] = members as [MemberProcess, MemberProcess];
      const shown = (slots: string, sum: number) =>
        eventually(
          `${slots} slots of m1, ${sum} in all`,
          async () => {
            const own = (await passing(consul)).find(({ Service }) => Service.Meta.member === "m1");
            expect(own?.Service.Meta).toMatchObject({
              "maxChildren-pipeline": slots,
              "maxChildren-fixed": "1",
            });
            const { pools } = (await (await fetch(`${m2.url}/pools`)).json()) as {
              pools: { pool: string; max: number }[];
            };
            expect(pools.find(({ pool }) => pool === "pipeline")?.max).toBe(sum);
          },
          SETTLE_MS,
        );
      await shown("2", 3);

      writeFileSync(file, "pools:\n  pipeline: 4\n  fixed: 8\n");
      m1.kill("SIGHUP");
      await shown("4", 5);

      writeFileSync(file, "pools:\n  crawler: 1\n  fixed: 8\n");
      m1.kill("SIGHUP");
      await eventually(
        "pool crawler of m1 in the place of pipeline",
        async () => {
          const own = (await passing(consul)).find(({ Service }) => Service.Meta.member === "m1");
          expect(own?.Service.Tags).toEqual(expect.arrayContaining(["crawler", "fixed"]));
          expect(own?.Service.Tags).not.toContain("pipeline");
          const { pools } = (await (await fetch(`${m2.url}/pools`)).json()) as {
            pools: { pool: string; max: number }[];
          };
          expect(pools).toEqual(
            expect.arrayContaining([
              expect.objectContaining({ pool: "crawler", max: 1 }),
              expect.objectContaining({ pool: "pipeline", max: 1 }),
            ]),
          );
        },
        SETTLE_MS,
      );

      // What Consul could not be told while it was away, it hears when it is back.
      await consul.stop();
      writeFileSync(file, "pools:\n  pipeline: 3\n  fixed: 8\n");
      m1.kill("SIGHUP");
      await eventually(
        "the reload",
        () => expect(m1.log).toMatch(/changed: pools\.crawler, pools\.pipeline\n/),
        SETTLE_MS,
      );
      await consul.restart();
      await consulShows(consul, ["m1", "m2"], REGISTER_MS);
      await shown("3", 4);
      await expectReady(members);
    });

    test("a member that gets SIGTERM leaves Consul, ends its children as cancelled and exits with 0", async () => {
      const { consul, members, member } = await cluster(3);
      const gateway = member("m1");
      const held = await callElsewhere(gateway);
      const leaving = member(held.placed.child.member);

      leaving.kill("SIGTERM");
      expect(await held.end()).toMatchObject({ type: "failed", problem: { code: "cancelled" } });
      expect(await within("the exit of the member", CALL_MS, leaving.exited)).toEqual({
        code: 0,
        signal: null,
      });
      await consulShows(
        consul,
        members.filter((other) => other !== leaving).map(({ name }) => name),
        SETTLE_MS,
      );
      const catalog = await consul.ask<{ ServiceID: string }[]>(`/v1/catalog/service/${SERVICE}`);
      expect(catalog.map(({ ServiceID }) => ServiceID)).not.toContain(`${SERVICE}-${leaving.name}`);
      expect(await (await call(gateway, TRUE)).end()).toMatchObject({
        type: "result",
        exitCode: 0,
      });
    });

    test("the SDK places directly: values, children, and past a member that does not answer", {
      timeout: 120_000,
    }, async () => {
      const { consul, members, member } = await cluster(3);
      const pools = direct(consul);

      expect(
        await within(
          "the value of a function",
          CALL_MS,
          pools.call("pipeline", (a: number, b: number) => a + b, 1211, 1),
        ),
      ).toBe(1212);

      const ending = await within(
        "a placed child",
        CALL_MS,
        pools.placeChild("pipeline", { command: ["sh", "-c", "exit 3"] }),
      );
      expect(await within("its exit", CALL_MS, ending.exit)).toMatchObject({ exitCode: 3 });

      const child = await within(
        "a placed child",
        CALL_MS,
        pools.placeChild("pipeline", { command: ["sleep", "60"], labels: { of: "test" } }),
      );
      expect(await child.info()).toMatchObject({
        id: child.id,
        pool: "pipeline",
        status: "running",
        labels: { of: "test" },
        deadlineAt: null,
      });
      const exit = expect(
        within("the exit of the stopped child", CALL_MS, child.exit),
      ).rejects.toMatchObject({ code: "cancelled" });
      await child.stop();
      await exit;
      await idle(members);

      const silent = member("m2");
      silent.kill("SIGSTOP");
      for (let times = 0; times < 6; times++) {
        const held = await hold(pools.stream("pipeline", TRUE));
        expect(held.placed.child.member).not.toBe(silent.name);
        expect(await held.end()).toMatchObject({ type: "result", exitCode: 0 });
      }
      silent.kill("SIGCONT");
      await eventually(
        "the member answers again",
        async () => expect((await fetch(`${silent.url}/livez`)).status).toBe(200),
        CALL_MS,
      );
      expect(await within("a call after it", CALL_MS, pools.call("pipeline", TRUE))).toMatchObject({
        exitCode: 0,
      });
    });
  },
);
