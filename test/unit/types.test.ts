import { afterAll, describe, expectTypeOf, it } from "vitest";
import {
  type Bundle,
  bundle,
  type CommandResult,
  type CommandRun,
  DistributedPool,
  type ErrorCode,
  isErrorCode,
  type MapResults,
  type PoolContext,
  type PoolError,
  type Task,
  task,
} from "../../sdk/typescript/node.ts";

// The compiler checks these types. Nothing listens at this address, and no call is made.
const pools = new DistributedPool({ url: "http://127.0.0.1:1" });
afterAll(() => pools.close());

describe("the types of call", () => {
  it("infers arguments and value from the function", () => {
    expectTypeOf(() =>
      pools.call("p", (x: number, y: number) => x + y, 1, 2),
    ).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(() =>
      pools.call("p", async (x: { a: string }) => x.a, { a: "1" }),
    ).returns.resolves.toEqualTypeOf<string>();
    // @ts-expect-error the function takes a number
    void (() => pools.call("p", (x: number) => x, "one"));
  });

  it("gives a function its context after the arguments", () => {
    expectTypeOf(() =>
      pools.call("p", (x: string, context: PoolContext) => x + context.member, "a"),
    ).returns.resolves.toEqualTypeOf<string>();
    expectTypeOf(() =>
      pools.call("p", (context) => context.deadline),
    ).returns.resolves.toEqualTypeOf<number | null>();
  });

  it("answers a command with its exit code", () => {
    const command: readonly string[] = ["true"];
    expectTypeOf(() =>
      pools.call("p", { command }),
    ).returns.resolves.toEqualTypeOf<CommandResult>();
    expectTypeOf(() =>
      pools.call("p", { command: ["true"] }),
    ).returns.resolves.toEqualTypeOf<CommandResult>();
  });

  type Sum = typeof import("../fixtures/modules/sum.ts");
  const sum = {} as Bundle<Sum["default"]>;

  it("infers arguments and value of a bundle, without the context", () => {
    expectTypeOf(() => bundle<Sum>(new URL("file:///sum.ts"))).returns.resolves.toEqualTypeOf<
      Bundle<Sum["default"]>
    >();
    expectTypeOf(() =>
      bundle<Sum, "tail">(new URL("file:///sum.ts"), { export: "tail" }),
    ).returns.resolves.toEqualTypeOf<Bundle<Sum["tail"]>>();
    expectTypeOf(() =>
      pools.call("p", sum, { a: 1, b: 2 }),
    ).returns.resolves.toEqualTypeOf<string>();
    // @ts-expect-error the function takes a pair
    void (() => pools.call("p", sum, 1));
    // @ts-expect-error the member adds the context, so a caller must not pass one
    void (() => pools.call("p", sum, { a: 1, b: 2 }, {}));
    // @ts-expect-error an export other than the default one must be named
    void (() => bundle<Sum, "tail">(new URL("file:///sum.ts")));
  });

  it("infers them of a task", () => {
    expectTypeOf(task<Sum>("sum")).toEqualTypeOf<Task<Sum["default"]>>();
    expectTypeOf(() =>
      pools.call("p", task<Sum>("sum"), { a: 1, b: 2 }),
    ).returns.resolves.toEqualTypeOf<string>();
    // @ts-expect-error the function takes a pair
    void (() => pools.call("p", task<Sum>("sum"), "one"));
  });

  it("knows nothing of a bundle or a task without its module", () => {
    expectTypeOf(() =>
      pools.call("p", task("sum"), 1, "two"),
    ).returns.resolves.toEqualTypeOf<unknown>();
    expectTypeOf(() =>
      bundle(new URL("file:///sum.ts"), { export: "anything" }),
    ).returns.resolves.toEqualTypeOf<Bundle>();
    expectTypeOf(() =>
      pools.call("p", {} as Bundle, 1, "two"),
    ).returns.resolves.toEqualTypeOf<unknown>();
  });

  it("lets optional arguments be left out", () => {
    const later = {} as Bundle<Sum["later"]>;
    expectTypeOf(() => pools.call("p", later, new Date())).returns.resolves.toEqualTypeOf<Date>();
    expectTypeOf(() =>
      pools.call("p", later, new Date(), 2),
    ).returns.resolves.toEqualTypeOf<Date>();
    // @ts-expect-error the function takes a number
    void (() => pools.call("p", later, new Date(), "2"));
    expectTypeOf(() =>
      pools.call("p", {} as Bundle<Sum["tail"]>, new Date(), 1, 2),
    ).returns.resolves.toEqualTypeOf<Map<string, number[]>>();
    const add = (n: number, base = 10) => n + base;
    expectTypeOf(() => pools.call("p", add, 1)).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(() => pools.call("p", add, 1, 2)).returns.resolves.toEqualTypeOf<number>();
    // @ts-expect-error the function takes two arguments
    void (() => pools.call("p", add, 1, 2, 3));
    expectTypeOf(() =>
      pools.call("p", {} as Bundle<(a: number, context?: PoolContext) => string>, 1),
    ).returns.resolves.toEqualTypeOf<string>();
    // biome-ignore lint/suspicious/noExplicitAny: a parameter of any type is an argument.
    type OfAny = Bundle<(a: any) => string>;
    expectTypeOf(() => pools.call("p", {} as OfAny, 1)).returns.resolves.toEqualTypeOf<string>();
    expectTypeOf(() =>
      pools.call("p", {} as Bundle<() => string>),
    ).returns.resolves.toEqualTypeOf<string>();
  });

  it("has no function where the module has none", () => {
    const url = new URL("file:///sum.ts");
    const answer = () => bundle<Sum, "ANSWER">(url, { export: "ANSWER" });
    // @ts-expect-error a number cannot be called
    void (async () => pools.call("p", await answer()));
    const nothing = () => bundle<Sum, "nothing">(url, { export: "nothing" });
    // @ts-expect-error there is no such export
    void (async () => pools.call("p", await nothing()));
  });
});

