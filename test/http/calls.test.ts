/** Commands, called and placed, over members that know each other. */
import { request } from "node:http";
import { describe, expect, test } from "vitest";
import type { RunResult } from "../../openapi/schemas/endings.ts";
import type { Count } from "../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { outputBytes } from "../../sdk/typescript/node.ts";
import type { PoolChildList, PoolInfo, PoolList } from "../../sdk/typescript/placement/access.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  callEvents,
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
  within,
} from "../helpers/member.ts";
import { LEVEL } from "../helpers/sandbox.ts";

const sh = (script: string) => ({ command: ["sh", "-c", script] });
/** Says so once it runs, then runs on until it is ended. */
const RUNS_ON = sh("echo up; exec sleep 86400");
const JSON_FORM = { accept: "application/json" };

async function pair(options = {}): Promise<[RunningMember, RunningMember]> {
  return (await startMembers(options, options)) as [RunningMember, RunningMember];
}

function childOf(events: readonly NumberedEvent[]) {
  const [first] = events;
  if (first?.type !== "placed")
    throw new Error(`expected placed at first; got ${JSON.stringify(first)}`);
  return first.child;
}

/** Opens a call and reads it until the child has said something. */
async function callUntilOutput(url: string, path: string, spec: unknown, signal?: AbortSignal) {
  const response = await post(url, path, spec, {}, signal);
  const stream = streamOf(response);
  const events: NumberedEvent[] = [];
  while (events.at(-1)?.type !== "stdout") {
    const { value, done } = await within("the child's output", stream.next());
    if (done) throw new Error("the stream ended before the child said anything");
    events.push(value);
  }
  const rest = async () => {
    for await (const event of stream) events.push(event);
    return events;
  };
  return {
    child: childOf(events),
    stream,
    events,
    rest: () => within("the rest of the stream", rest()),
  };
}

async function attach(url: string, id: string, after?: number): Promise<NumberedEvent[]> {
  return eventsOf(
    await fetch(
      `${url}/children/${id}/events`,
      after === undefined ? {} : { headers: { "last-event-id": String(after) } },
    ),
  );
}

async function place(url: string, spec: object): Promise<ChildInfo> {
  const response = await post(url, "/pools/pipeline/children", spec);
  expect(response.status).toBe(201);
  return (await response.json()) as ChildInfo;
}

const stop = (url: string, id: string) =>
  within("the answer of DELETE", fetch(`${url}/children/${id}`, { method: "DELETE" }));

describe("the stream of a call", () => {
  test("placed first, output, the result last; ids count up from 1", async () => {
    const [m1] = await pair();
    const events = await callEvents(m1.url, "/pools/pipeline/call", sh("echo out; echo err >&2"));
    expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
    expect(childOf(events)).toMatchObject({
      pool: "pipeline",
      id: expect.stringMatching(/^m[12]\.[0-9a-f]{32}$/),
      url: expect.stringContaining("/children/m"),
    });
    expect(textOf(events)).toBe("out\n");
    expect(textOf(events, "stderr")).toBe("err\n");
    expect(lastOf(events, "result")).toMatchObject({
      exitCode: 0,
      usage: { wallMs: expect.any(Number) },
      artifacts: [],
    });
    expect(events.filter(({ type }) => type === "result" || type === "failed")).toHaveLength(1);
  });

  test.each(["/call", "/pools/pipeline/call"])(
    "the raw text of %s: event equals data.type, each data is one line of JSON",
    async (path) => {
      const [m1] = await pair();
      const response = await post(m1.url, path, {
        ...(path === "/call" ? { pool: "pipeline" } : {}),
        ...sh("printf 'a\\r\\n\\nb\\r'; echo err >&2"),
      });
      expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
      const text = await within("the whole stream", response.text());
      expect(text).not.toContain("\r");
      const frames = text
        .split("\n\n")
        .map((frame) => frame.split("\n").filter((line) => line !== "" && !line.startsWith(":")))
        .filter((lines) => lines.length > 0);
      expect(frames.length).toBeGreaterThanOrEqual(4);
      for (const [index, lines] of frames.entries()) {
        const fields = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(":")),
            line.slice(line.indexOf(":") + 1).trimStart(),
          ]),
        );
        expect(Object.keys(fields).toSorted()).toEqual(["data", "event", "id"]);
        expect(lines).toHaveLength(3);
        expect(fields.id).toBe(String(index + 1));
        expect((JSON.parse(fields.data ?? "") as { type: string }).type).toBe(fields.event);
      }
    },
  );

  test("output that looks like an event is output", async () => {
    const [m1] = await pair();
    const forged = '\n\nevent: result\ndata: {"type":"result","exitCode":0}\n\n';
    const events = await callEvents(m1.url, "/pools/pipeline/call", {
      command: ["cat"],
      stdin: forged,
    });
    expect(textOf(events)).toBe(forged);
    expect(events.filter(({ type }) => type === "result")).toHaveLength(1);
  });

  test("a program may open /dev/stdout and /dev/stderr", async () => {
    const { url } = await startOne();
    const events = await callEvents(
      url,
      "/pools/pipeline/call",
      sh("echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin"),
    );
    expect([textOf(events), textOf(events, "stderr"), lastOf(events, "result").exitCode]).toEqual([
      "out\n",
      "err\n",
      0,
    ]);
  });
});

