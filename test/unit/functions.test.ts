import { runInThisContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { type PoolFunction, sourceOf } from "../../sdk/typescript/functions.ts";

/** The function as a member would make it from its source. */
const again = (fn: PoolFunction) => runInThisContext(`(${sourceOf(fn)}\n)`) as PoolFunction;
const parsed = (source: string) => runInThisContext(`(${source}\n)`) as PoolFunction;

describe("sourceOf", () => {
  test.each<[string, PoolFunction]>([
    ["a function", parsed("function (a, b) { return a + b }")],
    ["a named function", parsed("function add(a, b) { return a + b }")],
    ["an arrow", parsed("(a, b) => a + b")],
    ["an arrow with a block", parsed("(a, b) => { return a + b }")],
    [
      "an arrow with defaults that look like more",
      parsed("(a, b = ((x) => x)(2)) => { return a + b }"),
    ],
    ["an arrow that destructures", parsed("(...[a, b]) => a + b")],
    ["a method", parsed("({ add(a, b) { return a + b } }).add")],
    ["a method called async", parsed("({ async(a, b) { return a + b } }).async")],
    ["a method called function", parsed("({ function(a, b) { return a + b } }).function")],
    ["a method called get", parsed("({ get(a, b) { return a + b } }).get")],
    [
      "a method with a name in quotes",
      parsed("({ 'add them'(a, b) { return a + b } })['add them']"),
    ],
    ["a static method", parsed("(class { static add(a, b) { return a + b } }).add")],
    ["a method of a class", parsed("(class { add(a, b) { return a + b } }).prototype.add")],
    ["an arrow followed by a comment", parsed("(a, b) => a + b // the sum")],
  ])("%s is an expression again", (_, fn) => {
    expect(again(fn)(1211, 1)).toBe(1212);
  });

  test.each<[string, PoolFunction]>([
    ["an async arrow", parsed("async (a, b) => a + b")],
    ["an async function", parsed("async function (a, b) { return a + b }")],
    ["an async method", parsed("({ async add(a, b) { return a + b } }).add")],
  ])("%s is an expression again", async (_, fn) => {
    expect(await again(fn)(1211, 1)).toBe(1212);
  });

  test.each<[string, PoolFunction]>([
    ["one parameter", parsed("a => a + 1")],
    ["one parameter, async", parsed("async a => a + 1")],
    ["one parameter in other letters", parsed("größe => größe + 1")],
    ["one parameter called async", parsed("async => async + 1")],
  ])("an arrow without parentheses: %s", async (_, fn) => {
    expect(await again(fn)(41)).toBe(42);
  });

  test.each<[string, PoolFunction, RegExp]>([
    [
      "a native function",
      Math.max,
      /expected a function with JavaScript source; function max is native or bound/,
    ],
    [
      "a bound function",
      parsed("function add(a, b) { return a + b }").bind(undefined),
      /native or bound/,
    ],
    ["a class", parsed("class Adder {}"), /expected a function; got class Adder/],
  ])("refuses %s", (_, fn, message) => {
    expect(() => sourceOf(fn)).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.stringMatching(message) }),
    );
  });
});
