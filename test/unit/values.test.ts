import { parse, stringify } from "devalue";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { checkArguments, encodeArguments, withValues } from "../../sdk/typescript/values.ts";
import { collect } from "../helpers/member.ts";

/** The arguments as the other side decodes them. */
const again = (args: unknown[]) =>
  parse(JSON.stringify(encodeArguments(args, "devalue"))) as unknown[];
const ending = { usage: { wallMs: 1, cpuMs: 1, maxRssBytes: 1 }, artifacts: [] };
const result = (value: unknown): NumberedEvent => ({
  id: 2,
  type: "result",
  value,
  encoding: "devalue",
  ...ending,
});

function* count() {
  yield 1;
}

async function* from(...events: NumberedEvent[]) {
  yield* events;
}
const read = async (event: NumberedEvent) =>
  (await collect(withValues(from(event))))[0] as NumberedEvent;

describe("arguments by devalue", () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  test.each<[string, unknown]>([
    ["a date", new Date(0)],
    ["a map", new Map<unknown, unknown>([["a", new Set([1])]])],
    ["a big integer", 2n ** 80n],
    ["bytes", new Uint8Array([1, 2, 3])],
    ["undefined", undefined],
    ["numbers that JSON does not have", [Number.NaN, Number.POSITIVE_INFINITY, -0]],
    ["a cycle", cycle],
    ["a URL", new URL("http://127.0.0.1/a")],
    ["a regular expression", /a+/gi],
  ])("%s", (_, value) => {
    expect(again([1, value])).toEqual([1, value]);
  });

  test("none", () => {
    expect(again([])).toEqual([]);
  });

  test("a view of a buffer's pool carries no other bytes of the pool", () => {
    const [bytes] = again([Buffer.from("abc")]) as [Uint8Array];
    expect([bytes.buffer.byteLength, Buffer.from(bytes).toString()]).toEqual([3, "abc"]);
  });

  test.each<[string, unknown, RegExp]>([
    ["a function", { deep: [() => 1] }, /argument 2\.deep\[0\] is a function: send/],
    ["a symbol", Symbol("s"), /argument 2 is a symbol: send/],
    [
      "an instance of a class",
      [new (class Point {})()],
      /argument 2\[0\] is an instance of Point: send/,
    ],
    ["a promise", Promise.resolve(1), /argument 2 is an instance of Promise: await it/],
    ["a generator", { all: count() }, /argument 2\.all is an instance of Generator: send/],
    ["a symbol as a key", { [Symbol("s")]: 1 }, /argument 2 is refused: .*symbol/],
    ["a function inside a map", new Map([["k", () => 1]]), /argument 2\.get\("k"\) is a function/],
  ])("refuses %s and says where it is", (_, value, message) => {
    expect(() => encodeArguments([1, value], "devalue")).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.stringMatching(message) }),
    );
  });

  test("refuses a value that nests too deep for the stack", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    expect(() => encodeArguments([deep], "devalue")).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });
});

describe("values by devalue", () => {
  test("are decoded once, wherever the events pass", async () => {
    const value = { at: new Date(0), all: new Set([1n]) };
    const event = result(JSON.parse(stringify(value)));
    const once = await read(event);
    expect(once).toEqual({ id: 2, type: "result", value, ...ending });
    expect(await read(once)).toEqual(once);
  });

  test("undefined is undefined", async () => {
    expect(await read(result(JSON.parse(stringify(undefined))))).toMatchObject({
      type: "result",
      value: undefined,
    });
  });

  test("other events, and values by JSON, stay as they are", async () => {
    const plain: NumberedEvent = { id: 3, type: "result", value: [["Date", "x"]], ...ending };
    expect(await read(plain)).toBe(plain);
    const failed: NumberedEvent = {
      type: "failed",
      problem: { type: "t", title: "t", status: 504, detail: "d", code: "deadline_exceeded" },
    };
    expect(await read(failed)).toBe(failed);
  });

  test.each<[string, unknown]>([
    ["none at all", undefined],
    ["null", null],
    ["a text", "[1]"],
    ["an object", { a: 1 }],
    ["an empty array", []],
    ["a number that means nothing", -99],
    ["an index outside", [[7]]],
    ["an unknown type", [["Error", 1]]],
    ["a prototype", [{ ["__proto__"]: 1 }]],
    ["an array of four billion", [[-7, 4_294_967_296]]],
    ["a view of something else", [["Uint8Array", 1], 5]],
    ["no big integer", [["BigInt", "x"]]],
    ["a URL that is none", [["URL", "no url"]]],
    ["a reference to itself through a box", [["Object", 0]]],
    ["a hundred thousand levels", Array.from({ length: 100_000 }, (_, index) => [index + 1])],
  ])("%s in the place of a value is worker_crashed", async (_, value) => {
    const event = await read(
      result(value === undefined ? undefined : JSON.parse(JSON.stringify(value))),
    );
    expect(event).toMatchObject({
      id: 2,
      type: "failed",
      problem: { code: "worker_crashed" },
      ...ending,
    });
    expect(event).not.toHaveProperty("value");
  });

  test("every answer of a child becomes a value or worker_crashed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.jsonValue(),
          fc.array(
            fc.array(
              fc.oneof(
                fc.integer({ min: -8, max: 8 }),
                fc.constantFrom("Map", "Set", "Date", "Object", "null", "BigInt", "RegExp"),
              ),
            ),
          ),
        ),
        async (value) => {
          const event = await read(result(value));
          if (event.type === "failed") expect(event.problem.code).toBe("worker_crashed");
          else expect(event.type).toBe("result");
        },
      ),
    );
  });
});

describe("checkArguments", () => {
  test("accepts values that JSON carries", () => {
    const shared = { n: 1 };
    expect(() =>
      checkArguments([
        null,
        true,
        "text",
        1.5,
        -3,
        [],
        {},
        [[{ deep: [1, "2"] }]],
        shared,
        shared,
        Object.create(null),
      ]),
    ).not.toThrow();
  });

  test("accepts a key without a value, which JSON leaves out", () => {
    expect(() => checkArguments([{ here: 1, absent: undefined }])).not.toThrow();
  });

  const cycle: Record<string, unknown> = {};
  cycle.inner = [cycle];

  test.each<[string, unknown, string]>([
    ["undefined", undefined, "argument 2 is undefined"],
    ["undefined in an array", [1, undefined], "argument 2[1] is undefined"],
    ["a hole in an array", new Array(1), "argument 2[0] is undefined"],
    ["a function", () => 1, "argument 2 is a function"],
    ["a symbol", Symbol("s"), "argument 2 is a symbol"],
    ["a bigint", 1n, "argument 2 is a bigint"],
    ["NaN", { a: [Number.NaN] }, "argument 2.a[0] is NaN"],
    ["infinity", Number.POSITIVE_INFINITY, "argument 2 is Infinity"],
    ["a cycle", cycle, "argument 2.inner[0] is part of a cycle"],
    ["a Map", { map: new Map() }, "argument 2.map is an instance of Map"],
    ["a Date", new Date(0), "argument 2 is an instance of Date"],
    ["bytes", new Uint8Array(1), "argument 2 is an instance of Uint8Array"],
  ])("refuses %s and says where it is", (_, value, message) => {
    expect(() => checkArguments([1, value])).toThrow(
      expect.objectContaining({
        code: "invalid_request",
        message: expect.stringContaining(message),
      }),
    );
  });
});
