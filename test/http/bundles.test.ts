/** Functions with imports, and values that JSON lacks, from the SDK to the child and back. */
import { createHash } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { bundle, DistributedPool, FunctionThrewError } from "../../sdk/typescript/node.ts";
import { collect, startMembers } from "../helpers/member.ts";

const SUM = new URL("../fixtures/modules/sum.ts", import.meta.url);
type Sum = typeof import("../fixtures/modules/sum.ts");

/** Pools through a gateway that runs none of their children. */
async function connect(): Promise<DistributedPool> {
  const [gateway] = await startMembers({ pools: { other: 1 } }, {});
  const pools = new DistributedPool({ url: gateway?.url ?? "" });
  onTestFinished(() => pools.close());
  return pools;
}

describe("a bundle", () => {
  test("runs with its imports and the context, and again by its hash", async () => {
    const pools = await connect();
    const sum = await bundle<Sum>(SUM);
    for (let round = 0; round < 2; round++)
      expect(await pools.call("pipeline", sum, { a: round, b: 2 })).toBe(`pipeline ${round + 2}\n`);
  });

  test("of another export, with CommonJS in it, and in a spec", async () => {
    const pools = await connect();
    const digest = await bundle<typeof import("../fixtures/modules/digest.ts")>(
      new URL("../fixtures/modules/digest.ts", import.meta.url),
    );
    expect(await pools.call("pipeline", digest, "a")).toBe(
      createHash("sha256").update("a").digest("hex"),
    );
    const later = await bundle<Sum, "later">(SUM, { export: "later" });
    const options = { encoding: "devalue", labels: { job: "nightly" } } as const;
    expect(
      await pools.call("pipeline", { function: later, args: [new Date(0), 2], ...options }),
    ).toEqual(new Date(172_800_000));
  });

  test("throws with the names of its functions in the stack", async () => {
    const fail = await bundle<Sum, "fail">(SUM, { export: "fail" });
    const error = await (await connect())
      .call("pipeline", fail, "no")
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FunctionThrewError);
    expect((error as FunctionThrewError).error).toMatchObject({
      name: "RangeError",
      message: "no",
      stack: expect.stringMatching(/\n\s+at (\w+\.)?fail /),
    });
  });
});

describe("values by devalue", () => {
  const VALUE = {
    at: new Date(0),
    all: new Set([1n]),
    bytes: new Uint8Array([1, 2]),
    none: undefined,
  };

  test("are the same in call, stream, exit and events", async () => {
    const pools = (await connect()).with({ encoding: "devalue" });
    const echo = <T>(value: T) => value;
    expect(await pools.call("pipeline", echo, VALUE)).toEqual(VALUE);
    expect(await pools.call("pipeline", () => undefined)).toBeUndefined();
    const spec = { function: echo, args: [VALUE] };
    expect((await collect(pools.stream("pipeline", spec))).at(-1)).toMatchObject({
      type: "result",
      value: VALUE,
    });
    const child = await pools.placeChild("pipeline", spec);
    expect((await child.exit).value).toEqual(VALUE);
    expect((await collect(child.events())).at(-1)).toMatchObject({ type: "result", value: VALUE });
  });

  test("are JSON by default, and in a spec that asks for it", async () => {
    const pools = await connect();
    const refused = {
      code: "function_threw",
      message: expect.stringContaining("value is an instance of Date"),
    };
    await expect(pools.call("pipeline", () => new Date(0))).rejects.toMatchObject(refused);
    const asJson = { function: { source: "() => new Date(0)", encoding: "json" } } as const;
    const all = pools.with({ encoding: "devalue" });
    await expect(all.call("pipeline", asJson)).rejects.toMatchObject(refused);
    expect(await all.call("pipeline", () => new Date(0))).toEqual(new Date(0));
  });

  test("an argument that cannot travel is refused with its path, before any request", async () => {
    const pools = new DistributedPool({ url: "http://127.0.0.1:1" });
    onTestFinished(() => pools.close());
    const refused = { code: "invalid_request", message: expect.stringMatching(/argument 2\.f\b/) };
    await expect(
      pools
        .with({ encoding: "devalue" })
        .call("p", (...args: unknown[]) => args, 1, { f: () => 1 }),
    ).rejects.toMatchObject(refused);
    await expect(pools.call("p", (...args: unknown[]) => args, 1, { f: 1n })).rejects.toMatchObject(
      refused,
    );
  });

  test("a child that writes another line instead of a report has crashed", async () => {
    const pools = (await connect()).with({ encoding: "devalue" });
    const forge = () => {
      const report = { kind: "returned", value: [["Nothing", 1]], cpuMs: 1, maxRssBytes: 1 };
      require("node:fs").writeSync(3, `${JSON.stringify(report)}\n`);
      process.kill(process.pid, "SIGKILL");
    };
    await expect(pools.call("pipeline", forge)).rejects.toMatchObject({
      code: "worker_crashed",
      message: expect.stringMatching(/Unknown type Nothing/),
    });
    const child = await pools.placeChild("pipeline", { function: forge });
    await expect(child.exit).rejects.toMatchObject({ code: "worker_crashed" });
  });
});
