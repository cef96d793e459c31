/** A pool with warm and reused processes, as its callers see it; and its traces after the end. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import { newToken } from "../../server/access/tokens.ts";
import { groupsLeft, hostileMissing, survivors } from "../helpers/hostile.ts";
import {
  callEvents,
  eventsOf,
  lastOf,
  type Options,
  post,
  startOne,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import { pythonMissing } from "../helpers/programs.ts";

const [ANNE, BERT] = [newToken("anne", ["call"], ["*"]), newToken("bert", ["call"], ["*"])];
const MARK = "() => { globalThis.mark = (globalThis.mark ?? 0) + 1; return globalThis.mark }";

async function start(pool: object, options: Options = {}) {
  const folder = await mkdtemp(join(tmpdir(), "dpool-warm-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "tokens"), `${ANNE.line}\n${BERT.line}\n`, { mode: 0o600 });
  const member = await startOne({
    pools: { pipeline: { maxChildren: 2, ...pool } },
    tokenFile: join(folder, "tokens"),
    graceMs: 50,
    ...options,
  });
  const call = async (
    source: string,
    { token = ANNE.token, ...spec }: Partial<ChildSpecInput> & { token?: string } = {},
  ) =>
    callEvents(
      member.url,
      "/call",
      { pool: "pipeline", function: { source }, ...spec },
      { authorization: `Bearer ${token}` },
    );
  const valueFrom = async (...given: Parameters<typeof call>) =>
    lastOf(await call(...given), "result").value as unknown;
  const free = () =>
    until("the slots to be free", async () => {
      const answer = await fetch(`${member.url}/children/count`, {
        headers: { authorization: `Bearer ${ANNE.token}` },
      });
      return ((await answer.json()) as Count).pools.pipeline?.active === 0;
    });
  return { member, call, valueFrom, free };
}

describe("reuse", () => {
  test("is separate for each token; each call has its own output, context and usage", async () => {
    const { call, valueFrom } = await start({ reuse: true });
    expect([await valueFrom(MARK), await valueFrom(MARK)]).toEqual([1, 2]);
    expect(await valueFrom(MARK, { token: BERT.token })).toBe(1);
    const events = await call(
      "(context) => { console.log(globalThis.mark); return [context.childId, " +
        "process.env.POOL_CHILD_ID] }",
    );
    const [placed] = events;
    const id = placed?.type === "placed" ? placed.child.id : "";
    expect([textOf(events), lastOf(events, "result").value]).toEqual(["2\n", [id, id]]);
    expect(lastOf(events, "result").usage).toMatchObject({
      cpuMs: expect.any(Number),
      maxRssBytes: expect.any(Number),
    });
  });

  test("a call at its deadline ends its process, and only that call", async () => {
    const { call, valueFrom, free } = await start({ reuse: true });
    expect(await valueFrom(MARK)).toBe(1);
    expect(
      lastOf(await call("() => { for (;;); }", { deadlineMs: 300 }), "failed").problem.code,
    ).toBe("deadline_exceeded");
    expect(await valueFrom(MARK)).toBe(1);
    await free();
  });

  test("a call that exceeds its memory ends its process, and only that call", async (context) => {
    context.skip(hostileMissing !== undefined, hostileMissing);
    const { call, valueFrom } = await start({ reuse: true, limits: { memoryBytes: 100_000_000 } });
    expect(await valueFrom(MARK)).toBe(1);
    expect(
      lastOf(
        await call("() => { const all = []; for (;;) all.push(Buffer.alloc(1e6, 1)) }"),
        "failed",
      ).problem.code,
    ).toBe("out_of_memory");
    expect(await valueFrom(MARK)).toBe(1);
  });

  test("there are as many calls as slots at a time, each in its own process", async () => {
    const { valueFrom } = await start({ maxChildren: 3, reuse: true });
    const both =
      "() => new Promise((resolve) => setTimeout(() => { globalThis.mark = " +
      "(globalThis.mark ?? 0) + 1; resolve(globalThis.mark) }, 100))";
    expect(await Promise.all([1, 2, 3].map(() => valueFrom(both)))).toEqual([1, 1, 1]);
  });

  test("a process is replaced after its uses", async () => {
    const { valueFrom } = await start({ reuse: { maxUses: 2 } });
    const marks = [];
    for (let call = 0; call < 5; call++) marks.push(await valueFrom(MARK));
    expect(marks).toEqual([1, 2, 1, 2, 1]);
  });

  test("a process that holds more than its share after a call is replaced", async (context) => {
    context.skip(hostileMissing !== undefined, hostileMissing);
    const { valueFrom } = await start({
      reuse: { maxMemoryShare: 0.5 },
      limits: { memoryBytes: 200_000_000 },
    });
    expect([await valueFrom(MARK), await valueFrom(MARK)]).toEqual([1, 2]);
    await valueFrom("() => { globalThis.kept = Buffer.alloc(1e8, 1) }");
    expect(await valueFrom(MARK)).toBe(1);
  });

  test("is announced in the log", async () => {
    const lines: string[] = [];
    await start({ reuse: true }, { log: (level, message) => lines.push(`${level} ${message}`) });
    expect(lines).toContainEqual(expect.stringMatching(/^warn pool pipeline reuses processes/));
  });

  test("is refused together with a limit on processor time", async () => {
    await expect(start({ reuse: true, limits: { cpuMs: 1_000 } })).rejects.toThrow(
      /pools\.pipeline\.reuse: expected no limits\.cpuMs/,
    );
  });
});

describe("processes that wait", () => {
  test("take calls as others do, also more calls than processes", async () => {
    const { valueFrom, free } = await start({ maxChildren: 10, warm: { node: 2 } });
    expect(
      await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          valueFrom(
            `() => { globalThis.mark = (globalThis.mark ?? 0) + 1; return globalThis.mark + ${n} }`,
          ),
        ),
      ),
    ).toEqual(Array.from({ length: 10 }, (_, n) => n + 1));
    await free();
  });

  test("are reported where there is no such runtime", async () => {
    const lines: string[] = [];
    await start(
      { warm: { cobol: 1 } },
      { log: (level, message) => lines.push(`${level} ${message}`) },
    );
    expect(lines).toContainEqual(expect.stringMatching(/^warn pool pipeline: .*cobol/));
  });

  test.each([[{ warm: -1 }], [{ warm: { node: 1.5 } }], [{ warm: "many" }]])(
    "%j is invalid",
    async (pool) => {
      await expect(start(pool)).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringMatching(/pools\.pipeline\.warm/),
      });
    },
  );

  test("end with the member, reused ones too, with or without calls", async (context) => {
    context.skip(hostileMissing !== undefined, hostileMissing);
    const { member, valueFrom } = await start(
      { warm: { node: 3, command: 0 }, reuse: true },
      { drainMs: 0 },
    );
    await until("three to wait", () => survivors().length >= 9);
    await valueFrom(MARK);
    const endless = {
      pool: "pipeline",
      function: { source: "() => new Promise(() => setInterval(() => {}, 1e5))" },
    };
    const stream = await post(member.url, "/call", endless, {
      authorization: `Bearer ${ANNE.token}`,
    });
    const events = eventsOf(stream);
    await within("the member's stop", member.stop());
    expect(lastOf(await events, "failed").problem.code).toBe("cancelled");
    expect([survivors(), groupsLeft()]).toEqual([[], []]);
  });
});

test.skipIf(pythonMissing).each([{ reuse: true }, { warm: { python: 2 } }, {}])(
  "in a pool with %j, Python judges the context and a value alike in each call",
  async (pool) => {
    const { call, valueFrom } = await start(pool);
    const python = (source: string, ...args: unknown[]) => ({
      function: { runtime: "python", source, args },
    });
    for (const _ of [1, 2]) {
      expect(await valueFrom("", python("lambda n, base=10: [n, base]", 12))).toEqual([12, 10]);
      expect(await valueFrom("", python("lambda given: given.pool"))).toBe("pipeline");
      expect(lastOf(await call("", python("lambda: [{1}]")), "failed").problem).toMatchObject({
        code: "function_threw",
        detail: expect.stringContaining("value[0] is an instance of set"),
      });
    }
  },
);

test.each([{ reuse: true }, { warm: 2 }, {}])(
  "in a pool with %j, the context and a value are judged alike in each call",
  async (pool) => {
    const { call, valueFrom } = await start(pool);
    for (const _ of [1, 2]) {
      const function_ = { source: "(n, base = 10) => n.toString(base)", args: [12] };
      expect(await valueFrom("", { function: function_ })).toBe("12");
      expect(await valueFrom("({ pool }) => pool")).toBe("pipeline");
      expect(lastOf(await call("() => [new Date()]"), "failed").problem).toMatchObject({
        code: "function_threw",
        detail: expect.stringContaining("value[0] is an instance of Date"),
      });
    }
  },
);

test("the waiting form includes the output of a reused process", async () => {
  const { member } = await start({ reuse: true });
  for (const n of [1, 2]) {
    const spec = {
      pool: "pipeline",
      function: { source: `() => { console.log(${n}); console.error("e"); return ${n} }` },
    };
    const answer = await post(member.url, "/call", spec, {
      authorization: `Bearer ${ANNE.token}`,
      accept: "application/json",
    });
    expect(await answer.json()).toMatchObject({ value: n, stdout: `${n}\n`, stderr: "e\n" });
  }
  const stream = await post(
    member.url,
    "/call",
    { pool: "pipeline", function: { source: "() => {}" } },
    { authorization: `Bearer ${ANNE.token}` },
  );
  expect(textOf(await eventsOf(stream))).toBe("");
});
