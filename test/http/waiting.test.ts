/** Waiting for a slot: at one member, and in a pool of several. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { SlotEvent } from "../../openapi/events.ts";
import type { Slot } from "../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { type NumberedEvent, readSlotEvents } from "../../sdk/typescript/http/read-events.ts";
import { DistributedPool, PoolError } from "../../sdk/typescript/node.ts";
import { newToken } from "../../server/access/tokens.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  callEvents,
  collect,
  eventsOf,
  getJson,
  idle,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  streamOf,
  textOf,
  until,
  within,
} from "../helpers/member.ts";

/** Ends when the test stops it. */
const HOLD = { command: ["sleep", "600"], deadlineMs: 60_000 };
const WAIT_MS = 30_000;

interface Count {
  readonly pools: {
    readonly pipeline: { readonly active: number; readonly max: number; readonly queued: number };
  };
}
const loadOf = async ({ url }: RunningMember) =>
  (await getJson<Count>(`${url}/children/count`)).pools.pipeline;

/** Takes a slot until the answer's function is called. */
async function hold({ url }: RunningMember, pool = "pipeline"): Promise<() => Promise<void>> {
  const events = streamOf(await post(url, "/call", { ...HOLD, pool }));
  const { value: placed } = await within("the holder to be placed", events.next());
  if (placed?.type !== "placed") throw new Error(`expected placed; got ${JSON.stringify(placed)}`);
  return async () => {
    await fetch(`${url}/children/${placed.child.id}?graceMs=0`, { method: "DELETE" });
    await within("the holder's end", collect(events));
  };
}

/** Calls and answers once the stream says something: the first event, and the rest of them. */
async function begin(
  url: string,
  path: string,
  spec: unknown,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
) {
  const events = streamOf(await post(url, path, spec, headers, signal));
  const { value: first } = await within("the first event", events.next());
  return {
    first: first as NumberedEvent,
    rest: () => within("the rest of the events", collect(events)),
  };
}

async function openSlot(url: string, body: unknown, headers: Record<string, string> = {}) {
  const left = new AbortController();
  const response = await post(
    url,
    "/slots",
    body,
    { accept: "text/event-stream", ...headers },
    left.signal,
  );
  const events = readSlotEvents(
    response.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>,
  );
  const next = async () =>
    (await within("the next event of the slot", events.next())).value as SlotEvent | undefined;
  return { next, leave: () => left.abort() };
}

