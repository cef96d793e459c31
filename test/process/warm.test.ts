/** Processes that wait for a call, and processes that are reused, in the real sandbox. */
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import { StartQueue } from "../../server/runtimes/functions/start-queue.ts";
import {
  RuntimeRegistry,
  type RuntimeRegistryOptions,
} from "../../server/runtimes/registry/runtime-registry.ts";
import type { ProcessSetup, StartedWork } from "../../server/runtimes/runtime.ts";
import { groupsLeft, survivors } from "../helpers/hostile.ts";
import { until, within } from "../helpers/member.ts";
import { bunMissing, pythonMissing } from "../helpers/programs.ts";
import { confinement, openSandbox } from "../helpers/sandbox.ts";

interface Ended {
  readonly outcome: Awaited<StartedWork["outcome"]>;
  readonly stdout: string;
  readonly stderr: string;
}

/** Processes that are never replaced. */
const reusing = (maxIdle: number) => ({
  maxIdle,
  maxUses: Number.POSITIVE_INFINITY,
  maxMemoryBytes: Number.POSITIVE_INFINITY,
});

/**
 * The runtimes of a pool, closed with the test; and a call in it.
 *
 * @param reuse the number of processes that wait for further calls.
 */
async function open({
  reuse,
  ...options
}: Pick<RuntimeRegistryOptions, "warm"> & { reuse?: number }) {
  const sandbox = openSandbox();
  const how = confinement();
  const runtimes = await RuntimeRegistry.open({
    sandbox,
    confinement: how,
    path: process.env.PATH ?? "",
    configured: {},
    startQueue: new StartQueue(),
    reuse: reuse === undefined ? undefined : reusing(reuse),
    ...options,
  });
  onTestFinished(() => runtimes.close());
  const start = (
    source: string,
    {
      runtime = "node",
      client = "a",
      ...spec
    }: Partial<ChildSpec> & { runtime?: string; client?: string } = {},
    setup: Partial<ProcessSetup> = {},
  ) => {
    const call = { runtime, source, args: [], encoding: "json" as const };
    const context = { member: "m", pool: "p", childId: "c", deadline: null };
    const work = {
      spec: { function: call, outputEncoding: "text" as const, waitMs: 0, link: false, ...spec },
      call,
      context,
      client,
      onProgress: () => {},
    };
    return runtimes
      .of(call)
      .start(work, { sandbox, confinement: how, files: undefined, artifacts: [], ...setup });
  };
  const end = async ({ process, outcome }: StartedWork): Promise<Ended> => {
    process.stdin?.end();
    const [stdout, stderr, told] = await within(
      "the end of the call",
      Promise.all([text(process.stdout), text(process.stderr), outcome, process.exited]),
    );
    return { stdout, stderr, outcome: told };
  };
  const call = async (...given: Parameters<typeof start>) => end(await start(...given));
  const valueFrom = async (...given: Parameters<typeof start>) => {
    const { outcome } = await call(...given);
    return outcome.kind === "returned" ? outcome.value : outcome;
  };
  return { runtimes, start, end, call, valueFrom };
}

const RUNTIMES: [runtime: string, missing: string | undefined, marks: string, finds: string][] = [
  [
    "node",
    undefined,
    "() => { globalThis.mark = (globalThis.mark ?? 0) + 1; return mark }",
    "() => globalThis.mark ?? null",
  ],
  [
    "bun",
    bunMissing,
    "() => { globalThis.mark = (globalThis.mark ?? 0) + 1; return globalThis.mark }",
    "() => globalThis.mark ?? null",
  ],
  [
    "python",
    pythonMissing,
    "def f():\n  import sys\n  sys.mark = getattr(sys, 'mark', 0) + 1\n  return sys.mark",
    "lambda: getattr(__import__('sys'), 'mark', None)",
  ],
];

