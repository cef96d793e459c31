/** Functions: their values, their failures, and their context. */
import { describe, expect, test } from "vitest";
import type { PoolContext } from "../../sdk/typescript/functions.ts";
import { sourceOf } from "../../sdk/typescript/functions.ts";
import {
  callEvents,
  idle,
  lastOf,
  post,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";

const spec = (source: string, ...args: unknown[]) => ({ function: { source, args } });

async function run(source: string, ...args: unknown[]) {
  const member = await startOne();
  const events = await callEvents(member.url, "/pools/pipeline/call", spec(source, ...args));
  await idle(member);
  return events;
}

const valueFrom = async (source: string, ...args: unknown[]) =>
  lastOf(await run(source, ...args), "result").value as unknown;
const problemFrom = async (source: string, ...args: unknown[]) =>
  lastOf(await run(source, ...args), "failed").problem;

describe("values", () => {
  test.each<[string, unknown[], unknown]>([
    ["(a, b) => a + b", [1211, 1], 1212],
    ["async (name) => 'hi ' + name", ["m1"], "hi m1"],
    ["function named(list) { return list.map((n) => n * 2) }", [[1, 2]], [2, 4]],
    ["(x) => x", [{ deep: [null, true, "ü", { a: 1 }] }], { deep: [null, true, "ü", { a: 1 }] }],
    ["() => undefined", [], null],
    ["() => null", [], null],
    ["() => {}", [], null],
    ["() => Object.assign(Object.create(null), { a: [1] })", [], { a: [1] }],
    ["() => require('node:vm').runInNewContext('({ a: [1] })')", [], { a: [1] }],
    ["(...args) => args.length", [1, 2, 3], 3],
    ["() => { return 1 } // a last comment", [], 1],
    ["async () => (await import('node:os')).EOL", [], "\n"],
    ["() => require('node:os').EOL", [], "\n"],
    ["() => 'a\\u2028b\\n\\n\\0c'", [], "a\u2028b\n\n\0c"],
  ])("%s", async (source, args, expected) => {
    expect(await valueFrom(source, ...args)).toEqual(expected);
  });

  test("of a function of this program", async () => {
    const source = sourceOf((a: number, b: number) => a * b);
    expect(await valueFrom(source, 6, 7)).toBe(42);
  });

  test("a key without a value is left out, as JSON does", async () => {
    expect(await valueFrom("() => ({ a: 1, b: undefined })")).toEqual({ a: 1 });
  });

  test("as large as a megabyte, both ways", async () => {
    const large = "0123456789abcdef".repeat(65_536);
    expect(await valueFrom("(text) => text + '!'", large)).toBe(`${large}!`);
  });

  test("in the waiting form", async () => {
    const { url } = await startOne();
    const response = await post(
      url,
      "/call",
      { pool: "pipeline", ...spec("(a) => { console.log('out'); return a }", 5) },
      { accept: "application/json" },
    );
    expect(await response.json()).toMatchObject({
      value: 5,
      stdout: "out\n",
      usage: { cpuMs: expect.any(Number), maxRssBytes: expect.any(Number) },
    });
  });

  test("printed text is output, apart from the value", async () => {
    const events = await run(
      "() => { console.log('out'); console.error('err'); " +
        "process.stdout.write('no newline'); return 'value' }",
    );
    expect([textOf(events), textOf(events, "stderr"), lastOf(events, "result").value]).toEqual([
      "out\nno newline",
      "err\n",
      "value",
    ]);
  });

  test("much output arrives whole, before the result", async () => {
    const events = await run(
      "() => { for (let n = 0; n < 200000; n++) console.log('line ' + n); return 1 }",
    );
    expect(textOf(events).trim().split("\n").length).toBe(200_000);
  });

  test("a printed report is output", async () => {
    const forged = JSON.stringify({ kind: "returned", value: "forged", cpuMs: 0, maxRssBytes: 0 });
    const events = await run(
      "(forged) => { console.log(forged); process.stderr.write(forged + '\\n'); " +
        "return 'true value' }",
      forged,
    );
    expect(lastOf(events, "result").value).toBe("true value");
    expect(textOf(events)).toBe(`${forged}\n`);
  });
});

describe("failures", () => {
  test("an error has its name, its message and its remote stack", async () => {
    const given = await problemFrom("function work(n) {\n  throw new RangeError('not ' + n)\n}", 5);
    expect(given).toMatchObject({
      code: "function_threw",
      status: 422,
      detail: "RangeError: not 5",
      error: { name: "RangeError", message: "not 5" },
    });
    expect(given.error?.stack).toMatch(/RangeError: not 5\n\s+at work \(function\.js:2/);
  });

  test("a rejected promise has the same form", async () => {
    expect(await problemFrom("async () => { throw new TypeError('later') }")).toMatchObject({
      code: "function_threw",
      error: { name: "TypeError", message: "later" },
    });
  });

  test.each([
    "'a string'",
    "42",
    "null",
    "undefined",
    "{ code: 1 }",
    "Symbol('s')",
    "Object.create(null)",
  ])("throwing %s", async (thrown) => {
    const given = await problemFrom(
      `() => { throw ${thrown.startsWith("{") ? `(${thrown})` : thrown} }`,
    );
    expect(given).toMatchObject({
      code: "function_threw",
      error: { name: expect.any(String), message: expect.any(String) },
    });
  });

  test("a captured variable is recognised, with the remedy", async () => {
    const given = await problemFrom("() => captured + 1");
    expect(given).toMatchObject({
      code: "function_threw",
      error: { name: "ReferenceError", message: "captured is not defined" },
    });
    expect(given.detail).toMatch(/pass it as an argument/);
  });

  test.each<[string, RegExp]>([
    ["(a, b => a", /does not parse: .* \(line 1, column 11\)\n {2}\(a, b => a\n {12}\^$/],
    ["function {", /does not parse: Unexpected token '\{' \(line 1, column 10\)/],
    ["return 1", /does not parse: Unexpected token 'return' \(line 1, column 1\)/],
    ["1 + 1", /expected one function expression; got a number/],
    ["'text'", /expected one function expression; got a string/],
    ["null", /expected one function expression; got null/],
    ["({})", /expected one function expression; got a object|got an object/],
  ])("%s is invalid_request", async (source, detail) => {
    expect(await problemFrom(source)).toMatchObject({
      code: "invalid_request",
      detail: expect.stringMatching(detail),
    });
  });

  test.each<[string, RegExp]>([
    ["() => 1n", /value is a bigint, which encoding: "devalue" carries/],
    ["() => ({ deep: [1, 2n] })", /value\.deep\[1\] is a bigint/],
    ["() => { const a = {}; a.a = a; return a }", /value\.a is part of a cycle/],
    [
      "() => ({ rows: [{ at: new Date() }] })",
      /value\.rows\[0\]\.at is an instance of Date, which/,
    ],
    ["() => Buffer.from('a')", /an instance of Buffer, which encoding: "devalue" .* Uint8Array/],
    ["() => new Map([[1, 2]])", /Map/],
    ["() => new Set([1])", /Set/],
    [
      "() => ({ 'a b': new URL('http://127.0.0.1') })",
      /value\["a b"\] is an instance of URL, which/,
    ],
    ["function* () { yield 1 }", /value is an instance of Generator: send an array of its items/],
    ["() => ({ a: [async function* () {}()] })", /value\.a\[0\] is an instance of AsyncGenerator/],
    ["function () { return arguments }", /an instance of Arguments: send an array/],
    ["() => Math", /an instance of Math: send a plain object/],
    ["() => ({ [Symbol('s')]: 1 })", /an object with the key Symbol\(s\)/],
    ["() => new Error('e')", /an instance of Error: send a plain object/],
    ["() => new (class Point {})()", /an instance of Point: send a plain object/],
    ["() => [Promise.resolve(1)]", /value\[0\] is an instance of Promise: await it/],
    ["() => NaN", /NaN/],
    ["() => ({ n: 1 / 0 })", /\.n is Infinity/],
    ["() => () => 1", /function/],
    ["() => Symbol('s')", /symbol/],
    ["() => [undefined]", /\[0\] is undefined/],
    ["() => [1, , 3]", /\[1\] is undefined/],
    ["() => new Uint8Array(3)", /Uint8Array/],
    [
      "() => require('node:vm').runInNewContext('[new Date()]')",
      /value\[0\] is an instance of Date/,
    ],
    [
      "() => ({ toJSON() { throw new Error('no JSON') } })",
      /value is an object whose toJSON would replace it: send what/,
    ],
    [
      "() => Object.defineProperty({}, 'toJSON', { value() { throw new Error('no JSON') } })",
      /value is an object whose toJSON would replace it/,
    ],
    ["() => ({ get a() { throw new Error('no a') } })", /reading it threw Error: no a/],
    ["() => ({ get a() { throw null } })", /reading it threw null/],
    [
      "() => { const { proxy, revoke } = Proxy.revocable([], {}); revoke(); return proxy }",
      /revoked/,
    ],
    [
      "() => { const endless = () => new Proxy({ a: 1 }, { get: endless }); return endless() }",
      /nested more than 1000 levels deep/,
    ],
    [
      "() => { let a = 1; for (let n = 0; n < 1e6; n++) a = [a]; return a }",
      /nested more than 1000/,
    ],
  ])("%s returns what JSON cannot carry", async (source, detail) => {
    expect(await problemFrom(source)).toMatchObject({
      code: "function_threw",
      error: { name: "TypeError" },
      detail: expect.stringMatching(detail),
    });
  });

  test("1,000 levels are a value", async () => {
    const source = "() => { let a = 1; for (let n = 0; n < 1000; n++) a = [a]; return a }";
    expect(JSON.stringify(await valueFrom(source))).toBe(
      `${"[".repeat(1_000)}1${"]".repeat(1_000)}`,
    );
  });

  test.each([0, 1, 7])("process.exit(%i) is worker_crashed", async (code) => {
    expect(await problemFrom(`() => process.exit(${code})`)).toMatchObject({
      code: "worker_crashed",
      detail: expect.stringContaining(`code ${code}`),
    });
  });

  test("a signal is worker_crashed", async () => {
    expect(
      await problemFrom("() => { process.kill(process.pid, 'SIGKILL'); while (true); }"),
    ).toMatchObject({
      code: "worker_crashed",
      detail: expect.stringContaining("SIGKILL"),
    });
  });

  test("an error in a timer is function_threw", async () => {
    const given = await problemFrom(
      "() => new Promise(() => setTimeout(() => { throw new Error('from a timer') }, 1))",
    );
    expect(given).toMatchObject({
      code: "function_threw",
      error: { message: "from a timer", stack: expect.stringContaining("function.js") },
    });
  });

  test("a rejection that nobody handles is function_threw", async () => {
    const given = await problemFrom(
      "() => new Promise(() => { Promise.reject(new Error('nobody')) ; " +
        "setTimeout(() => {}, 1000) })",
    );
    expect(given).toMatchObject({ code: "function_threw", error: { message: "nobody" } });
  });

  test("a promise that never settles is worker_crashed", async () => {
    expect(await problemFrom("() => new Promise(() => {})")).toMatchObject({
      code: "worker_crashed",
      detail: expect.stringContaining("before the function returned"),
    });
  });

  test("an endless loop ends at its deadline", async () => {
    const member = await startOne({ graceMs: 50 });
    const events = await callEvents(member.url, "/pools/pipeline/call", {
      ...spec("() => { while (true); }"),
      deadlineMs: 500,
    });
    expect(lastOf(events, "failed").problem.code).toBe("deadline_exceeded");
    await idle(member);
  });

  test("a timer that a function leaves does not delay its result", async () => {
    expect(await valueFrom("() => { setInterval(() => {}, 1000); return 'done' }")).toBe("done");
  });
});

describe("the context", () => {
  test("follows the arguments", async () => {
    const { url } = await startOne();
    const source = sourceOf((a: number, context: PoolContext) => ({
      ...context,
      a,
      signal: context.signal.aborted,
      progress: typeof context.progress,
    }));
    const events = await callEvents(url, "/pools/pipeline/call", {
      ...spec(source, 1),
      deadlineMs: 60_000,
    });
    const { child } = events[0] as Extract<(typeof events)[0], { type: "placed" }>;
    const value = lastOf(events, "result").value as { deadline: number | null };
    expect(value).toEqual({
      a: 1,
      member: "m1",
      pool: "pipeline",
      childId: child.id,
      signal: false,
      progress: "function",
      deadline: expect.any(Number),
    });
    expect(Math.abs((value.deadline ?? 0) - Date.now())).toBeLessThan(120_000);
  });

  test.each<[string, unknown[], unknown]>([
    ["(a, b) => [a, b.pool]", [1], [1, "pipeline"]],
    ["async (a, b) => [a, b.pool]", [1], [1, "pipeline"]],
    ["(a, b) => [a, b]", [1, 2], [1, 2]],
    ["(a, b) => [a, b]", [1, 2, 3], [1, 2]],
    ["(n, base = 10) => n.toString(base)", [12], "12"],
    ["(n, base = 10) => n.toString(base)", [12, 16], "c"],
    ["(a, b = 2, c) => [a, b, typeof c]", [1], [1, 2, "undefined"]],
    ["(a, ...rest) => [a, rest]", [1], [1, []]],
    ["function () { return arguments.length }", [], 0],
    ["function (a) { return [arguments.length, a.pool] }", [], [1, "pipeline"]],
    ["(function (a, b, c) { return [a, b, c.pool] }).bind(null, 0)", [1], [0, 1, "pipeline"]],
    ["new Proxy((a, b) => [a, b.pool], {})", [1], [1, "pipeline"]],
    ["Object.defineProperty((a) => typeof a, 'length', { value: 'x' })", [], "undefined"],
    ["Object.defineProperty((...all) => all.length, 'length', { value: 2 })", [1], 2],
    ["Math.max", [1, 2], 2],
  ])("comes only in a parameter without a default: %s with %j", async (source, args, expected) => {
    expect(await valueFrom(source, ...args)).toEqual(expected);
  });

  test("has no deadline when the child has none", async () => {
    const { url } = await startOne();
    const response = await post(url, "/children", {
      pool: "pipeline",
      ...spec("(context) => context.deadline"),
    });
    const { id } = (await response.json()) as { id: string };
    const events = [];
    for await (const event of streamOf(await fetch(`${url}/children/${id}/events`)))
      events.push(event);
    expect(lastOf(events, "result").value).toBeNull();
  });

  test("its signal aborts when the child is told to stop, and the stop is reported", async () => {
    const member = await startOne();
    const source = `(context) => new Promise((resolve) => {
      const timer = setInterval(() => {}, 1000);
      context.signal.addEventListener("abort", () => { console.log("heard"); \
clearInterval(timer); resolve("gave up"); });
      console.log("up");
    })`;
    const stream = streamOf(await post(member.url, "/pools/pipeline/call", spec(source)));
    const events: Parameters<typeof textOf>[0][number][] = [];
    const read = async () => {
      for await (const event of stream) {
        events.push(event);
        const [placed] = events;
        if (event.type === "stdout" && event.text?.includes("up\n") && placed?.type === "placed")
          await fetch(`${member.url}/children/${placed.child.id}`, { method: "DELETE" });
      }
    };
    await within("the terminal event", read());
    expect(textOf(events)).toBe("up\nheard\n");
    expect(events.at(-1)).toMatchObject({ type: "failed", problem: { code: "cancelled" } });
    await idle(member);
  });
});