describe("at one member", () => {
  test("a call waits: queued has no id, placed is the first event of its log", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const free = await hold(member);
    const waiting = await begin(member.url, "/call", {
      pool: "pipeline",
      command: ["echo", "done"],
      waitMs: WAIT_MS,
    });
    expect(waiting.first).toEqual({ type: "queued", position: 1 });
    expect(await loadOf(member)).toEqual({ active: 1, max: 1, queued: 1 });
    await free();
    const events = await waiting.rest();
    expect(events.map(({ type, id }) => [type, id])).toEqual([
      ["placed", 1],
      ["stdout", 2],
      ["result", 3],
    ]);
    await idle(member);
  });

  test("without waitMs it is refused at once, with the load", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    await hold(member);
    const problem = await problemOf(
      await post(member.url, "/call", { pool: "pipeline", command: ["true"] }),
    );
    expect(problem).toMatchObject({ code: "at_capacity", load: { active: 1, max: 1, queued: 0 } });
  });

  test("a wait that runs out ends the open stream with queue_timeout, without an id", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    await hold(member);
    const events = await callEvents(member.url, "/call", {
      pool: "pipeline",
      command: ["true"],
      waitMs: 50,
    });
    expect(events).toEqual([
      { type: "queued", position: 1 },
      { type: "failed", problem: expect.objectContaining({ code: "queue_timeout", status: 503 }) },
    ]);
    expect((await loadOf(member)).queued).toBe(0);
  });

  test("in the other forms it is a problem that says when to try again", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    await hold(member);
    for (const [path, headers] of [
      ["/call", { accept: "application/json" }],
      ["/children", {}],
      ["/slots", { accept: "application/json" }],
      ["/pools/pipeline/children", {}],
    ] as const) {
      const spec = path.startsWith("/pools") ? {} : { pool: "pipeline" };
      const response = await post(
        member.url,
        path,
        { ...spec, ...(path === "/slots" ? {} : { command: ["true"] }), waitMs: 50 },
        headers,
      );
      expect(response.headers.get("retry-after"), path).toBe("1");
      expect((await problemOf(response)).code, path).toBe("queue_timeout");
    }
  });

  test("a full queue is refused like a full member", async () => {
    const member = await startOne({ pools: { pipeline: { maxChildren: 1, maxQueue: 1 } } });
    await hold(member);
    await begin(member.url, "/call", { pool: "pipeline", command: ["true"], waitMs: WAIT_MS });
    const response = await post(member.url, "/call", {
      pool: "pipeline",
      command: ["true"],
      waitMs: WAIT_MS,
    });
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await problemOf(response)).toMatchObject({
      code: "at_capacity",
      load: { active: 1, max: 1, queued: 1 },
    });
    expect(
      (
        await problemOf(
          await post(member.url, "/pools/pipeline/call", { command: ["true"], waitMs: WAIT_MS }),
        )
      ).code,
    ).toBe("all_members_at_capacity");
  });

  test("waiters are served in the order of their requests, and read their positions", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const free = await hold(member);
    const order: number[] = [];
    const calls = [];
    for (const number of [0, 1, 2, 3, 4, 5]) {
      const call = await begin(member.url, "/call", {
        pool: "pipeline",
        command: ["true"],
        waitMs: WAIT_MS,
      });
      expect(call.first).toEqual({ type: "queued", position: number + 1 });
      calls.push(
        call.rest().then((events) => {
          order.push(number);
          return events;
        }),
      );
    }
    await free();
    const rests = await Promise.all(calls);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    for (const events of rests) {
      const positions = events.flatMap((event) =>
        event.type === "queued" ? [event.position] : [],
      );
      expect(positions).toEqual(positions.toSorted((a, b) => b - a));
      lastOf(events, "result");
    }
  });

  test("the deadline counts while it waits", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    await hold(member);
    for (const path of ["/call", "/pools/pipeline/call"]) {
      const spec = {
        command: ["true"],
        waitMs: WAIT_MS,
        deadlineMs: 1_000,
        ...(path === "/call" ? { pool: "pipeline" } : {}),
      };
      expect(lastOf(await callEvents(member.url, path, spec), "failed").problem.code, path).toBe(
        "deadline_exceeded",
      );
    }
  });

  test("the default deadline counts from the request, not from the start", async () => {
    const member = await startOne({ pools: { pipeline: 1 }, deadlineMs: 2_000 });
    const free = await hold(member);
    const requestedAt = Date.now();
    const waiting = await begin(member.url, "/call", {
      pool: "pipeline",
      command: ["sleep", "600"],
      waitMs: WAIT_MS,
    });
    await until("some time to pass", () => Date.now() - requestedAt > 500);
    await free();
    const events = await waiting.rest();
    expect(lastOf(events, "failed").problem.code).toBe("deadline_exceeded");
    const placed = events.find((event) => event.type === "placed");
    const id = placed?.type === "placed" ? placed.child.id : "";
    const { startedAt, deadlineAt } = await getJson<ChildInfo>(`${member.url}/children/${id}`);
    expect(Date.parse(deadlineAt as string) - Date.parse(startedAt)).toBeLessThan(1_600);
  });

  test("a caller that goes while it waits leaves no place behind", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    await hold(member);
    for (const [path, headers] of [
      ["/call", {}],
      ["/pools/pipeline/call", {}],
      ["/call", { accept: "application/json" }],
      ["/pools/pipeline/children", {}],
      ["/slots", { accept: "application/json" }],
    ] as const) {
      const left = new AbortController();
      const spec = {
        ...(path === "/slots" ? {} : { command: ["true"] }),
        waitMs: WAIT_MS,
        ...(path.startsWith("/pools") ? {} : { pool: "pipeline" }),
      };
      const gone = post(member.url, path, spec, headers, left.signal)
        .then((response) => response.text())
        .catch(() => undefined);
      await until("it to wait", async () => (await loadOf(member)).queued === 1);
      left.abort();
      await gone;
      await until("nobody to wait", async () => (await loadOf(member)).queued === 0);
    }
  });

  test("bad waits are refused", async () => {
    const { url } = await startOne();
    for (const waitMs of [-1, 1.5, "1", 86_400_001, null]) {
      const problem = await problemOf(
        await post(url, "/pools/pipeline/call", { command: ["true"], waitMs }),
      );
      expect(problem, String(waitMs)).toMatchObject({
        code: "invalid_request",
        fields: [{ path: "/waitMs" }],
      });
    }
  });
});