describe.each(RUNTIMES)("a process of %s that waits", (runtime, missing, marks, finds) => {
  test.skipIf(missing)("takes one call and is replaced", async () => {
    const { runtimes, start, end, valueFrom } = await open({ warm: { [runtime]: 1 } });
    await until("one to wait", () => runtimes.idle.warm[runtime] === 1);
    const started = await start(marks, { runtime });
    // The waiting process took the call; no other was started for it.
    expect(runtimes.idle.warm[runtime]).toBe(0);
    expect(await end(started)).toMatchObject({ outcome: { kind: "returned", value: 1 } });
    await until("another one to wait", () => runtimes.idle.warm[runtime] === 1);
    expect(await valueFrom(finds, { runtime })).toBeNull();
  });

  test.skipIf(missing)(
    "gets its variables and its input, and prints its output, as any other",
    async () => {
      const { runtimes, start } = await open({ warm: { [runtime]: 1 } });
      await until("one to wait", () => runtimes.idle.warm[runtime] === 1);
      const source =
        runtime === "python"
          ? "def f():\n  import os, sys\n  print('out')\n  return " +
            "[os.environ['POOL_NAME'], sys.stdin.read()]"
          : "async () => { console.log('out'); return [process.env.POOL_NAME, " +
            "require('node:fs').readFileSync(0, 'utf8')] }";
      const { process, outcome } = await start(source, { runtime, stdin: "in" });
      process.stdin?.end("in");
      expect(
        await within(
          "the end",
          Promise.all([text(process.stdout), text(process.stderr), outcome, process.exited]),
        ),
      ).toMatchObject(["out\n", "", { kind: "returned", value: ["p", "in"] }, {}]);
    },
  );
});

test.each<[string, Partial<ChildSpec>, Partial<ProcessSetup>]>([
  ["variables of its own", { env: { A: "b" } }, {}],
  ["tighter limits", { limits: { processes: 64 } }, {}],
  ["artifacts", {}, { artifacts: ["*"] }],
])("a call with %s gets a process of its own", async (_, spec, setup) => {
  const { runtimes, start, end } = await open({ warm: { node: 1 } });
  await until("one to wait", () => runtimes.idle.warm.node === 1);
  const started = await start("() => process.env.A ?? null", spec, setup);
  started.process.artifacts?.resume();
  expect(runtimes.idle.warm.node).toBe(1);
  expect((await end(started)).outcome).toMatchObject({
    kind: "returned",
    value: spec.env?.A ?? null,
  });
});

test("waiting processes end with the pool, and leave nothing", async () => {
  const { runtimes, valueFrom } = await open({ warm: { node: 2 }, reuse: 2 });
  await until("both to wait", () => runtimes.idle.warm.node === 2);
  expect(await valueFrom("() => 1")).toBe(1);
  await within("the end of what waits", runtimes.close());
  expect(runtimes.idle).toEqual({ warm: expect.objectContaining({ node: 0 }), reusable: 0 });
  expect(survivors()).toEqual([]);
  expect(groupsLeft()).toEqual([]);
  expect(await valueFrom("() => 2")).toBe(2);
  expect(survivors()).toEqual([]);
});

describe.each(RUNTIMES)("a process of %s that is reused", (runtime, missing, marks, finds) => {
  test.skipIf(missing)("keeps the traces of its last call for the same caller only", async () => {
    const { valueFrom, runtimes } = await open({ reuse: 5 });
    expect(await valueFrom(marks, { runtime })).toBe(1);
    expect(runtimes.idle.reusable).toBe(1);
    expect(await valueFrom(marks, { runtime })).toBe(2);
    expect(await valueFrom(finds, { runtime, client: "b" })).toBeNull();
    expect(await valueFrom(finds, { runtime, env: { A: "b" } })).toBeNull();
    expect(await valueFrom(marks, { runtime })).toBe(3);
    expect(runtimes.idle.reusable).toBe(2);
  });

  test.skipIf(missing)("gives each call its own output", async () => {
    const { call } = await open({ reuse: 5 });
    const source = (n: number) =>
      runtime === "python"
        ? `def f():\n  import sys\n  print(${n}, end='')\n  print(${n} * 'e', ` +
          "end='', file=sys.stderr)"
        : `() => { process.stdout.write("${n}"); process.stderr.write("e".repeat(${n})) }`;
    for (const n of [1, 2, 3])
      expect(await call(source(n), { runtime })).toMatchObject({
        stdout: String(n),
        stderr: "e".repeat(n),
      });
  });

  test.skipIf(missing)("takes a call after an error", async () => {
    const { call, valueFrom } = await open({ reuse: 5 });
    await valueFrom(marks, { runtime });
    const source =
      runtime === "python"
        ? "def f():\n  raise ValueError('no')"
        : "() => { throw new Error('no') }";
    expect((await call(source, { runtime })).outcome).toMatchObject({
      kind: "threw",
      error: { message: "no" },
    });
    expect(await valueFrom(marks, { runtime })).toBe(2);
  });
});

