/** Options that change while a member runs. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import {
  EmbeddedRegistry,
  type MemberOptions,
  type RunningMember,
  startMember,
} from "../../server/main.ts";
import {
  callEvents,
  getJson,
  idle,
  lastOf,
  post,
  problemOf,
  startOne,
  streamOf,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import { HAS_BUBBLEWRAP, SANDBOX_OPTION } from "../helpers/sandbox.ts";

const TRUE = { command: ["true"] };
/** A child that ends with its caller's connection. */
const BLOCK = { command: ["sleep", "60"], link: true };

/** All options of a member. A reload needs all of them again. */
function optionsOf(changes: Partial<MemberOptions> = {}): MemberOptions {
  return {
    pools: { pipeline: 1 },
    name: "m1",
    sandbox: SANDBOX_OPTION,
    port: 0,
    graceMs: 100,
    ...changes,
  };
}

async function start(
  changes: Partial<MemberOptions> = {},
): Promise<{ member: RunningMember; options: MemberOptions }> {
  const options = { ...optionsOf(changes), registry: new EmbeddedRegistry() };
  const member = await startMember(options);
  onTestFinished(() => within("the member's stop", member.stop()));
  await within("the member to join", member.joined);
  return { member, options };
}

/** Makes a call whose child runs, or that waits for a slot. `leave` ends it. */
async function calling(
  member: RunningMember,
  spec: object,
): Promise<{ types: AsyncGenerator<string, void>; leave(): void }> {
  const controller = new AbortController();
  const response = await post(
    member.url,
    "/pools/pipeline/call",
    spec,
    { accept: "text/event-stream" },
    controller.signal,
  );
  const types = async function* () {
    for await (const { type } of streamOf(response)) yield type;
  };
  return { types: types(), leave: () => controller.abort() };
}

async function next(types: AsyncGenerator<string, void>): Promise<string> {
  const { value } = await within("an event", types.next());
  return value ?? "the end";
}

const loadOf = async (member: RunningMember) =>
  (await getJson<Count>(`${member.url}/children/count`)).pools.pipeline;

describe("maxChildren", () => {
  test("raised: waiting calls are served at once, and everybody sees the new number", async () => {
    const { member, options } = await start();
    const first = await calling(member, BLOCK);
    expect(await next(first.types)).toBe("placed");
    const second = await calling(member, { ...BLOCK, waitMs: 60_000 });
    expect(await next(second.types)).toBe("queued");
    expect(await member.reload({ ...options, pools: { pipeline: 2 } })).toEqual({
      changed: ["pools.pipeline.maxChildren"],
      restart: [],
    });
    expect(await next(second.types)).toBe("placed");
    expect(await loadOf(member)).toEqual({ active: 2, max: 2, queued: 0 });
    expect(await getJson(`${member.url}/pools`)).toEqual({
      pools: [{ pool: "pipeline", members: 1, max: 2, draining: 0, lost: 0 }],
    });
    expect(member.pools).toEqual({ pipeline: 2 });
    first.leave();
    second.leave();
    await idle(member);
  });

  test("lowered: no child is ended, and none is admitted until there are fewer", async () => {
    const { member, options } = await start({ pools: { pipeline: 2 } });
    const calls = [await calling(member, BLOCK), await calling(member, BLOCK)];
    for (const { types } of calls) expect(await next(types)).toBe("placed");
    await member.reload({ ...options, pools: { pipeline: 1 } });
    expect(await loadOf(member)).toEqual({ active: 2, max: 1, queued: 0 });
    expect(
      await problemOf(await post(member.url, "/call", { pool: "pipeline", ...TRUE })),
    ).toMatchObject({ code: "at_capacity", load: { active: 2, max: 1 } });
    calls[0]?.leave();
    await until("one child less", async () => (await loadOf(member))?.active === 1);
    expect(
      await problemOf(await post(member.url, "/call", { pool: "pipeline", ...TRUE })),
    ).toMatchObject({ code: "at_capacity" });
    calls[1]?.leave();
    await idle(member);
    lastOf(await callEvents(member.url, "/call", { pool: "pipeline", ...TRUE }), "result");
  });

  test("raised and lowered under calls: no slot is lost, and none is invented", async () => {
    const { member, options } = await start({ pools: { pipeline: 4 } });
    const calls = Array.from({ length: 50 }, () =>
      callEvents(member.url, "/pools/pipeline/call", { ...TRUE, waitMs: 60_000 }),
    );
    const reloads = Array.from({ length: 100 }, (_, index) =>
      member.reload({ ...options, pools: { pipeline: 1 + (index % 5) } }),
    );
    await within("the reloads", Promise.all(reloads));
    for (const events of await within("the calls", Promise.all(calls), 60_000))
      lastOf(events, "result");
    await idle(member);
    expect(await loadOf(member)).toEqual({ active: 0, max: 5, queued: 0 });
  });
});