describe("slots", () => {
  test("a granted slot is held for its claim, once", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const answer = await post(
      member.url,
      "/slots",
      { pool: "pipeline" },
      { accept: "application/json" },
    );
    expect(answer.status).toBe(201);
    const slot = (await answer.json()) as Slot;
    expect(answer.headers.get("location")).toBe(`/slots/${slot.id}`);
    expect(slot).toMatchObject({ pool: "pipeline", member: "m1" });
    expect((await loadOf(member)).active).toBe(1);
    expect(
      (await problemOf(await post(member.url, "/call", { pool: "pipeline", command: ["true"] })))
        .code,
    ).toBe("at_capacity");
    const events = await callEvents(member.url, "/call", {
      pool: "pipeline",
      command: ["echo", "claimed"],
      slot: slot.id,
    });
    expect(textOf(events)).toBe("claimed\n");
    expect(
      (
        await problemOf(
          await post(member.url, "/call", { pool: "pipeline", command: ["true"], slot: slot.id }),
        )
      ).code,
    ).toBe("slot_not_found");
    await idle(member);
  });

  test("DELETE gives it back, once", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const slot = (await (
      await post(member.url, "/slots", { pool: "pipeline" }, { accept: "application/json" })
    ).json()) as Slot;
    const remove = () => fetch(`${member.url}/slots/${slot.id}`, { method: "DELETE" });
    expect((await remove()).status).toBe(204);
    expect((await loadOf(member)).active).toBe(0);
    expect((await problemOf(await remove())).code).toBe("slot_not_found");
  });

  test("the stream of a slot is its hold: whoever closes it gives the slot back", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const free = await hold(member);
    const slot = await openSlot(member.url, { pool: "pipeline", waitMs: WAIT_MS });
    expect(await slot.next()).toEqual({ type: "queued", position: 1 });
    await free();
    expect(await slot.next()).toMatchObject({ type: "granted", slot: { member: "m1" } });
    expect((await loadOf(member)).active).toBe(1);
    slot.leave();
    await idle(member);
  });

  test("the stream ends when a child takes the slot", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const slot = await openSlot(member.url, { pool: "pipeline", waitMs: WAIT_MS });
    const granted = await slot.next();
    if (granted?.type !== "granted")
      throw new Error(`expected granted; got ${JSON.stringify(granted)}`);
    const call = await begin(member.url, "/call", {
      pool: "pipeline",
      command: ["sleep", "600"],
      slot: granted.slot.id,
    });
    expect(await slot.next()).toBeUndefined();
    expect(call.first.type).toBe("placed");
    expect((await loadOf(member)).active).toBe(1);
  });

  test("a spec that is refused costs no slot", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const slot = (await (
      await post(member.url, "/slots", { pool: "pipeline" }, { accept: "application/json" })
    ).json()) as Slot;
    const bad = {
      pool: "pipeline",
      command: ["true"],
      slot: slot.id,
      limits: { memoryBytes: 2 ** 40 },
    };
    expect((await problemOf(await post(member.url, "/call", bad))).code).toBe("invalid_request");
    expect(
      textOf(
        await callEvents(member.url, "/call", {
          pool: "pipeline",
          command: ["echo", "still there"],
          slot: slot.id,
        }),
      ),
    ).toBe("still there\n");
  });

  test("of a pool that is not served, or of another pool, there is none", async () => {
    const member = await startOne({ pools: { pipeline: 1, other: 1 } });
    expect((await problemOf(await post(member.url, "/slots", { pool: "nowhere" }))).code).toBe(
      "pool_not_found",
    );
    const slot = (await (
      await post(member.url, "/slots", { pool: "other" }, { accept: "application/json" })
    ).json()) as Slot;
    expect(
      (
        await problemOf(
          await post(member.url, "/call", { pool: "pipeline", command: ["true"], slot: slot.id }),
        )
      ).code,
    ).toBe("slot_not_found");
  });
});

