/** The same functions in every runtime: values, failures, exports, the context. */
import { stringify, unflatten } from "devalue";
import { describe, expect, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import {
  callEvents,
  idle,
  lastOf,
  post,
  problemOf,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";
import { bunMissing, pythonMissing } from "../helpers/programs.ts";

type Fn = NonNullable<ChildSpecInput["function"]>;

const path = process.env.PATH;
const call = async (fn: Fn, options = {}) => {
  const member = await startOne({ path, ...options });
  const events = await callEvents(member.url, "/call", { pool: "pipeline", function: fn });
  await idle(member);
  return events;
};
const valueFrom = async (fn: Fn) => lastOf(await call(fn), "result").value as unknown;
const problemFrom = async (fn: Fn) => lastOf(await call(fn), "failed").problem;

const js =
  "(name, list) => ({ hello: name + '!', sum: list.reduce((a, b) => a + b, " +
  "0), deep: [null, true, 'ü', { a: 1.5 }] })";
const ts =
  "(name: string, list: number[]) => ({ hello: name + '!', sum: " +
  "list.reduce((a: number, b) => a + b, 0), deep: [null, true, 'ü', { a: 1.5 " +
  "}] as unknown[] })";
const py =
  "def work(name, list):\n    return {'hello': f'{name}!', 'sum': sum(list), " +
  "'deep': [None, True, 'ü', {'a': 1.5}]}\n";

describe("the same function", () => {
  test.each<[string, Fn]>([
    ["in JavaScript", { source: js }],
    ["in TypeScript", { source: ts }],
    ["as a module", { source: `export const work = ${js}`, export: "work" }],
    [
      "as a TypeScript module",
      { source: `interface A { a: number }\nexport const work = ${ts}`, export: "work" },
    ],
    ["as a default export", { source: `export default ${ts}`, export: "default" }],
  ])("%s", async (_, fn) => {
    expect(await valueFrom({ ...fn, args: ["m1", [1, 2]] })).toEqual({
      hello: "m1!",
      sum: 3,
      deep: [null, true, "ü", { a: 1.5 }],
    });
  });

  test.skipIf(bunMissing).each<[string, Fn]>([
    ["in Bun", { source: js, runtime: "bun" }],
    ["in Bun and TypeScript", { source: ts, runtime: "bun" }],
    [
      "in Bun, as a module",
      {
        source: `enum E { A = "work" }\nexport const work = ${ts}`,
        runtime: "bun",
        export: "work",
      },
    ],
  ])("%s", async (_, fn) => {
    expect(await valueFrom({ ...fn, args: ["m1", [1, 2]] })).toEqual({
      hello: "m1!",
      sum: 3,
      deep: [null, true, "ü", { a: 1.5 }],
    });
  });

  test.skipIf(pythonMissing).each<[string, Fn]>([
    ["in Python", { source: py }],
    ["in Python, among others", { source: `def other(): pass\n${py}`, export: "work" }],
    ["in Python, awaited", { source: `async ${py}` }],
    [
      "in Python, as an expression",
      {
        source:
          "lambda name, list: {'hello': name + '!', 'sum': sum(list), 'deep': [None, " +
          "True, 'ü', {'a': 1.5}]}",
      },
    ],
  ])("%s", async (_, fn) => {
    expect(await valueFrom({ ...fn, runtime: "python", args: ["m1", [1, 2]] })).toEqual({
      hello: "m1!",
      sum: 3,
      deep: [null, true, "ü", { a: 1.5 }],
    });
  });
});

describe.each(bunMissing === undefined ? ["node", "bun"] : ["node"])(
  "JavaScript in %s",
  (runtime) => {
    test.each([
      "(n) => {\n  throw new RangeError('not ' + n)\n}",
      "(n: number): never => {\n  throw new RangeError('not ' + n)\n}",
    ])("an error: %s", async (source) => {
      const given = await problemFrom({ source, runtime, args: [5] });
      expect(given).toMatchObject({
        code: "function_threw",
        detail: "RangeError: not 5",
        error: { name: "RangeError", message: "not 5" },
      });
      expect(given.error?.stack).toMatch(/function\.\w+:2:/);
    });

    test("an error of a module has its line", async () => {
      const given = await problemFrom({
        source: "type A = {\n a: 1\n}\nexport function work() {\n  throw new Error('here')\n}",
        runtime,
        export: "work",
      });
      expect(given.error?.stack).toMatch(/function\.\w+:5:/);
    });

    test("a module that throws while it is loaded", async () => {
      expect(
        await problemFrom({
          source: "throw new TypeError('load'); export const f = 1",
          runtime,
          export: "f",
        }),
      ).toMatchObject({
        code: "function_threw",
        error: { name: "TypeError", message: "load" },
      });
    });

    test.each<[Fn, RegExp]>([
      [{ source: "(a, b => a" }, /does not parse/],
      [{ source: "export const a = ;\n", export: "a" }, /does not parse.*line 1/],
      [
        { source: "export const a = 1, b = 2", export: "c" },
        /expected an export c; it exports a, b/,
      ],
      [{ source: "export const a = 1", export: "a" }, /export a to be a function; got a number/],
    ])("%o is invalid_request", async (fn, detail) => {
      expect(await problemFrom({ ...fn, runtime })).toMatchObject({
        code: "invalid_request",
        detail: expect.stringMatching(detail),
      });
    });

    test("much output arrives whole", async () => {
      const events = await call({
        source: "() => { for (let n = 0; n < 100000; n++) console.log('line ' + n); return 1 }",
        runtime,
      });
      expect(textOf(events).trim().split("\n").length).toBe(100_000);
    });

    test("a promise that never settles, and an exit", async () => {
      expect(await problemFrom({ source: "() => new Promise(() => {})", runtime })).toMatchObject({
        code: "worker_crashed",
      });
      expect(await problemFrom({ source: "() => process.exit(7)", runtime })).toMatchObject({
        code: "worker_crashed",
        detail: expect.stringContaining("code 7"),
      });
    });

    test("devalue carries what JSON does not, both ways", async () => {
      const cycle: Record<string, unknown> = {
        date: new Date(5),
        map: new Map<unknown, unknown>([[{ key: 1 }, new Set([1n])]]),
        bytes: new Uint8Array([1, 2, 3]),
        none: undefined,
        nan: Number.NaN,
        zero: -0,
        pattern: /a+/gi,
      };
      cycle.self = cycle;
      const args = JSON.parse(stringify([cycle, 10n ** 30n]));
      const events = await call({
        source:
          "(given, big) => ({ given, big: big + 1n, isDate: given.date instanceof " +
          "Date, own: given.self === given })",
        runtime,
        encoding: "devalue",
        args,
      });
      const { value, encoding } = lastOf(events, "result");
      expect(encoding).toBe("devalue");
      const back = unflatten(value as unknown[]) as {
        given: typeof cycle;
        big: bigint;
        isDate: boolean;
        own: boolean;
      };
      expect(back).toEqual({ given: cycle, big: 10n ** 30n + 1n, isDate: true, own: true });
      expect(back.given.self).toBe(back.given);
      expect(
        unflatten(
          lastOf(await call({ source: "() => undefined", runtime, encoding: "devalue" }), "result")
            .value as unknown[],
        ),
      ).toBe(undefined);
    });

    test.each<[string, RegExp]>([
      ["() => ({ deep: [() => 1] })", /value\.deep\[0\].*function/],
      ["() => ({ a: Symbol('s') })", /value\.a.*[Ss]ymbol/],
      ["() => [new (class Own {})()]", /value\[0\] is an instance of Own: send a plain/],
    ])("%s returns what devalue cannot carry", async (source, detail) => {
      expect(await problemFrom({ source, runtime, encoding: "devalue" })).toMatchObject({
        code: "function_threw",
        detail: expect.stringMatching(detail),
      });
    });

    test("the context comes only in a parameter without a default", async () => {
      const given = async (fn: Fn) => valueFrom({ ...fn, runtime });
      expect(await given({ source: "(n, base = 10) => n.toString(base)", args: [12] })).toBe("12");
      expect(await given({ source: "(n, { pool }) => n + pool", args: [1] })).toBe("1pipeline");
      const module = "export const radix = async (n: number, base = 10) => n.toString(base)";
      expect(await given({ source: module, export: "radix", args: [12] })).toBe("12");
      const decoded = { encoding: "devalue", args: JSON.parse(stringify([12n])) } as const;
      const { value } = lastOf(
        await call({ source: "(n, base = 10) => n.toString(base)", runtime, ...decoded }),
        "result",
      );
      expect(unflatten(value as unknown[])).toBe("12");
    });

    test("a value that JSON would change is function_threw", async () => {
      const source = "() => ({ rows: [{ at: new Date() }], bytes: Buffer.from('a') })";
      expect(await problemFrom({ source, runtime })).toMatchObject({
        code: "function_threw",
        error: { name: "TypeError" },
        detail: expect.stringMatching(
          /value\.rows\[0\]\.at is an instance of Date, which encoding/,
        ),
      });
    });

    test("devalue carries a Buffer as its bytes alone, and a subclass as its base", async () => {
      const source = "() => [Buffer.from('abc'), new (class Own extends Map {})([[1, 2]])]";
      const { value } = lastOf(await call({ source, runtime, encoding: "devalue" }), "result");
      const [bytes, map] = unflatten(value as unknown[]) as [Uint8Array, unknown];
      expect([bytes, bytes.buffer.byteLength, map]).toEqual([
        new Uint8Array([97, 98, 99]),
        3,
        new Map([[1, 2]]),
      ]);
    });

    test("arguments that are not devalue are invalid_request", async () => {
      expect(
        await problemFrom({ source: "() => 1", runtime, encoding: "devalue", args: [["Date"], 7] }),
      ).toMatchObject({
        code: "invalid_request",
        detail: expect.stringMatching(/function\.args/),
      });
    });
  },
);

test("syntax that cannot be stripped is invalid_request in node, and is named", async () => {
  const given = {
    code: "invalid_request",
    detail: expect.stringMatching(
      /cannot be stripped; runtime bun .*enum.*\(line 2, column [13]\)/,
    ),
  };
  expect(await problemFrom({ source: "() => {\n  enum A { B }\n  return A.B\n}" })).toMatchObject(
    given,
  );
  expect(
    await problemFrom({ source: "export const f = () => A.B;\nenum A { B }", export: "f" }),
  ).toMatchObject(given);
});

describe.skipIf(pythonMissing)("Python", () => {
  const runtime = "python";

  test("an error has its name, its message and the function's own frames", async () => {
    const given = await problemFrom({
      source: "def work(n):\n    raise ValueError(f'not {n}')\n",
      runtime,
      args: [5],
    });
    expect(given).toMatchObject({
      code: "function_threw",
      detail: "ValueError: not 5",
      error: { name: "ValueError", message: "not 5" },
    });
    expect(given.error?.stack).toBe(
      'Traceback (most recent call last):\n  File "function.py", line 2, in ' +
        "work\n    raise ValueError(f'not {n}')\nValueError: not 5\n",
    );
  });

  test("an error while the module is loaded has the same form", async () => {
    expect(await problemFrom({ source: "import nowhere\ndef f(): pass", runtime })).toMatchObject({
      code: "function_threw",
      error: { name: "ModuleNotFoundError" },
    });
  });

  test.each<[Partial<Fn>, RegExp]>([
    [{ source: "def f():\n  return (" }, /does not parse: .*line 2/],
    [{ source: "\0" }, /does not parse/],
    [{ source: "x = 1" }, /one function or one lambda; got none/],
    [{ source: "def a(): pass\ndef b(): pass" }, /got a, b/],
    [{ source: "1 + 1" }, /the expression to be a function; got int/],
    [{ source: "def a(): pass", export: "b" }, /expected a function b/],
  ])("%o is invalid_request", async (fn, detail) => {
    expect(await problemFrom({ ...fn, runtime } as Fn)).toMatchObject({
      code: "invalid_request",
      detail: expect.stringMatching(detail),
    });
  });

  test.each<[string, RegExp]>([
    ["lambda: float('nan')", /value is nan: return None or text/],
    ["lambda: {'a': [1, float('inf')]}", /value\['a'\]\[1\] is inf/],
    ["lambda: {1}", /value is an instance of set: return a list/],
    ["lambda: {1: 2}", /value is a dict with the key 1, which is not a string/],
    ["lambda: [{None: 2}]", /value\[0\] is a dict with the key None/],
    ["lambda: b'bytes'", /an instance of bytes: return text, such as base64/],
    ["lambda: (n for n in [1])", /an instance of generator: return a list/],
    [
      "def f():\n  import datetime\n  return {'rows': [{'at': datetime.datetime.now()}]}",
      /value\['rows'\]\[0\]\['at'\] is an instance of datetime: return its isoformat\(\)/,
    ],
    ["lambda: 2**53 + 1", /beyond 2\*\*53/],
    ["def f():\n  a = []\n  a.append(a)\n  return a", /value\[0\] is part of a cycle/],
    ["def f():\n  a = 1\n  for _ in range(1001): a = [a]\n  return a", /nested more than 1000/],
    ["def f():\n  a = 1\n  for _ in range(9999): a = {'a': a}\n  return a", /nested more/],
  ])("%s returns what JSON cannot carry", async (source, detail) => {
    expect(await problemFrom({ source, runtime })).toMatchObject({
      code: "function_threw",
      error: { name: "TypeError" },
      detail: expect.stringMatching(detail),
    });
  });

  test("an exit is worker_crashed, and its output arrives", async () => {
    const events = await call({
      source: "def f():\n  import sys\n  print('out', end='')\n  sys.exit(3)",
      runtime,
    });
    expect(lastOf(events, "failed").problem).toMatchObject({
      code: "worker_crashed",
      detail: expect.stringContaining("code 3"),
    });
    expect(textOf(events)).toBe("out");
  });

  test("print writes output, whole and before the result", async () => {
    const events = await call({
      source:
        "def f():\n  import sys\n  print('err', file=sys.stderr)\n  for n in " +
        "range(100000): print(n)\n  return 1",
      runtime,
    });
    expect([textOf(events).trim().split("\n").length, textOf(events, "stderr")]).toEqual([
      100_000,
      "err\n",
    ]);
  });

  test("a context for a function that takes one", async () => {
    const source =
      "def f(a, *, context):\n  return [a, context.member, context.pool, " +
      "context.child_id[:3], context.deadline > 0, context.signal.aborted, " +
      "context.signal.wait(0)]";
    expect(await valueFrom({ source, runtime, args: [1] })).toEqual([
      1,
      "m1",
      "pipeline",
      "m1.",
      true,
      false,
      false,
    ]);
  });

  test.each<[string, unknown[], unknown[]]>([
    ["lambda a, b: [a, b.pool]", [1], [1, "pipeline"]],
    ["lambda a, b, /: [a, b.pool]", [1], [1, "pipeline"]],
    ["lambda a, b: [a, b]", [1, 2], [1, 2]],
    ["lambda n, base=10: [n, base]", [1], [1, 10]],
    ["lambda n, context=None: [n, context]", [1], [1, null]],
    ["lambda n, *, context: [n, context.pool]", [1], [1, "pipeline"]],
    ["lambda n, *, context=None: [n, context]", [1], [1, null]],
    ["lambda n, base=10, *, context: [n, base, context.pool]", [1], [1, 10, "pipeline"]],
    ["lambda *all: list(all)", [1], [1]],
    ["lambda **all: list(all)", [], []],
    ["__import__('functools').partial(lambda a, b, c: [a, b, c.pool], 1)", [2], [1, 2, "pipeline"]],
    ["type('F', (), {'__call__': lambda self, a, b: [a, b.pool]})()", [1], [1, "pipeline"]],
    ["max", [[1, 2]], [2]],
  ])("the context of %s with %j", async (expression, args, expected) => {
    const source = `given = ${expression}`;
    const value = await valueFrom({ source, runtime, args, export: "given" });
    expect([value].flat()).toEqual(expected);
  });

  test("values and arguments of 1,000 levels arrive, and a tuple is an array", async () => {
    let deep: unknown = [];
    for (let level = 1; level < 999; level++) deep = [deep];
    expect(await valueFrom({ source: "lambda a: (a,)", runtime, args: [deep] })).toEqual([deep]);
  });

  test("devalue is refused", async () => {
    const { url } = await startOne();
    const refused = await post(url, "/call", {
      pool: "pipeline",
      function: { source: "lambda: 1", runtime, encoding: "devalue" },
    });
    expect(await problemOf(refused)).toMatchObject({
      code: "invalid_request",
      fields: [{ path: "/function/encoding" }],
    });
  });
});

const LISTEN = `(context) => new Promise((resolve) => {
  const timer = setTimeout(() => {}, 60_000);
  context.signal.addEventListener("abort", () => { clearTimeout(timer); \
console.log(context.signal.reason.message); resolve(); });
  console.log("up");
})`;

describe.each([
  ["node", LISTEN, undefined],
  ["bun", LISTEN, bunMissing],
  [
    "python",
    "def f(context):\n  print('up')\n  context.signal.wait(60)\n  print(context.signal.reason)",
    pythonMissing,
  ],
])("the signal in %s", (runtime, source, missing) => {
  test.skipIf(missing)("aborts when the child is told to stop", async () => {
    const member = await startOne({ path, graceMs: 30_000 });
    const events: NumberedEvent[] = [];
    const read = async () => {
      for await (const event of streamOf(
        await post(member.url, "/call", { pool: "pipeline", function: { source, runtime } }),
      )) {
        events.push(event);
        const [placed] = events;
        if (event.type === "stdout" && textOf(events) === "up\n" && placed?.type === "placed")
          await fetch(placed.child.url, { method: "DELETE" });
      }
    };
    await within("the terminal event", read());
    expect(textOf(events)).toBe("up\nthe child was told to stop\n");
    expect(lastOf(events, "failed").problem.code).toBe("cancelled");
    await idle(member);
  });

  test.skipIf(missing)("aborts when the member drains, and the function runs on", async () => {
    const member = await startOne({ path, drainMs: 30_000 });
    const events: NumberedEvent[] = [];
    let stopped: Promise<void> | undefined;
    const read = async () => {
      for await (const event of streamOf(
        await post(member.url, "/call", { pool: "pipeline", function: { source, runtime } }),
      )) {
        events.push(event);
        if (event.type === "stdout" && textOf(events) === "up\n") stopped = member.stop();
      }
    };
    await within("the terminal event", read());
    expect(textOf(events)).toBe("up\nthe member is draining\n");
    expect(lastOf(events, "result").value).toBeNull();
    await within("the member's stop", stopped as Promise<void>);
  });
});

describe("a configured runtime", () => {
  const echo = {
    command: [
      "sh",
      "-c",
      `read -r job <&3; printf '{"value":%s}\\n' "$(cat "$1")" >&3; echo "$job"`,
      "sh",
      "{source}",
    ],
  };

  test("gets its source as a file, the rest on descriptor 3, and answers there", async () => {
    const events = await call(
      { source: "[1,2]", runtime: "echo", args: ["a"], export: "e" },
      { runtimes: { echo } },
    );
    expect(lastOf(events, "result").value).toEqual([1, 2]);
    expect(JSON.parse(textOf(events))).toMatchObject({
      args: ["a"],
      export: "e",
      context: { member: "m1", pool: "pipeline" },
    });
  });

  test.each<[string, string, RegExp]>([
    [`read x <&3; echo '{"error":{"name":"E","message":"m"}}' >&3`, "function_threw", /E: m/],
    ["read x <&3; echo nonsense >&3", "worker_crashed", /did not answer/],
    ["exit 3", "worker_crashed", /code 3/],
  ])("%s", async (script, code, detail) => {
    const runtimes = { own: { command: ["sh", "-c", script, "{source}"] } };
    expect(
      lastOf(await call({ source: "x", runtime: "own" }, { runtimes }), "failed").problem,
    ).toMatchObject({ code, detail: expect.stringMatching(detail) });
  });

  test("whose program is missing is not offered", async () => {
    const { url } = await startOne({
      runtimes: { ghost: { command: ["no-such-program", "{source}"] }, echo },
    });
    const refused = await problemOf(
      await post(url, "/call", { pool: "pipeline", function: { source: "x", runtime: "ghost" } }),
    );
    expect(refused).toMatchObject({
      code: "runtime_not_found",
      status: 404,
      detail: expect.stringMatching(/node.*echo; got ghost/),
    });
  });

  test("with an invalid configuration keeps the member from starting", async () => {
    await expect(startOne({ runtimes: { x: { command: ["sh"] } } })).rejects.toThrow(
      /runtimes\.x\.command: expected \{source\}/,
    );
  });
});

describe.each<[string, string, string | undefined]>([
  ["node", "export const add = (a: number, b: number) => a + b", undefined],
  ["bun", "export const add = (a: number, b: number) => a + b", bunMissing],
  ["python", "def add(a, b): return a + b", pythonMissing],
  ["own", "3", undefined],
])("without a sandbox: %s", (runtime, source, missing) => {
  test.skipIf(missing)("the same", async () => {
    const runtimes = {
      own: {
        command: [
          "sh",
          "-c",
          `read -r job <&3; test -f "$1" && echo '{"value":3}' >&3`,
          "sh",
          "{source}",
        ],
      },
    };
    const events = await call(
      { source, runtime, export: "add", args: [1, 2] },
      { sandbox: "off", runtimes },
    );
    expect(lastOf(events, "result").value).toBe(3);
  });
});