test("other options apply to later calls", async () => {
  const { member, options } = await start();
  const wanted: MemberOptions = {
    ...options,
    deadlineMs: 200,
    maxBodyBytes: 2_048,
    maxStreams: 1,
    pools: { pipeline: { maxChildren: 1, maxQueue: 0, limits: { outputBytes: 10 } } },
  };
  expect(await member.reload(wanted)).toEqual({
    changed: [
      "deadlineMs",
      "maxBodyBytes",
      "maxStreams",
      "pools.pipeline.maxQueue",
      "pools.pipeline.limits",
    ],
    restart: [],
  });

  const held = await calling(member, { ...BLOCK, deadlineMs: 60_000 });
  expect(await next(held.types)).toBe("placed");
  expect(
    await problemOf(await post(member.url, "/call", { pool: "pipeline", ...TRUE, waitMs: 60_000 })),
  ).toMatchObject({ code: "too_many_requests" });
  await member.reload({ ...wanted, maxStreams: 10 });
  expect(
    await problemOf(await post(member.url, "/call", { pool: "pipeline", ...TRUE, waitMs: 60_000 })),
  ).toMatchObject({ code: "at_capacity" });
  held.leave();
  await idle(member);

  expect(
    lastOf(
      await callEvents(member.url, "/call", { pool: "pipeline", command: ["sleep", "60"] }),
      "failed",
    ).problem.code,
  ).toBe("deadline_exceeded");
  const noisy = await callEvents(member.url, "/call", {
    pool: "pipeline",
    command: ["sh", "-c", "echo 0123456789; sleep 60"],
    deadlineMs: 60_000,
  });
  expect(lastOf(noisy, "failed").problem).toMatchObject({ code: "payload_too_large" });
  expect(
    await problemOf(
      await post(member.url, "/call", { pool: "pipeline", command: ["echo", "x".repeat(4_096)] }),
    ),
  ).toMatchObject({
    code: "payload_too_large",
    detail: "expected a body of at most 2048 bytes",
  });
});

test("requests a second", async () => {
  const { member, options } = await start({ maxRate: 1 });
  const answers = async () =>
    Promise.all(
      Array.from({ length: 10 }, async () => (await fetch(`${member.url}/pools`)).status),
    );
  expect(await answers()).toContain(429);
  await member.reload({ ...options, maxRate: 1_000_000 });
  await until(
    "a request to be let in",
    async () => (await fetch(`${member.url}/pools`)).status === 200,
  );
  expect(await answers()).not.toContain(429);
});

test("an option that needs a restart keeps its value, and each reload says so", async () => {
  const { member, options } = await start();
  const wanted: MemberOptions = {
    ...options,
    port: 1,
    name: "other",
    insecure: true,
    graceMs: 7,
    pools: { pipeline: 3 },
  };
  const restart = ["name", "port", "insecure"];
  expect(await member.reload(wanted)).toEqual({
    changed: ["graceMs", "pools.pipeline.maxChildren"],
    restart: expect.toSatisfy((given: string[]) => isSame(given, restart)),
  });
  expect(await member.reload(wanted)).toEqual({
    changed: [],
    restart: expect.toSatisfy((given: string[]) => isSame(given, restart)),
  });
  expect(await getJson(`${member.url}/children/count`)).toMatchObject({
    member: "m1",
    pools: { pipeline: { max: 3 } },
  });
});

