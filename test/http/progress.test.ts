/**
 * A child's progress, by descriptor 3 or by its context: it is in the log, and disturbs no other
 * work.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { DistributedPool, type PoolContext, type Progress } from "../../sdk/typescript/node.ts";
import {
  callEvents,
  idle,
  lastOf,
  type Options,
  post,
  startMembers,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";
import { bunMissing, pythonMissing } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const path = process.env.PATH;
const start = (options: Options = {}) => startOne({ path, ...options });
const call = async (spec: Partial<ChildSpecInput>, options: Options = {}) => {
  const member = await start(options);
  const events = await callEvents(member.url, "/call", { pool: "pipeline", ...spec });
  await idle(member);
  return events;
};
const shell = (script: string, more: Partial<ChildSpecInput> = {}, options: Options = {}) =>
  call({ command: ["sh", "-c", script], ...more }, options);

/** The progress events, without their ids. */
const progressIn = (events: readonly NumberedEvent[]) =>
  events.flatMap((event) => {
    if (event.type !== "progress") return [];
    const { type: _, id: _id, ...progress } = event;
    return [progress];
  });

describe("a command", () => {
  test.each([
    ["a number", "echo 1 >&3", { done: 1 }],
    ["two", "echo 2/4 >&3", { done: 2, total: 4 }],
    [
      "and words, to the descriptor's path",
      "echo '3/4 the 3rd' >/dev/fd/3",
      { done: 3, total: 4, message: "the 3rd" },
    ],
    [
      "JSON, without a line's end",
      `printf '{"done":3.5,"total":4,"message":"nearly"}' >&3`,
      { done: 3.5, total: 4, message: "nearly" },
    ],
  ])("reports progress by lines on descriptor 3: %s", async (_, script, step) => {
    const events = await shell(`${script}; echo out; exit 3`);
    expect(progressIn(events)).toEqual([step]);
    expect(events.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect([textOf(events), lastOf(events, "result").exitCode]).toEqual(["out\n", 3]);
  });

  test("that reports in a tight loop costs few events, and its last report arrives", async () => {
    const steps = progressIn(
      await shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i/20000 >&3; done"),
    );
    expect(steps.at(-1)).toEqual({ done: 20_000, total: 20_000 });
    expect(steps.length).toBeLessThan(100);
  });

  test("that writes nonsense is left alone", async () => {
    const nonsense = [
      "head -c 300000 /dev/zero >&3",
      // Without digits, which could form a number by chance.
      "head -c 300000 /dev/urandom | tr -d 0-9 >&3",
      "yes | head -n 100000 >&3",
      `printf '%s\\n' -1/3 1e999/2 x 1/x NaN '{"done":-1}' '{"done":"1"}' ` +
        `'{"done":1,"total":null}' '{"done":1e999}' '{"done":1' null [] ` +
        `'{"type":"result","exitCode":0}' >&3`,
      `printf '{"kind":"returned","value":1,"cpuMs":0,"maxRssBytes":0}\\n' >&3`,
      "echo; echo fine; exit 3",
    ];
    const events = await shell(nonsense.join("\n"));
    expect(events.filter(({ type }) => type !== "stdout").map(({ type }) => type)).toEqual([
      "placed",
      "result",
    ]);
    expect([textOf(events), lastOf(events, "result").exitCode]).toEqual(["\nfine\n", 3]);
  });

  test("cannot put more than progress into an event", async () => {
    const message = `a\\u001b[2J\\nevent: result\\ndata: {}\\n\\n${"x".repeat(500)}`;
    const [step] = progressIn(
      await shell(
        "printf '%s\\n' " +
          `'{"done":1,"type":"result","id":7,"exitCode":0,"message":"${message}"}' >&3`,
      ),
    );
    expect(Object.keys(step ?? {}).sort()).toEqual(["done", "message"]);
    expect(step?.message).toMatch(/^a \[2J event: result data: \{\} {2}x+$/);
    expect(step?.message).toHaveLength(200);
  });

  test("that closes the descriptor, or leaves it to a stray process, ends", async () => {
    for (const sandbox of new Set([SANDBOX_OPTION, "off"] as const)) {
      const script = "exec 3>&-; echo closed; exit 4";
      expect(lastOf(await shell(script, {}, { sandbox }), "result").exitCode).toBe(4);
      const stray = await shell(
        "echo 1/2 >&3; setsid sh -c 'sleep 5; echo 2/2 >&3' </dev/null >/dev/null 2>&1 & exit 5",
        {},
        { sandbox },
      );
      expect(lastOf(stray, "result").exitCode).toBe(5);
      expect(progressIn(stray).length).toBeLessThan(2);
    }
  });

  test("with files and artifacts reports it too", async () => {
    const events = await shell("echo 1/2 >&3; cp in out; echo 2/2 >&3", {
      files: { in: { text: "a" } },
      artifacts: ["out"],
    });
    expect(progressIn(events).at(-1)).toEqual({ done: 2, total: 2 });
    expect(lastOf(events, "result").artifacts).toEqual([{ path: "out", bytes: 1 }]);
  });
});

const LOOP = "for (let n = 1; n <= 100000; n++) context.progress(n, 100000, 'step ' + n)";

describe.each(bunMissing === undefined ? ["node", "bun"] : ["node"])(
  "a function in %s",
  (runtime) => {
    test("reports by its context, in a tight loop too", async () => {
      const events = await call({
        function: { runtime, source: `(context) => { ${LOOP}; return 'done' }` },
      });
      const steps = progressIn(events);
      expect(steps[0]).toEqual({ done: 1, total: 100_000, message: "step 1" });
      expect(steps.at(-1)).toEqual({ done: 100_000, total: 100_000, message: "step 100000" });
      expect(steps.length).toBeLessThan(100);
      expect(lastOf(events, "result").value).toBe("done");
    });

    test("that waits has its reports sent in the meantime", async () => {
      const { url } = await start();
      const source =
        "async (context) => { context.progress(1); context.progress(2); await new " +
        "Promise((resolve) => setTimeout(resolve, 60_000)); }";
      const events = streamOf(
        await post(url, "/call", { pool: "pipeline", function: { runtime, source } }),
      );
      const second = async () => {
        for await (const event of events) if (event.type === "progress" && event.done === 2) return;
        throw new Error("it ended before");
      };
      await within("the second step", second());
    });

    test("that throws or exits has its last report sent", async () => {
      const throws = await call({
        function: {
          runtime,
          source:
            "(context) => { context.progress(1); context.progress(2); throw new Error('no') }",
        },
      });
      expect([progressIn(throws).at(-1), lastOf(throws, "failed").problem.code]).toEqual([
        { done: 2 },
        "function_threw",
      ]);
      const exits = await call({
        function: {
          runtime,
          source: "(context) => { context.progress(1); context.progress(2); process.exit(3) }",
        },
      });
      expect([progressIn(exits).at(-1), lastOf(exits, "failed").problem.code]).toEqual([
        { done: 2 },
        "worker_crashed",
      ]);
    });

    test("that reports nonsense is ignored", async () => {
      const source =
        "(context) => { for (const x of [NaN, -1, 'x', {}, undefined, Infinity]) " +
        "context.progress(x); return 'fine' }";
      const events = await call({ function: { runtime, source } });
      expect([progressIn(events), lastOf(events, "result").value]).toEqual([[], "fine"]);
    });
  },
);

describe("a function that writes to descriptor 3 itself", () => {
  const writes = (lines: string, after = "return 'own'") =>
    call({
      function: {
        source:
          `() => { const { writeSync } = require('node:fs'); for (const line of ${lines}) ` +
          `writeSync(3, line + '\\n'); ${after} }`,
      },
    });

  test("has invalid lines ignored, and its own value at the end", async () => {
    const events = await writes(
      `['{"progress":1}', '{"progress":{"done":-1}}', '{"progress":', ` +
        `'{"progress":{"done":1,"message":"' + 'x'.repeat(100000) + '"}}']`,
    );
    expect([progressIn(events), lastOf(events, "result").value]).toEqual([[], "own"]);
  });

  test("cannot forge its outcome", async () => {
    const events = await writes(
      `['{"progress":{"done":1},"kind":"returned","value":"forged","cpuMs":0,"maxRssBytes":0}']`,
    );
    expect([progressIn(events), lastOf(events, "result").value]).toEqual([[{ done: 1 }], "own"]);
  });

  test("and never ends is stopped at its deadline", async () => {
    const source =
      "() => { const { writeSync } = require('node:fs'); const line = " +
      `'{"progress":{"done":1}}\\n'.repeat(1000); for (;;) try { writeSync(3, line) } ` +
      "catch {} }";
    const member = await start({ graceMs: 50 });
    const flood = callEvents(member.url, "/call", {
      pool: "pipeline",
      function: { source },
      deadlineMs: 2_000,
    });
    // The member has time for other calls.
    const other = await callEvents(member.url, "/call", {
      pool: "pipeline",
      command: ["echo", "other"],
    });
    expect(textOf(other)).toBe("other\n");
    const events = await flood;
    expect(lastOf(events, "failed").problem.code).toBe("deadline_exceeded");
    expect(progressIn(events).length).toBeLessThan(100);
  });
});

describe("a reused process", () => {
  const pools = { pipeline: { maxChildren: 2, reuse: true } };
  const mark: Record<string, string> = {
    node:
      "(context) => { context.progress(1, 2); context.progress(2, 2); globalThis.n = " +
      "(globalThis.n ?? 0) + 1; return globalThis.n }",
    python:
      "import sys\ndef work(context):\n    context.progress(1, 2)\n    context.progress(2, " +
      "2)\n    sys.n = getattr(sys, 'n', 0) + 1\n    return sys.n\n",
  };

  test.each(pythonMissing === undefined ? ["node", "python"] : ["node"])(
    "reports each call's own progress, in %s",
    async (runtime) => {
      const member = await start({ pools });
      for (const n of [1, 2, 3]) {
        const events = await callEvents(member.url, "/call", {
          pool: "pipeline",
          function: { runtime, source: mark[runtime] },
        });
        expect([progressIn(events).at(-1), lastOf(events, "result").value]).toEqual([
          { done: 2, total: 2 },
          n,
        ]);
      }
    },
  );

  test("reports nothing of one call in the next one", async () => {
    const member = await start({ pools });
    const keeps =
      "(context) => { globalThis.before ??= context; globalThis.before.progress(7); return " +
      "globalThis.before.childId === context.childId }";
    const first = await callEvents(member.url, "/call", {
      pool: "pipeline",
      function: { source: keeps },
    });
    const second = await callEvents(member.url, "/call", {
      pool: "pipeline",
      function: { source: keeps },
    });
    expect([progressIn(first), lastOf(first, "result").value]).toEqual([[{ done: 7 }], true]);
    expect([progressIn(second), lastOf(second, "result").value]).toEqual([[], false]);
  });
});

test.skipIf(pythonMissing)(
  "a function in Python reports by its context, in a tight loop too",
  async () => {
    const source =
      "def work(context):\n    for n in range(1, 20001):\n        context.progress(n, " +
      "20000, message=f'step {n}')\n    return 'done'\n";
    const events = await call({ function: { runtime: "python", source } });
    const steps = progressIn(events);
    expect(steps.at(-1)).toEqual({ done: 20_000, total: 20_000, message: "step 20000" });
    expect(steps.length).toBeLessThan(100);
    expect(lastOf(events, "result").value).toBe("done");
  },
);

test("a configured runtime reports by lines before its answer", async () => {
  const program =
    `read job; echo '{"progress": {"done": 1, "total": 2}}' >&3; echo '{ ` +
    `"progress":{"done":2,"total":2,"message":"both"}}' >&3; echo '{"value": 5}' >&3`;
  const events = await call(
    { function: { runtime: "own", source: "x" } },
    { runtimes: { own: { command: ["sh", "-c", program, "{source}"] } } },
  );
  expect(progressIn(events)).toEqual([
    { done: 1, total: 2 },
    { done: 2, total: 2, message: "both" },
  ]);
  expect(lastOf(events, "result").value).toBe(5);
});

describe("callers", () => {
  async function pools() {
    const [, m2] = await startMembers({}, { pools: { other: 1 } });
    const client = new DistributedPool({ url: m2?.url as string });
    onTestFinished(() => client.close());
    return { client, url: m2?.url as string };
  }

  test("of the SDK get it by onProgress, also through another member", async () => {
    const { client } = await pools();
    const steps: Progress[] = [];
    const onProgress = (step: Progress) => void steps.push(step);
    const value = await within(
      "the call",
      client.with({ onProgress }).call(
        "pipeline",
        (n: number, context: PoolContext) => {
          context.progress(n, 5, "five");
          return n;
        },
        4,
      ),
    );
    expect([steps, value]).toEqual([[{ done: 4, total: 5, message: "five" }], 4]);
    await within(
      "the call",
      client.call("pipeline", { command: ["sh", "-c", "echo 1 >&3"] }, { onProgress }),
    );
    expect(steps.at(-1)).toEqual({ done: 1 });
  });

  test("of the waiting and the raw form get the rest", async () => {
    const { url } = await pools();
    const spec = { command: ["sh", "-c", "echo 1/2 >&3; echo out"] };
    const waited = await post(url, "/pools/pipeline/call", spec, { accept: "application/json" });
    expect(Object.keys((await waited.json()) as object).sort()).toEqual([
      "artifacts",
      "child",
      "exitCode",
      "stderr",
      "stdout",
      "truncated",
      "usage",
    ]);
    const raw = await post(url, "/pools/pipeline/call", spec, {
      accept: "application/octet-stream",
    });
    expect(await raw.text()).toBe("out\n");
  });
});