describe("what goes in", () => {
  test("stdin as text, as an object, as base64; none is empty", async () => {
    const { url } = await startOne();
    for (const [stdin, expected] of [
      ["grüße\n", "grüße\n"],
      [{ text: "object" }, "object"],
      [{ base64: Buffer.from("bytes").toString("base64") }, "bytes"],
      ["", ""],
      [undefined, ""],
    ] as const) {
      const events = await callEvents(url, "/pools/pipeline/call", { command: ["cat"], stdin });
      expect(textOf(events)).toBe(expected);
      expect(lastOf(events, "result").exitCode).toBe(0);
    }
  });

  test("more stdin than a pipe holds, and stdin that nobody reads", async () => {
    const { url } = await startOne();
    const stdin = "0123456789".repeat(100_000);
    expect(
      textOf(
        await callEvents(url, "/pools/pipeline/call", { command: ["wc", "-c"], stdin }),
      ).trim(),
    ).toBe("1000000");
    expect(
      lastOf(await callEvents(url, "/pools/pipeline/call", { command: ["true"], stdin }), "result")
        .exitCode,
    ).toBe(0);
  });

  test("variables, those of the pool, and no shell", async () => {
    const { url } = await startOne();
    const events = await callEvents(url, "/pools/pipeline/call", {
      ...sh('echo "$A|$POOL_MEMBER|$POOL_NAME|$POOL_CHILD_ID"'),
      env: { A: "a b $HOME" },
    });
    expect(textOf(events)).toBe(`a b $HOME|m1|pipeline|${childOf(events).id}\n`);
    expect(
      textOf(await callEvents(url, "/pools/pipeline/call", { command: ["echo", "$HOME; *"] })),
    ).toBe("$HOME; *\n");
  });
});

describe("what comes out", () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

  test("all byte values as base64", async () => {
    const { url } = await startOne();
    const events = await callEvents(url, "/pools/pipeline/call", {
      command: ["cat"],
      stdin: { base64: bytes.toString("base64") },
      outputEncoding: "base64",
    });
    expect(
      Buffer.concat(
        events.map((event) => (event.type === "stdout" ? outputBytes(event) : Buffer.alloc(0))),
      ),
    ).toEqual(bytes);
  });

  test("text is what TextDecoder makes of all the bytes, however they were written", async () => {
    const { url } = await startOne();
    // Characters split over writes, bytes that are none, a byte order mark, and one left open at
    // the end.
    const writes = [
      "\\357\\273\\277\\303",
      "\\251 \\360\\237",
      "\\230\\200 \\377\\303(",
      "\\355\\240\\200 \\342\\202",
    ];
    const script = writes.map((each) => `printf '${each}'; sleep 0.05`).join("; ");
    const raw = await callEvents(url, "/pools/pipeline/call", {
      ...sh(script),
      outputEncoding: "base64",
    });
    const written = Buffer.concat(
      raw.map((event) => (event.type === "stdout" ? outputBytes(event) : Buffer.alloc(0))),
    );
    const text = textOf(await callEvents(url, "/pools/pipeline/call", sh(script)));
    expect(text).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(written));
    expect(text).toContain("é 😀 \ufffd");
  });
});