test("pools come and go, and the children of a pool that goes live on", async () => {
  const { member, options } = await start();
  const held = await calling(member, { ...BLOCK, link: false });
  expect(await next(held.types)).toBe("placed");
  const [child] = (await getJson<{ children: { id: string }[] }>(`${member.url}/children`))
    .children;

  const crawler = { ...options, pools: { crawler: 2 } };
  expect(await member.reload(crawler)).toEqual({
    changed: ["pools.pipeline", "pools.crawler"],
    restart: [],
  });
  expect(await getJson(`${member.url}/pools`)).toEqual({
    pools: [{ pool: "crawler", members: 1, max: 2, draining: 0, lost: 0 }],
  });
  lastOf(await callEvents(member.url, "/pools/crawler/call", TRUE), "result");
  expect(await problemOf(await post(member.url, "/pools/pipeline/call", TRUE))).toMatchObject({
    code: "pool_not_found",
  });
  expect(
    await problemOf(await post(member.url, "/call", { pool: "pipeline", ...TRUE })),
  ).toMatchObject({ code: "draining" });
  expect(await getJson(`${member.url}/children/${child?.id}`)).toMatchObject({
    status: "running",
    pool: "pipeline",
  });

  // The pool comes back while it drains, so the child still has its slot.
  await member.reload({ ...options, pools: { pipeline: 1, crawler: 2 } });
  expect(
    await problemOf(await post(member.url, "/call", { pool: "pipeline", ...TRUE })),
  ).toMatchObject({ code: "at_capacity" });
  await member.reload({ ...options, pools: { pipeline: 2, crawler: 2 } });
  lastOf(await callEvents(member.url, "/pools/pipeline/call", TRUE), "result");

  // A pool without children goes at once.
  await member.reload({ ...options, pools: { pipeline: 2, other: 1 } });
  await member.reload({ ...options, pools: { pipeline: 2 } });
  await until(
    "the pool to be gone",
    async () => !("other" in (await getJson<Count>(`${member.url}/children/count`)).pools),
  );
  expect(
    await problemOf(await post(member.url, "/call", { pool: "other", ...TRUE })),
  ).toMatchObject({ code: "pool_not_found" });
  await fetch(`${member.url}/children/${child?.id}`, { method: "DELETE" });
  await idle(member);
});

const isSame = (a: readonly string[], b: readonly string[]) =>
  a.toSorted().join() === b.toSorted().join();

describe("wrong options leave everything as it is", () => {
  test.each<[string, Partial<MemberOptions>, RegExp]>([
    ["no pool", { pools: {} }, /expected at least one pool/],
    [
      "no children",
      { pools: { pipeline: 0 } },
      /pools\.pipeline\.maxChildren: expected at least 1; got 0/,
    ],
    ["a host that is open", { host: "0.0.0.0", pools: { pipeline: 9 } }, /not loopback/],
    ["a member's name", { name: "a b", pools: { pipeline: 9 } }, /expected a member name/],
  ])("%s", async (_, changes, message) => {
    const { member, options } = await start();
    await expect(member.reload({ ...options, graceMs: 1, ...changes })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(message),
    });
    expect(await loadOf(member)).toEqual({ active: 0, max: 1, queued: 0 });
    expect(await member.reload(options)).toEqual({ changed: [], restart: [] });
  });

  test.skipIf(!HAS_BUBBLEWRAP)(
    `a sandbox that does not hold${HAS_BUBBLEWRAP ? "" : " (skipped: bwrap is not installed)"}`,
    async () => {
      const { member, options } = await start();
      const empty = mkdtempSync(join(tmpdir(), "distributed-pool-root-"));
      onTestFinished(() => rmSync(empty, { recursive: true }));
      await expect(
        member.reload({ ...options, pools: { pipeline: { maxChildren: 9, root: empty } } }),
      ).rejects.toMatchObject({ code: "sandbox_unavailable" });
      expect(await loadOf(member)).toEqual({ active: 0, max: 1, queued: 0 });
      lastOf(await callEvents(member.url, "/call", { pool: "pipeline", ...TRUE }), "result");
    },
  );
});

test.skipIf(!HAS_BUBBLEWRAP)("changed grants apply to children that start later", async () => {
  const { member, options } = await start({
    pools: { pipeline: { maxChildren: 2, env: { MODEL: "small" } } },
  });
  const printed = { pool: "pipeline", command: ["sh", "-c", "echo $MODEL"] };
  expect(textOf(await callEvents(member.url, "/call", printed))).toBe("small\n");
  await member.reload({
    ...options,
    pools: { pipeline: { maxChildren: 2, env: { MODEL: "large" } } },
  });
  expect(textOf(await callEvents(member.url, "/call", printed))).toBe("large\n");
});

