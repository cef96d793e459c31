/** A map over real members: more inputs than slots, failures, and a stop that leaves no child. */
import { describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool, type MapProgress, PoolError } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import { idle, type Options, startMembers, within } from "../helpers/member.ts";

const QUIET = { stdout: null, stderr: null } as const;
/** 5 minutes, within those of a test that makes 600 calls. */
const MANY_MS = 300_000;

async function connected(...options: Options[]) {
  const members = await startMembers(...options);
  const pools = new DistributedPool({ url: members[0]?.url ?? "" }).with(QUIET);
  onTestFinished(() => pools.close());
  return { pools, members };
}
const allIdle = (members: readonly RunningMember[]) => Promise.all(members.map(idle));
const failureOf = (promise: PromiseLike<unknown>) =>
  within(
    "the failure",
    Promise.resolve(promise).then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
/** Ends when it is stopped. */
const forever = (_: number) => new Promise(() => setInterval(() => {}, 1_000));

describe("inputs", () => {
  test("of far more calls than the pool has slots all have a result, in order", {
    timeout: MANY_MS,
  }, async () => {
    const five = { pools: { pipeline: 5 } };
    const { pools, members } = await connected(five, five, five);
    const inputs = Array.from({ length: 300 }, (_, index) => index);
    let most = 0;
    const onProgress = ({ running }: MapProgress) => {
      most = Math.max(most, running);
    };
    const squares = pools.map("pipeline", (n: number) => n * n, inputs, { onProgress });
    const results = await within("the results", Promise.resolve(squares), MANY_MS);
    expect(results).toEqual(inputs.map((n) => n * n));
    // A call that ends makes room before its end is counted.
    expect(most).toBeLessThanOrEqual(15);
    await allIdle(members);
  });

  test("that exceed the slots wait, and are refused by no full queue", async () => {
    const { pools } = await connected({ pools: { pipeline: { maxChildren: 1, maxQueue: 1 } } });
    const options = { concurrency: 4, ordered: false };
    const results = pools.map("pipeline", (n: number) => n, [1, 2, 3, 4, 5, 6], options);
    expect((await results).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("come one by one from a generator, with progress", async () => {
    const { pools } = await connected({});
    const inputs = async function* () {
      yield* ["a", "bb", "ccc"];
    };
    const progress: MapProgress[] = [];
    const results: number[] = [];
    const onProgress = (now: MapProgress) => progress.push(now);
    for await (const length of pools.map("pipeline", (text: string) => text.length, inputs(), {
      onProgress,
    }))
      results.push(length);
    expect(results).toEqual([1, 2, 3]);
    expect(progress.map(({ done, total }) => [done, total])).toEqual([
      [1, undefined],
      [2, undefined],
      [3, undefined],
    ]);
  });

  test("go to a spec of a function, with the encoding of the caller", async () => {
    const { pools } = await connected({});
    const spec = { function: (day: Date) => new Date(day.getTime() + 1) };
    const days = pools.map("pipeline", spec, [new Date(0)], { encoding: "devalue" });
    expect(await days).toEqual([new Date(1)]);
  });

  test("of none have no results", async () => {
    const { pools } = await connected({});
    expect(await pools.map("pipeline", (n: number) => n, [])).toEqual([]);
  });
});

describe("the end of a map", () => {
  test("by a failure has the input's position, and leaves no child", async () => {
    const { pools, members } = await connected({ pools: { pipeline: 3 } });
    const work = (n: number) => {
      if (n === 1) throw new RangeError("no foo");
      return new Promise(() => setInterval(() => {}, 1_000));
    };
    const failure = await failureOf(pools.map("pipeline", work, [0, 1, 2, 3, 4]));
    expect(failure).toBeInstanceOf(PoolError);
    expect(failure).toMatchObject({ code: "function_threw", index: 1 });
    await allIdle(members);
  });

  test("by break closes the inputs and leaves no child", async () => {
    const { pools, members } = await connected({ pools: { pipeline: 3 } });
    let isClosed = false;
    const inputs = function* () {
      try {
        for (let n = 0; ; n++) yield n;
      } finally {
        isClosed = true;
      }
    };
    const work = (n: number) => (n === 0 ? n : new Promise(() => setInterval(() => {}, 1_000)));
    for await (const value of pools.map("pipeline", work, inputs())) {
      expect(value).toBe(0);
      break;
    }
    expect(isClosed).toBe(true);
    await allIdle(members);
  });

  test("by the signal has its reason, and leaves no child", async () => {
    const { pools, members } = await connected({ pools: { pipeline: 2 } });
    const abort = new AbortController();
    const reason = new Error("enough");
    const inputs = async function* () {
      yield* [1, 2];
      // The map reads on when a call ends, which none does.
      await pools.children("pipeline");
      abort.abort(reason);
    };
    const options = { signal: abort.signal, concurrency: 3 };
    expect(await failureOf(pools.map("pipeline", forever, inputs(), options))).toBe(reason);
    await allIdle(members);
  });

  test("by close() is a failure of a call, and nothing is unhandled", async () => {
    const { pools } = await connected({});
    const inputs = async function* () {
      yield 1;
      await pools.children("pipeline");
      void pools.close();
    };
    const failure = await failureOf(pools.map("pipeline", forever, inputs(), { concurrency: 2 }));
    expect(failure).toMatchObject({ code: "member_lost" });
  });
});

describe("a map that makes no sense", () => {
  const pools = new DistributedPool({ url: "http://127.0.0.1:1" });
  const double = (n: number) => n * 2;

  test.each<[string, () => unknown, RegExp]>([
    ["a command", () => pools.map("p", { command: ["true"] } as never, []), /got a command$/],
    ["args", () => pools.map("p", { task: { name: "sum", args: [1] } }, [1]), /no args/],
    ["no inputs", () => pools.map("p", double, 3 as never), /to iterate over; got number$/],
    ["no concurrency", () => pools.map("p", double, [1], { concurrency: 0 }), /^concurrency: /],
    ["part of a retry", () => pools.map("p", double, [1], { retries: 0.5 }), /^retries: /],
  ])("%s", (_, map, message) => {
    expect(map).toThrow(message);
  });

  test("is refused a second reader", async () => {
    const results = pools.map("p", double, [], { concurrency: 1 });
    for await (const _ of results);
    await expect(failureOf(results)).resolves.toMatchObject({ code: "invalid_request" });
  });

  test("without a pool ends at once", async () => {
    const { pools: here } = await connected({});
    const failure = await failureOf(here.map("nowhere", double, [1]));
    expect(failure).toMatchObject({ code: "pool_not_found" });
  });
});