describe("a reused process ends with a call that", () => {
  test.each([
    [
      "leaves a timer",
      "() => { globalThis.mark = 1; setInterval(() => console.log('leak'), 1); return 1 }",
    ],
    [
      "leaves a child",
      "() => { globalThis.mark = 1; require('node:child_process').spawn('sleep', " +
        "['60']); return 1 }",
    ],
    [
      "throws later",
      "() => new Promise(() => { globalThis.mark = 1; setTimeout(() => { throw " +
        "new Error('later') }) })",
    ],
    ["exits", "() => process.exit(3)"],
    ["is killed", "() => process.kill(process.pid, 'SIGKILL') && new Promise(() => {})"],
    ["never settles", "() => new Promise(() => {})"],
    [
      "reports twice",
      "() => { globalThis.mark = 1; require('node:fs').writeSync(3, " +
        '\'{"kind":"returned","value":1,"cpuMs":0,"maxRssBytes":0,"clean":true}\\n\') }',
    ],
  ])("%s", async (_, source) => {
    const { runtimes, call, valueFrom } = await open({ reuse: 5 });
    expect(await valueFrom("() => { globalThis.mark = 0 }")).toBeNull();
    await call(source);
    expect(await valueFrom("() => globalThis.mark ?? 'fresh'")).toBe("fresh");
    expect(runtimes.idle.reusable).toBe(1);
  });

  test("hangs and is stopped", async () => {
    const { start, end, valueFrom } = await open({ reuse: 5 });
    await valueFrom("() => { globalThis.mark = 1 }");
    const started = await start("() => { console.log(1); for (;;); }");
    await within("its first output", started.process.stdout[Symbol.asyncIterator]().next());
    started.process.kill();
    expect((await end(started)).outcome).toMatchObject({ kind: "crashed" });
    expect(await valueFrom("() => globalThis.mark ?? 'fresh'")).toBe("fresh");
  });

  test("is told to stop, and returns nevertheless", async () => {
    const { start, end, valueFrom } = await open({ reuse: 5 });
    await valueFrom("() => { globalThis.mark = 1 }");
    const started = await start(
      "({ signal }) => new Promise((resolve) => { const timer = setInterval(() " +
        "=> {}, 9e4); signal.addEventListener('abort', () => { " +
        "clearInterval(timer); resolve(1) }); console.log('up') })",
    );
    await within("its first output", started.process.stdout[Symbol.asyncIterator]().next());
    await started.process.signal("SIGTERM");
    expect((await end(started)).outcome).toMatchObject({ kind: "returned", value: 1 });
    expect(await valueFrom("() => globalThis.mark ?? 'fresh'")).toBe("fresh");
  });

  test("hangs after its end, which costs the next call only a new process", async () => {
    const { start, end, valueFrom } = await open({ reuse: 5 });
    // The runner does not see a timer that is not referenced.
    const started = await start("() => { setTimeout(() => { for (;;); }, 1).unref(); return 1 }");
    expect((await end(started)).outcome).toMatchObject({ kind: "returned" });
    const usedMs = started.process.usedMs() ?? 0;
    await until(
      "it to be busy",
      () => (started.process.usedMs() ?? Number.POSITIVE_INFINITY) > usedMs + 100,
    );
    expect(await valueFrom("() => 'called'")).toBe("called");
  });

  test("leaves output for later", async () => {
    const { runtimes, valueFrom } = await open({ reuse: 5 });
    // The runner does not see a timer that is not referenced; the member sees its output.
    expect(
      await valueFrom(
        "() => { globalThis.mark = 1; setTimeout(() => console.log('late'), " +
          "50).unref(); return 1 }",
      ),
    ).toBe(1);
    await until("its process to be ended", () => runtimes.idle.reusable === 0);
    expect(await valueFrom("() => globalThis.mark ?? 'fresh'")).toBe("fresh");
  });
});

test("no more processes wait than allowed", async () => {
  const { runtimes, valueFrom } = await open({ reuse: 2 });
  for (const client of ["a", "b", "c"])
    await valueFrom("() => { globalThis.mark = 1 }", { client });
  expect(runtimes.idle.reusable).toBe(2);
  expect(await valueFrom("() => globalThis.mark ?? 'fresh'", { client: "c" })).toBe(1);
  expect(await valueFrom("() => globalThis.mark ?? 'fresh'", { client: "a" })).toBe("fresh");
});

test("the end of a call waits for output that its reader holds back", async () => {
  const { start, valueFrom } = await open({ reuse: 2 });
  const { process, outcome } = await start(
    "() => { process.stdout.write('x'.repeat(3_000_000)); globalThis.mark = 1 }",
  );
  const first = process.stdout[Symbol.asyncIterator]().next();
  const { value } = await within("the first output", first);
  const all = text(process.stdout);
  process.stderr.resume();
  expect(await within("the outcome", outcome)).toMatchObject({ kind: "returned" });
  await within("the end of the call", process.exited);
  expect(value.length + (await all).length).toBe(3_000_000);
  expect(await valueFrom("() => globalThis.mark")).toBe(1);
});