/** What a control group tells. */
const COUNTED = LEVEL === "full" ? expect.any(Number) : null;

describe("the waiting form", () => {
  test.each(["/call", "/pools/pipeline/call"])("of %s", async (path) => {
    const [m1] = await pair();
    const response = await post(
      m1.url,
      path,
      {
        ...(path === "/call" ? { pool: "pipeline" } : {}),
        ...sh("echo out; echo err >&2; exit 3"),
      },
      JSON_FORM,
    );
    expect(response.status).toBe(200);
    const answer = (await response.json()) as RunResult;
    expect(answer).toEqual({
      child: {
        id: expect.any(String),
        pool: "pipeline",
        member: expect.stringMatching(/^m[12]$/),
        url: expect.any(String),
      },
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
      truncated: false,
      usage: { wallMs: expect.any(Number), cpuMs: COUNTED, maxRssBytes: COUNTED },
      artifacts: [],
    });
  });

  test("says when output was cut off, and answers a failure with its status", async () => {
    const { url } = await startOne();
    const cut = (await (
      await post(
        url,
        "/pools/pipeline/call",
        sh("head -c 1500000 /dev/zero | tr '\\0' x"),
        JSON_FORM,
      )
    ).json()) as RunResult;
    expect([cut.truncated, cut.stdout.length, cut.exitCode]).toEqual([true, 1_048_576, 0]);
    const failed = await post(
      url,
      "/pools/pipeline/call",
      { ...sh("echo before; exec sleep 86400"), deadlineMs: 500 },
      JSON_FORM,
    );
    expect(failed.status).toBe(504);
    expect(await problemOf(failed)).toMatchObject({
      code: "deadline_exceeded",
      stdout: "before\n",
      child: { member: "m1" },
    });
  });

  test("in base64", async () => {
    const { url } = await startOne();
    const spec = { command: ["cat"], stdin: { base64: "/wD+" }, outputEncoding: "base64" };
    expect(await (await post(url, "/pools/pipeline/call", spec, JSON_FORM)).json()).toMatchObject({
      stdout: "/wD+",
    });
  });
});