describe("the types of run", () => {
  it("types the value by the function, and a command by its exit code", () => {
    expectTypeOf(() => pools.run("p", (x: number, y: number) => x + y, 1, 2))
      .returns.resolves.toHaveProperty("value")
      .toEqualTypeOf<number>();
    expectTypeOf(() =>
      pools.run("p", { command: ["true"] }),
    ).returns.resolves.toEqualTypeOf<CommandRun>();
    // @ts-expect-error the function takes a number
    void (() => pools.run("p", (x: number) => x, "one"));
  });
});

describe("the types of map", () => {
  type Sum = typeof import("../fixtures/modules/sum.ts");

  it("infers inputs and results from the function", () => {
    expectTypeOf(pools.map("p", async (x: number) => `${x}`, [1])).toEqualTypeOf<
      MapResults<string>
    >();
    expectTypeOf(pools.map("p", (x: number, _: PoolContext) => x, new Set([1]))).toEqualTypeOf<
      MapResults<number>
    >();
    expectTypeOf(pools.map("p", (x: number, base = 10) => x + base, [1])).toEqualTypeOf<
      MapResults<number>
    >();
    // @ts-expect-error the function takes a number
    void (() => pools.map("p", (x: number) => x, ["one"]));
  });

  it("infers them of a bundle and a task of one argument", () => {
    const work = {} as Bundle<Sum["default"]>;
    expectTypeOf(() => pools.map("p", work, [{ a: 1, b: 2 }])).returns.toEqualTypeOf<
      MapResults<string>
    >();
    expectTypeOf(() => pools.map("p", task("sum"), [1, "two"])).returns.toEqualTypeOf<
      MapResults<unknown>
    >();
    // @ts-expect-error the function takes a pair
    void (() => pools.map("p", work, [1]));
  });
});

describe("the type of a code", () => {
  it("is any text, and narrows once the code is known", () => {
    const read = ({ code }: PoolError) => {
      expectTypeOf<string>().toExtend<typeof code>();
      if (!isErrorCode(code)) return;
      expectTypeOf(code).toEqualTypeOf<ErrorCode>();
      if (code === "at_capacity") expectTypeOf(code).toEqualTypeOf<"at_capacity">();
      // @ts-expect-error no code has this name
      if (code === "at_capcity") return;
    };
    void read;
  });
});