describe("between callers with tokens", () => {
  async function withTokens() {
    const folder = await mkdtemp(join(tmpdir(), "dpool-waiting-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const tokens = ["greedy", "modest"].map((name) => newToken(name, ["call", "observe"], ["*"]));
    const tokenFile = join(folder, "tokens");
    await writeFile(tokenFile, tokens.map(({ line }) => `${line}\n`).join(""), { mode: 0o600 });
    const member = await startOne({ pools: { pipeline: 1 }, tokenFile });
    const [greedy = {}, modest = {}] = tokens.map(
      ({ token }): Record<string, string> => ({ authorization: `Bearer ${token}` }),
    );
    return { member, greedy, modest };
  }

  test("one that asks for much holds up nobody: they are served in turns", async () => {
    const { member, greedy, modest } = await withTokens();
    const holder = await begin(member.url, "/call", { pool: "pipeline", ...HOLD }, greedy);
    const order: string[] = [];
    const call = async (name: string, headers: Record<string, string>) => {
      const waiting = await begin(
        member.url,
        "/call",
        { pool: "pipeline", command: ["true"], waitMs: WAIT_MS },
        headers,
      );
      calls.push(waiting.rest().then(() => order.push(name)));
    };
    const calls: Promise<unknown>[] = [];
    for (const name of ["greedy 1", "greedy 2", "greedy 3", "greedy 4"]) await call(name, greedy);
    for (const name of ["modest 1", "modest 2"]) await call(name, modest);
    if (holder.first.type !== "placed") throw new Error("expected placed");
    await fetch(`${member.url}/children/${holder.first.child.id}?graceMs=0`, {
      method: "DELETE",
      headers: greedy,
    });
    await Promise.all(calls);
    expect(order).toEqual(["greedy 1", "modest 1", "greedy 2", "modest 2", "greedy 3", "greedy 4"]);
  });

  test("a slot is its own caller's alone", async () => {
    const { member, greedy, modest } = await withTokens();
    const slot = (await (
      await post(
        member.url,
        "/slots",
        { pool: "pipeline" },
        { ...greedy, accept: "application/json" },
      )
    ).json()) as Slot;
    expect(
      (
        await problemOf(
          await post(
            member.url,
            "/call",
            { pool: "pipeline", command: ["true"], slot: slot.id },
            modest,
          ),
        )
      ).code,
    ).toBe("forbidden");
    expect(
      (
        await problemOf(
          await fetch(`${member.url}/slots/${slot.id}`, { method: "DELETE", headers: modest }),
        )
      ).code,
    ).toBe("forbidden");
    lastOf(
      await callEvents(
        member.url,
        "/call",
        { pool: "pipeline", command: ["true"], slot: slot.id },
        greedy,
      ),
      "result",
    );
  });
});

describe("in a pool", () => {
  test("a full pool makes the caller wait for the first free slot of any member", async () => {
    const [m1, m2, m3] = (await startMembers(
      { pools: { pipeline: 1 } },
      { pools: { pipeline: 1 } },
      { pools: { other: 1 } },
    )) as [RunningMember, RunningMember, RunningMember];
    await hold(m1);
    const free = await hold(m2);
    const waiting = await begin(m3.url, "/pools/pipeline/call", {
      command: ["sh", "-c", "echo $POOL_MEMBER"],
      waitMs: WAIT_MS,
    });
    expect(waiting.first).toEqual({ type: "queued", position: 1 });
    await until(
      "it to wait at both",
      async () => (await loadOf(m1)).queued === 1 && (await loadOf(m2)).queued === 1,
    );
    await free();
    const events = await waiting.rest();
    expect(textOf(events)).toBe("m2\n");
    expect(events[0]).toMatchObject({ type: "placed", id: 1 });
    await until("it to wait nowhere", async () => (await loadOf(m1)).queued === 0);
    await idle(m2);
  });

  test("of many members it waits at two, and finds a slot that comes free elsewhere", async () => {
    const pool = { pools: { pipeline: 1 } };
    const members = await startMembers(pool, pool, pool, pool, pool, pool);
    const gateway = members[0] as RunningMember;
    const frees = await Promise.all(members.map((member) => hold(member)));
    const waiting = await begin(gateway.url, "/pools/pipeline/call", {
      command: ["sh", "-c", "echo $POOL_MEMBER"],
      waitMs: WAIT_MS,
    });
    expect(waiting.first).toEqual({ type: "queued", position: 1 });
    const queues = async () => (await Promise.all(members.map(loadOf))).map(({ queued }) => queued);
    await until(
      "it to wait at two",
      async () => (await queues()).filter((queued) => queued === 1).length === 2,
    );
    const elsewhere = (await queues()).indexOf(0);
    await frees[elsewhere]?.();
    expect(textOf(await waiting.rest())).toBe(`${members[elsewhere]?.name}\n`);
    await until("it to wait nowhere", async () => (await queues()).every((queued) => queued === 0));
  });

  test("the SDK tells the position, by a gateway and directly, and the value comes", async () => {
    const member = await startOne({ pools: { pipeline: 1 } });
    const pools = new DistributedPool({ url: member.url });
    onTestFinished(() => pools.close());
    const free = await hold(member);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of pools.stream("pipeline", { command: ["true"], waitMs: WAIT_MS })) {
        seen.push(event.type);
        if (event.type === "queued") await free();
      }
    })();
    await within("the call", reading);
    expect([...new Set(seen)]).toEqual(["queued", "placed", "result"]);
    expect(await pools.with({ waitMs: 1_000 }).call("pipeline", (a: number) => a + 1, 1)).toBe(2);
  });

  test("a wait that runs out is an error that may be tried again", async () => {
    const [m1, m2] = (await startMembers(
      { pools: { pipeline: 1 } },
      { pools: { pipeline: 1 } },
    )) as [RunningMember, RunningMember];
    await hold(m1);
    await hold(m2);
    const pools = new DistributedPool({ url: m1.url });
    onTestFinished(() => pools.close());
    const call = pools.call("pipeline", { command: ["true"], waitMs: 100 });
    const error = await within(
      "the call",
      call.then(() => undefined).catch((thrown: unknown) => thrown),
    );
    expect(error).toBeInstanceOf(PoolError);
    expect(error).toMatchObject({ code: "queue_timeout", retryable: true });
    expect([(await loadOf(m1)).queued, (await loadOf(m2)).queued]).toEqual([0, 0]);
  });

  test("more callers than slots: all finish, members keep to their slots", async () => {
    const members = await startMembers(
      { pools: { pipeline: 2 } },
      { pools: { pipeline: 2 } },
      { pools: { pipeline: 2 } },
    );
    const callers = Array.from({ length: 60 }, (_, index) => {
      const { url } = members[index % members.length] as RunningMember;
      return callEvents(url, "/pools/pipeline/call", {
        command: ["sh", "-c", "echo $POOL_MEMBER"],
        waitMs: 60_000,
      });
    });
    const all = await within("all callers", Promise.all(callers), 60_000);
    for (const events of all) {
      lastOf(events, "result");
      // Exactly one child each, however many queues it stood in.
      expect(events.filter(({ type }) => type === "placed")).toHaveLength(1);
    }
    expect(new Set(all.map((events) => textOf(events)))).toEqual(new Set(["m1\n", "m2\n", "m3\n"]));
    for (const member of members) {
      await idle(member);
      expect(await loadOf(member)).toEqual({ active: 0, max: 2, queued: 0 });
    }
  });

  test("callers come and go while others wait: those that stay are served", async () => {
    const members = await startMembers({ pools: { pipeline: 1 } }, { pools: { pipeline: 1 } });
    const callers = Array.from({ length: 40 }, async (_, index) => {
      const { url } = members[index % members.length] as RunningMember;
      const left = new AbortController();
      const answer = post(
        url,
        "/pools/pipeline/call",
        { command: ["true"], waitMs: 60_000 },
        {},
        left.signal,
      );
      if (index % 3 !== 0) return lastOf(await eventsOf(await answer), "result").type;
      const events = streamOf(await answer);
      await events.next();
      left.abort();
      return "left";
    });
    const ends = await within("all callers", Promise.all(callers), 60_000);
    expect(ends.filter((end) => end === "result")).toHaveLength(26);
    for (const member of members)
      await until(`${member.name} to be free`, async () => (await loadOf(member)).queued === 0);
    for (const member of members) await idle(member);
  });
});
