import { afterAll, describe, expectTypeOf, it } from "vitest";
import { type CommandResult, DistributedPool, type PoolContext } from "../../sdk/typescript/index.ts";

// Checked by the compiler; nothing listens at this address and nothing is called.
const pools = new DistributedPool({ url: "http://127.0.0.1:1" });
afterAll(() => pools.close());

describe("the types of call", () => {
  it("infers arguments and value from the function", () => {
    expectTypeOf(() => pools.call("p", (x: number, y: number) => x + y, 1, 2)).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(() => pools.call("p", async (x: { a: string }) => x.a, { a: "1" })).returns.resolves.toEqualTypeOf<string>();
    // @ts-expect-error the function takes a number
    void (() => pools.call("p", (x: number) => x, "one"));
  });

  it("gives a function its context after the arguments", () => {
    expectTypeOf(() => pools.call("p", (x: string, context: PoolContext) => x + context.member, "a")).returns.resolves.toEqualTypeOf<string>();
    expectTypeOf(() => pools.call("p", (context) => context.deadline)).returns.resolves.toEqualTypeOf<number | null>();
  });

  it("answers a command with its exit code", () => {
    expectTypeOf(() => pools.call("p", { command: ["true"] })).returns.resolves.toEqualTypeOf<CommandResult>();
  });
});
