/** Members in processes of their own find each other through a real Consul agent. */
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
import type { Count } from "../../openapi/schemas/resources.ts";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import { readEvents } from "../../sdk/typescript/http/read-events.ts";
import { type CommandSpec, DistributedPool } from "../../sdk/typescript/node.ts";
import { type ConsulAgent, consulMissing, startConsul } from "../helpers/consul.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { HAS_BUBBLEWRAP, LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually, within } from "../helpers/wait.ts";

const SERVICE = "distributed-pool";
const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

type Command = Pick<CommandSpec, "link"> & { readonly command: string[] };
/** Runs longer than any test, so it is the test that ends it. */
const BLOCK: Command = { command: ["sleep", "60"], link: true };
const TRUE: Command = { command: ["true"] };

const SETTLE_MS = 15_000;
const CALL_MS = 20_000;
/** 40 seconds: the TTL of a member's check is 15, and Consul needs some time after it. */
const TTL_MS = 40_000;
/** 30 seconds: a forgotten member notices at its next heartbeat, and may need a second try. */
const REGISTER_MS = 30_000;

interface Cluster {
  readonly consul: ConsulAgent;
  readonly members: readonly MemberProcess[];
  member(name: string): MemberProcess;
}

/** Starts a Consul agent, and members m1, m2 … that see each other. The test ends them. */
async function cluster(size: number): Promise<Cluster> {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  // The grace is short, because a child that is stopped during its start may need the KILL.
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

/** An SDK that places directly. The test closes it. */
function direct(consul: ConsulAgent): DistributedPool {
  const pools = new DistributedPool({ consul: consul.httpAddress }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  return pools;
}

/** An SDK with one member as its gateway. The test closes it. */
function through(member: MemberProcess): DistributedPool {
  const pools = new DistributedPool({ url: member.url }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  return pools;
}

/** A call whose child has been placed. */
interface PlacedCall {
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

async function untilPlaced(
  events: AsyncGenerator<PoolEvent, void, undefined>,
): Promise<PlacedCall> {
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

/** Makes a call by plain HTTP, and waits until its child is placed. */
async function callAt(url: string, spec: ChildSpecInput & { pool?: string }): Promise<PlacedCall> {
  const controller = new AbortController();
  const response = await within(
    "the head of the answer",
    CALL_MS,
    post(url, spec, controller.signal),
  );
  if (response.status !== 200 || response.body === null)
    throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  const held = await untilPlaced(readEvents(response.body));
  return { ...held, leave: async () => controller.abort() };
}

/** Makes a call in the pool, with a member as its gateway. */
function call(member: MemberProcess, spec: Command = BLOCK): Promise<PlacedCall> {
  return callAt(`${member.url}/pools/pipeline/call`, spec);
}

/** Resolves to all calls. When some fail, it leaves the others and throws the reasons. */
async function all(calls: readonly Promise<PlacedCall>[]): Promise<PlacedCall[]> {
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
      `${reasons.length} of ${calls.length} calls were not placed: ` +
        [...new Set(reasons)].join("; "),
    );
  }
  return held;
}

/** Makes a call whose child runs on another member than its gateway. */
async function callElsewhere(gateway: MemberProcess, spec: Command = BLOCK): Promise<PlacedCall> {
  // A child of its own keeps the gateway from being the least loaded member.
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

/** Resolves when each member has noticed, at its heartbeat, that Consul does not answer. */
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

/** Whether this machine runs a process with exactly these arguments, in a sandbox or not. */
function runs(argv: readonly string[]): boolean {
  const cmdline = argv.map((argument) => `${argument}\0`).join("");
  return readdirSync("/proc").some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8") === cmdline;
    } catch {
      // The process has just ended.
      return false;
    }
  });
}

function tally(held: readonly PlacedCall[]): Record<string, number> {
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
    test("three members are registered, with pools as tags and facts in meta", async () => {
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

    test("15 calls fill three members, the 16th is refused, and leaving frees slots", async () => {
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

    test("20 of 20 simultaneous calls are admitted by 20 slots, forty rounds in a row", {
      timeout: 300_000,
    }, async () => {
      const { consul, members } = await cluster(4);
      const placing = direct(consul);
      const gateways = members.map(through);
      for (let round = 1; round <= 40; round++) {
        const held = await all(
          Array.from({ length: 20 }, (_, index) => {
            const pools = round % 2 === 0 ? placing : (gateways[index % 4] as DistributedPool);
            return untilPlaced(pools.stream("pipeline", BLOCK));
          }),
        ).catch((error: Error) => {
          throw new Error(`round ${round}: ${error.message}`, { cause: error });
        });
        expect(tally(held), `round ${round}`).toEqual({ m1: 5, m2: 5, m3: 5, m4: 5 });
        await Promise.all(held.map((one) => one.leave()));
        await idle(members);
      }
    });

    test("a killed member ends its calls with member_lost, and the pool goes on without it", {
      timeout: 120_000,
    }, async () => {
      const { consul, members, member } = await cluster(3);
      const gateway = member("m1");
      // The odd number of seconds tells this process from every other one.
      const command = ["sleep", `60.${randomInt(1_000_000, 10_000_000)}`];
      const held = await callElsewhere(gateway, { command });
      if (HAS_BUBBLEWRAP)
        await eventually("the child runs", () => expect(runs(command)).toBe(true), CALL_MS);
      const lost = member(held.placed.child.member);
      const watching = direct(consul);
      // The SDK has its list before the member dies, as other members do.
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

      // Without a sandbox, the children of a killed member live on.
      if (HAS_BUBBLEWRAP)
        await eventually(
          "the child is gone with its member",
          () => expect(runs(command)).toBe(false),
          CALL_MS,
        );

      const others = members.filter(({ name }) => name !== lost.name).map(({ name }) => name);
      await consulShows(consul, others, TTL_MS);
      expect(
        await within("a call after the TTL", CALL_MS, watching.call("pipeline", TRUE)),
      ).toMatchObject({ exitCode: 0 });
    });

    test("calls go on while Consul is away, and while members register again", {
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
      // An SDK that has never seen the list could not call while Consul is away.
      await callBoth();
      const running = await call(member("m2"));

      await consul.stop();
      await callBoth();
      await complained(members);
      // The members serve on with the list that they have.
      await expectReady(members);
      for (let times = 0; times < 10; times++) await callBoth();

      // Calls follow each other until Consul is back and all members are registered again.
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

      const info = (await (await fetch(running.placed.child.url)).json()) as { status: string };
      expect(info.status).toBe("running");
      await running.leave();
      await idle(members);
    });

    test("a member that the agent has forgotten registers again", async () => {
      const { consul, members } = await cluster(2);
      const id = `${SERVICE}-m2`;
      const known = () => consul.ask<{ ID: string }>(`/v1/agent/service/${id}`);
      expect((await known()).ID).toBe(id);

      await consul.ask(`/v1/agent/service/deregister/${id}`, "PUT");
      // The agent's own list changes at once, unlike the catalog, so an entry there is a new one.
      await eventually("the agent knows the member again", known, REGISTER_MS);
      await consulShows(consul, ["m1", "m2"], REGISTER_MS);
      await everybodySees(members);
    });

    test("a reload publishes the new maxChildren; flags take precedence", async () => {
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

      // A change that happens while Consul is away is published when Consul is back.
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

    test("SIGTERM: a member leaves Consul, cancels its children, exits with 0", async () => {
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
      // It heard nothing from the member of late, which would still count as an answer.
      const others = direct(consul);
      for (let times = 0; times < 6; times++) {
        const held = await untilPlaced(others.stream("pipeline", TRUE));
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
