import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_NESTING } from "../../openapi/schemas/values.ts";
import { flawIn } from "../../sdk/typescript/json-values.ts";
import { encodeValue } from "../../server/runtimes/runners/javascript/values.ts";

class Point {}
class Own extends Map {}
class Bare extends null {}
class List extends Array {}
function argumentsOf(..._: unknown[]) {
  // biome-ignore lint/complexity/noArguments: the object itself is the value.
  return arguments;
}
function* count() {
  yield 1;
}
async function* feed() {
  yield 1;
}
const DEVALUE = 'which encoding: "devalue" carries';
const nested = (levels: number) => {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 ? [value] : { a: value };
  return value;
};

/** A value in which each -0 is 0, as JSON gives it back. */
const withoutMinus = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutMinus);
  if (typeof value !== "object" || value === null) return value === 0 ? 0 : value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutMinus(item)]));
};

describe("a value that JSON carries", () => {
  const shared = { a: 1 };
  test.each<[string, unknown]>([
    ["null", null],
    ["nothing", []],
    ["a property without a value", { a: undefined }],
    ["an object without a prototype", Object.create(null)],
    ["an object of another realm", runInNewContext("({ a: [{}] })")],
    ["a part that occurs twice", [shared, { shared }, shared]],
    ["a proxy", new Proxy([{ a: 1 }], {})],
    ["the result of a match, without what it has beside its items", "abc".match(/b/)],
    ["an object with a hidden property", Object.defineProperty({}, "a", { value: 1 })],
    ["as many levels as a member takes", nested(MAX_NESTING)],
  ])("%s", (_, value) => {
    expect(flawIn(value, "value")).toBeUndefined();
  });

  test("is each that JSON has written", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => flawIn(value, "value") === undefined));
  });

  test("or else has a flaw, when JSON does not give it back", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true }), (value) => {
        if (flawIn(value ?? null, "value") !== undefined) return;
        const back: unknown = JSON.parse(JSON.stringify(value ?? null));
        expect(back).toEqual(withoutMinus(value ?? null));
      }),
    );
  });
});

describe("a flaw", () => {
  const cycle: Record<string, unknown> = {};
  cycle.list = [1, cycle];
  test.each<[unknown, string]>([
    [undefined, `value is undefined, ${DEVALUE}`],
    [new Array(2), `value[0] is undefined, ${DEVALUE}`],
    [{ rows: [0, { at: new Date() }] }, `value.rows[1].at is an instance of Date, ${DEVALUE}`],
    [{ "": { "a b": Number.NaN } }, `value[""]["a b"] is NaN, ${DEVALUE}`],
    [cycle, `value.list[1] is part of a cycle, ${DEVALUE}`],
    [[1n], `value[0] is a bigint, ${DEVALUE}`],
    [new Own(), `value is an instance of Own, ${DEVALUE} as Map`],
    [Buffer.from("a"), `value is an instance of Buffer, ${DEVALUE} as Uint8Array`],
    [new Uint8ClampedArray(1), `value is an instance of Uint8ClampedArray, ${DEVALUE}`],
    [new BigUint64Array(1), `value is an instance of BigUint64Array, ${DEVALUE}`],
    [new URL("http://127.0.0.1"), `value is an instance of URL, ${DEVALUE}`],
    [runInNewContext("new Set()"), `value is an instance of Set, ${DEVALUE}`],
    [new Point(), "value is an instance of Point: send a plain object instead"],
    [Object.create({ a: 1 }), "value is an instance of a class: send a plain object instead"],
    [Object.create(Bare.prototype), "value is an instance of Bare: send a plain object instead"],
    [Math, "value is an instance of Math: send a plain object instead"],
    [argumentsOf(1), "value is an instance of Arguments: send an array of its items instead"],
    [new List(), "value is an instance of List: send an array of its items instead"],
    [count(), "value is an instance of Generator: send an array of its items instead"],
    [
      { rows: [feed()] },
      "value.rows[0] is an instance of AsyncGenerator: send an array of its items instead",
    ],
    [[1].values(), "value is an instance of Iterator: send an array of its items instead"],
    [
      { [Symbol("s")]: 1, a: 1 },
      "value is an object with the key Symbol(s): use text as a key instead",
    ],
    [
      [{ toJSON: () => 1 }],
      "value[0] is an object whose toJSON would replace it: send what toJSON returns instead",
    ],
    [new (class {})(), "value is an instance of a class: send a plain object instead"],
    [new TypeError("e"), "value is an instance of TypeError: send a plain object instead"],
    [Promise.resolve(), "value is an instance of Promise: await it"],
    [{ f: Math.max }, "value.f is a function: send its source or a name instead"],
    [Symbol("s"), "value is a symbol: send its description instead"],
  ])("of %o", (value, flaw) => {
    expect(flawIn(value, "value")).toBe(flaw);
  });

  test.each([MAX_NESTING + 1, 1_000_000])("of %i levels", (levels) => {
    expect(flawIn(nested(levels), "value")).toMatch(/ is nested more than 1000 levels deep$/);
  });

  test("that devalue carries is really carried", () => {
    for (const value of [1n, new Date(0), new Map(), new URL("http://127.0.0.1"), /a/, cycle])
      expect(encodeValue(value, "devalue")).toMatchObject({ json: expect.any(String) });
  });
});

describe("the report of a value", () => {
  const throwing = (thrown: unknown) => ({
    get a() {
      throw thrown;
    },
  });
  test.each<[string, unknown, RegExp]>([
    ["a getter that throws", throwing(new Error("no")), /reading it threw Error: no/],
    ["a getter that throws null", throwing(null), /reading it threw null/],
    ["an error without a text", throwing(Object.create(null)), /a value without a text/],
    [
      "a hidden toJSON",
      Object.defineProperty({}, "toJSON", { value: () => undefined }),
      /value is an object whose toJSON would replace it/,
    ],
  ])("of %s is an error", (_, value, message) => {
    expect(encodeValue(value, "json")).toMatchObject({
      kind: "threw",
      error: { name: "TypeError", message: expect.stringMatching(message) },
    });
  });

  test("of undefined is null", () => {
    expect(encodeValue(undefined, "json")).toEqual({ json: "null" });
  });
});