describe("capacity", () => {
  test("a full member answers at_capacity, a full pool all_members_at_capacity", async () => {
    const [m1, m2] = await pair({ pools: { pipeline: 1 } });
    const calls = [
      await callUntilOutput(m1.url, "/pools/pipeline/call", RUNS_ON),
      await callUntilOutput(m2.url, "/pools/pipeline/call", RUNS_ON),
    ];
    expect(new Set(calls.map(({ child }) => child.member))).toEqual(new Set(["m1", "m2"]));
    const full = await post(m1.url, "/call", { pool: "pipeline", command: ["true"] });
    expect([full.status, full.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await problemOf(full)).toMatchObject({
      code: "at_capacity",
      load: { active: 1, max: 1, queued: 0 },
    });
    const everywhere = await post(m1.url, "/pools/pipeline/call", { command: ["true"] });
    expect([everywhere.status, everywhere.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await problemOf(everywhere)).toMatchObject({ code: "all_members_at_capacity" });
    for (const { child, rest } of calls) {
      await stop(m1.url, child.id);
      await rest();
    }
    await Promise.all([idle(m1), idle(m2)]);
    lastOf(await callEvents(m1.url, "/pools/pipeline/call", { command: ["true"] }), "result");
  });

  test("as many callers as slots are all admitted", async () => {
    const members = await startMembers(
      { pools: { pipeline: 1 } },
      { pools: { pipeline: 4 } },
      { pools: { pipeline: 2 } },
    );
    const [first] = members as [RunningMember];
    const calls = await Promise.all(
      Array.from({ length: 7 }, () => callUntilOutput(first.url, "/pools/pipeline/call", RUNS_ON)),
    );
    await Promise.all(calls.map(({ child }) => stop(first.url, child.id)));
    for (const { rest } of calls)
      expect(lastOf(await rest(), "failed").problem.code).toBe("cancelled");
    await Promise.all(members.map(idle));
  });
});

describe("endings", () => {
  test.each([
    ["a program that is not there", { command: ["/no/such/program"] }, 127],
    ["a name that is not on the PATH", { command: ["no-such-program"] }, 127],
    ["a file that is no program", { command: ["/usr"] }, 126],
    ["a non-zero exit", sh("exit 7"), 7],
  ])("%s is a result", async (_, spec, exitCode) => {
    const member = await startOne();
    expect(
      lastOf(await callEvents(member.url, "/pools/pipeline/call", spec), "result").exitCode,
    ).toBe(exitCode);
    await idle(member);
  });

  test("a command that a signal ends is worker_crashed", async () => {
    const member = await startOne();
    const failed = lastOf(
      await callEvents(member.url, "/pools/pipeline/call", sh("kill -9 $$")),
      "failed",
    );
    expect(failed).toMatchObject({
      exitCode: 137,
      problem: { code: "worker_crashed", detail: expect.stringContaining("SIGKILL") },
    });
    await idle(member);
  });

  test("the deadline ends a child, even one that ignores TERM", async () => {
    const member = await startOne({ graceMs: 50 });
    for (const script of ["exec sleep 86400", "trap '' TERM; while :; do sleep 0.1; done"]) {
      const failed = lastOf(
        await callEvents(member.url, "/pools/pipeline/call", { ...sh(script), deadlineMs: 200 }),
        "failed",
      );
      expect(failed.problem).toMatchObject({ code: "deadline_exceeded", status: 504 });
      await idle(member);
    }
  });

  test("a child that ends well after TERM has still been ended by its deadline", async () => {
    const member = await startOne();
    const spec = {
      ...sh("trap 'echo heard; exit 0' TERM; echo up; while :; do sleep 0.05; done"),
      deadlineMs: 2_000,
    };
    const events = await callEvents(member.url, "/pools/pipeline/call", spec);
    expect(textOf(events)).toBe("up\nheard\n");
    expect(lastOf(events, "failed").problem.code).toBe("deadline_exceeded");
  });

  test("a call that names no deadline has the operator's, a placed child none", async () => {
    const member = await startOne({ deadlineMs: 300 });
    expect(
      lastOf(await callEvents(member.url, "/pools/pipeline/call", RUNS_ON), "failed").problem.code,
    ).toBe("deadline_exceeded");
    const child = await place(member.url, RUNS_ON);
    expect(child.deadlineAt).toBeNull();
    await stop(member.url, child.id);
    await idle(member);
  });

  test("DELETE is cancelled; a second one changes nothing", async () => {
    const [m1, m2] = await pair();
    const { child, rest } = await callUntilOutput(m1.url, "/pools/pipeline/call", RUNS_ON);
    // Whoever owns the child, one of the two forwards.
    const first = await stop(m1.url, child.id);
    expect([first.status, ((await first.json()) as ChildInfo).status]).toEqual([202, "stopping"]);
    expect(lastOf(await rest(), "failed").problem).toMatchObject({
      code: "cancelled",
      status: 502,
    });
    const second = await stop(m2.url, child.id);
    expect([second.status, ((await second.json()) as ChildInfo).status]).toEqual([202, "ended"]);
    await Promise.all([idle(m1), idle(m2)]);
  });

  test("a member that stops ends its children and delivers their last events", async () => {
    const member = await startOne();
    const { rest } = await callUntilOutput(member.url, "/call", { pool: "pipeline", ...RUNS_ON });
    const stopped = member.stop();
    expect(lastOf(await rest(), "failed").problem).toMatchObject({
      code: "cancelled",
      detail: expect.stringContaining("m1 is stopping"),
    });
    await within("the member's stop", stopped);
  });
});

describe("a caller that goes away", () => {
  test.each(["/call", "/pools/pipeline/call"])("ends a linked child of %s", async (path) => {
    const [m1, m2] = await pair();
    for (const form of ["stream", "json"]) {
      const own = path === "/call" ? { pool: "pipeline" } : {};
      const spec = { ...own, ...RUNS_ON, link: true };
      let id: string;
      if (form === "stream") {
        const gone = new AbortController();
        const { child, stream } = await callUntilOutput(m1.url, path, spec, gone.signal);
        gone.abort();
        await stream.next().catch(() => {});
        id = child.id;
      } else {
        const sent = request(`${m1.url}${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", ...JSON_FORM },
        });
        sent.on("error", () => {});
        sent.end(JSON.stringify(spec));
        id = await within("the child in the list", running([m1, m2]));
        sent.destroy();
      }
      const last = lastOf(await attach(m2.url, id), "failed");
      expect(last.problem).toMatchObject({
        code: "cancelled",
        detail: expect.stringContaining("linked"),
      });
    }
    await Promise.all([idle(m1), idle(m2)]);
  });

  test.each(["/call", "/pools/pipeline/call"])(
    "leaves a child of %s that is not linked",
    async (path) => {
      const [m1, m2] = await pair();
      const gone = new AbortController();
      const spec = {
        ...(path === "/call" ? { pool: "pipeline" } : {}),
        ...sh("echo up; sleep 0.5; echo done"),
      };
      const { child, stream } = await callUntilOutput(m1.url, path, spec, gone.signal);
      gone.abort();
      await stream.next().catch(() => {});
      const events = await attach(m2.url, child.id);
      expect(textOf(events)).toBe("up\ndone\n");
      expect(lastOf(events, "result").exitCode).toBe(0);
      await Promise.all([idle(m1), idle(m2)]);
    },
  );

  async function running(members: readonly RunningMember[]): Promise<string> {
    for (;;) {
      for (const { url } of members) {
        const found = (await getJson<{ children: ChildInfo[] }>(`${url}/children`)).children.find(
          ({ status }) => status === "running",
        );
        if (found) return found.id;
      }
    }
  }
});

describe("a placed child", () => {
  test("is read from any member, from the first event or after an id", async () => {
    const [m1, m2] = await pair();
    const child = await place(m1.url, {
      ...sh("for n in 1 2 3; do echo $n; sleep 0.05; done"),
      labels: { job: "42" },
    });
    expect(child).toMatchObject({
      status: "running",
      kind: "command",
      deadlineAt: null,
      labels: { job: "42" },
      pool: "pipeline",
    });
    const whole = await attach(m1.url, child.id);
    expect(childOf(whole)).toEqual({
      id: child.id,
      pool: child.pool,
      member: child.member,
      url: child.url,
    });
    expect(textOf(whole)).toBe("1\n2\n3\n");
    lastOf(whole, "result");
    expect(await attach(m2.url, child.id)).toEqual(whole);
    for (const { url } of [m1, m2]) expect(await attach(url, child.id, 2)).toEqual(whole.slice(2));
    for (const { url } of [m1, m2])
      expect(await getJson(`${url}/children/${child.id}`)).toMatchObject({
        id: child.id,
        status: "ended",
      });
    await Promise.all([idle(m1), idle(m2)]);
  });

  test("has a Location, and a deadline when it asks for one", async () => {
    const member = await startOne();
    const response = await post(member.url, "/children", {
      pool: "pipeline",
      ...RUNS_ON,
      deadlineMs: 200,
    });
    const child = (await response.json()) as ChildInfo;
    expect(response.headers.get("location")).toBe(child.url);
    expect(Date.parse(child.deadlineAt ?? "") - Date.parse(child.startedAt)).toBe(200);
    expect(lastOf(await attach(member.url, child.id), "failed").problem.code).toBe(
      "deadline_exceeded",
    );
  });

  test("is stopped through another member", async () => {
    const [m1, m2] = await pair();
    const child = await place(m1.url, RUNS_ON);
    const other = child.member === "m1" ? m2 : m1;
    expect((await stop(other.url, child.id)).status).toBe(202);
    expect(lastOf(await attach(other.url, child.id), "failed").problem.code).toBe("cancelled");
    await Promise.all([idle(m1), idle(m2)]);
  });

  test("a member that is gone has no children", async () => {
    const [m1, m2] = await pair();
    const child = await place(m1.url, { command: ["true"] });
    const [owner, other] = child.member === "m1" ? [m1, m2] : [m2, m1];
    await owner.stop();
    expect(await problemOf(await fetch(`${other.url}/children/${child.id}`))).toMatchObject({
      code: "child_not_found",
    });
  });
});

describe("what is there to see", () => {
  test("pools, their members and their children", async () => {
    const [m1, m2] = (await startMembers(
      { pools: { pipeline: 2, video: 1 } },
      { pools: { pipeline: 3 } },
    )) as [RunningMember, RunningMember];
    const { child, rest } = await callUntilOutput(m1.url, "/pools/video/call", RUNS_ON);
    for (const { url } of [m1, m2]) {
      expect(await getJson<PoolList>(`${url}/pools`)).toEqual({
        pools: [
          { pool: "pipeline", members: 2, max: 5, draining: 0, lost: 0 },
          { pool: "video", members: 1, max: 1, draining: 0, lost: 0 },
        ],
      });
      const pool = await getJson<PoolInfo>(`${url}/pools/pipeline`);
      expect(pool.members.map(({ member, load }) => [member, load])).toEqual([
        ["m1", { active: 0, max: 2, queued: 0 }],
        ["m2", { active: 0, max: 3, queued: 0 }],
      ]);
      const children = await getJson<PoolChildList>(`${url}/pools/video/children`);
      expect(children).toMatchObject({
        children: [{ id: child.id, status: "running", member: "m1" }],
        unreachable: [],
      });
    }
    expect(await getJson<Count>(`${m1.url}/children/count`)).toEqual({
      member: "m1",
      pools: {
        pipeline: { active: 0, max: 2, queued: 0 },
        video: { active: 1, max: 1, queued: 0 },
      },
    });
    expect(await getJson(`${m1.url}/children?pool=pipeline`)).toEqual({ children: [] });
    await stop(m2.url, child.id);
    await rest();
    await idle(m1);
  });

  test("liveness and readiness", async () => {
    const member = await startOne();
    for (const path of ["/livez", "/readyz"])
      expect(await getJson(`${member.url}${path}`)).toEqual({
        status: "ok",
        member: "m1",
        sandbox: LEVEL,
      });
  });

  test("the reference page with all its parts, from this host alone", async () => {
    const { url } = await startOne();
    const root = await fetch(`${url}/docs`);
    const page = await root.text();
    const parts = [...page.matchAll(/(?:src|href)="([^"]+)"/g)]
      .map(([, part]) => part as string)
      .filter((part) => !part.startsWith("data:"));
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) {
      expect(part).toMatch(/^\//);
      const response = await fetch(`${url}${part}`);
      expect([part, response.status]).toEqual([part, 200]);
      expect(response.headers.get("content-type")).toMatch(/css|javascript/);
      expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(10);
    }
    expect(root.headers.get("content-security-policy")).toContain("default-src 'self'");
  });
});

test("a pool's own deadline is for calls and placed children that name none", async () => {
  const member = await startOne({
    pools: {
      pipeline: { maxChildren: 3, deadlineMs: 50_000, limits: { deadlineMs: 90_000 } },
      long: { maxChildren: 3, deadlineMs: 90_000, limits: { deadlineMs: 40_000 } },
    },
  });
  const deadlineOf = async (pool: string, path: string, spec: object) => {
    const answer = await post(`${member.url}/pools/${pool}`, path, { command: ["cat"], ...spec });
    await answer.body?.cancel();
    const id = answer.headers.get("pool-child-id") ?? answer.headers.get("location")?.slice(-99);
    const at = `${member.url}/children/${id?.split("/").at(-1)}`;
    const child = (await (await fetch(at)).json()) as ChildInfo;
    return Date.parse(child.deadlineAt ?? "") - Date.parse(child.startedAt);
  };
  expect(await deadlineOf("pipeline", "/children", {})).toBeCloseTo(50_000, -3);
  expect(await deadlineOf("pipeline", "/call", {})).toBeCloseTo(50_000, -3);
  expect(await deadlineOf("pipeline", "/children", { deadlineMs: 70_000 })).toBeCloseTo(70_000, -3);
  expect(await deadlineOf("long", "/children", {})).toBeCloseTo(40_000, -3);
});