test.skipIf(!HAS_BUBBLEWRAP)(
  "waiting and reused processes start anew for changed grants",
  async () => {
    const pool = { maxChildren: 2, warm: 1, reuse: true };
    const { member, options } = await start({
      pools: { pipeline: { ...pool, env: { MODEL: "small" } } },
    });
    const model = async () =>
      lastOf(
        await callEvents(member.url, "/call", {
          pool: "pipeline",
          function: {
            source: "() => [process.env.MODEL, globalThis.calls = (globalThis.calls ?? 0) + 1]",
          },
        }),
        "result",
      ).value;
    expect(await model()).toEqual(["small", 1]);
    expect(await model()).toEqual(["small", 2]);
    expect(
      await member.reload({
        ...options,
        pools: { pipeline: { ...pool, env: { MODEL: "large" } } },
      }),
    ).toEqual({
      changed: ["pools.pipeline.env"],
      restart: [],
    });
    expect(await model()).toEqual(["large", 1]);
    // Options that do not concern the processes leave them alone.
    await member.reload({
      ...options,
      pools: { pipeline: { ...pool, env: { MODEL: "large" }, maxQueue: 1 } },
    });
    expect(await model()).toEqual(["large", 2]);
    await member.reload({
      ...options,
      pools: { pipeline: { ...pool, reuse: false, env: { MODEL: "large" } } },
    });
    expect(await model()).toEqual(["large", 1]);
    expect(await model()).toEqual(["large", 1]);
  },
);

test("a member that stops takes no options", async () => {
  const member = await startOne();
  const stopped = member.stop();
  await expect(member.reload(optionsOf({ pools: { pipeline: 2 } }))).rejects.toMatchObject({
    code: "draining",
  });
  await stopped;
});

describe("runtimes", () => {
  const fn = (source: string) => ({ pool: "pipeline", function: { source } });
  const value = async (member: RunningMember, source: string) =>
    lastOf(await callEvents(member.url, "/call", fn(source)), "result").value as unknown;
  const MARK = "() => { globalThis.mark = (globalThis.mark ?? 0) + 1; return globalThis.mark }";

  test("reuse is turned off and on: reused processes end, and running calls finish", async () => {
    const { member, options } = await start({
      pools: { pipeline: { maxChildren: 2, reuse: true } },
    });
    expect([await value(member, MARK), await value(member, MARK)]).toEqual([1, 2]);
    const stream = streamOf(
      await post(
        member.url,
        "/call",
        fn(
          `() => {
            console.log('up');
            return new Promise((resolve) => setTimeout(resolve, 300, 'end'));
          }`,
        ),
      ),
    );
    const events: Awaited<ReturnType<typeof callEvents>> = [];
    for await (const event of stream) {
      events.push(event);
      if (event.type === "stdout")
        expect((await member.reload({ ...options, pools: { pipeline: 2 } })).changed).toEqual([
          "pools.pipeline.reuse",
        ]);
    }
    expect(lastOf(events, "result").value).toBe("end");
    expect([await value(member, MARK), await value(member, MARK)]).toEqual([1, 1]);
    await member.reload(options);
    expect([await value(member, MARK), await value(member, MARK)]).toEqual([1, 2]);
    await idle(member);
  });

  test("waiting processes have the limits in force", async () => {
    const limits = (openFiles: number) => ({
      pools: { pipeline: { maxChildren: 2, warm: 1, limits: { openFiles } } },
    });
    const { member, options } = await start(limits(200));
    const openFiles = () =>
      value(
        member,
        `() => {
          const limits = require('node:fs').readFileSync('/proc/self/limits', 'utf8');
          return Number(/Max open files +(\\d+)/.exec(limits)[1]);
        }`,
      );
    if (HAS_BUBBLEWRAP) expect(await openFiles()).toBe(200);
    await member.reload({ ...options, ...limits(100) });
    if (HAS_BUBBLEWRAP) expect([await openFiles(), await openFiles()]).toEqual([100, 100]);
    await idle(member);
  });

  test("a pool that went and came back reuses processes again", async () => {
    const { member, options } = await start({
      pools: { pipeline: { maxChildren: 2, reuse: true }, other: 1 },
    });
    expect(await value(member, MARK)).toBe(1);
    await member.reload({ ...options, pools: { other: 1 } });
    await member.reload(options);
    expect([await value(member, MARK), await value(member, MARK)]).toEqual([1, 2]);
  });

  test("configured runtimes need a restart", async () => {
    const { member, options } = await start();
    const runtimes = { ruby: { command: ["ruby", "{source}"] } };
    expect(await member.reload({ ...options, runtimes })).toEqual({
      changed: [],
      restart: ["runtimes"],
    });
  });
});
