/** The limits of a pool: no caller gets more. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PoolError } from "../../openapi/errors.ts";
import type { Limits } from "../../openapi/schemas/limits.ts";
import { PoolOptionsSchema } from "../../server/member/pool-options.ts";
import { confinementOf } from "../../server/member/pool-rules.ts";
import { type ChildLimits, DEFAULT_LIMITS, tightened } from "../../server/sandbox/confinement.ts";

const KEYS = Object.keys(DEFAULT_LIMITS) as (keyof ChildLimits)[];
const amount = () =>
  fc.oneof(fc.integer({ min: 0, max: 100 }), fc.double({ min: 0, max: 1e15, noNaN: true }));
const pools = fc.record({
  ...Object.fromEntries(
    KEYS.map((key) => [key, fc.oneof(amount(), fc.constant(Number.POSITIVE_INFINITY))]),
  ),
  // Memory is always limited.
  memoryBytes: fc.integer({ min: 1, max: 100 }),
  shmBytes: amount(),
}) as fc.Arbitrary<ChildLimits>;
const asked = fc.record(
  Object.fromEntries(KEYS.map((key) => [key, fc.option(amount(), { nil: undefined })])),
  { requiredKeys: [] },
) as fc.Arbitrary<Limits>;

describe("tightened", () => {
  test("never loosens: more is refused, the rest is the caller's limit or the pool's", () => {
    fc.assert(
      fc.property(pools, asked, (pool, limits) => {
        const more = KEYS.filter((key) => (limits[key] ?? 0) > pool[key]);
        let given: ChildLimits | undefined;
        try {
          given = tightened(pool, limits);
        } catch (error) {
          expect(error).toBeInstanceOf(PoolError);
          expect((error as PoolError).problem).toMatchObject({
            code: "invalid_request",
            status: 400,
          });
          expect((error as PoolError).problem.fields?.map(({ path }) => path).toSorted()).toEqual(
            more.map((key) => `/limits/${key}`).toSorted(),
          );
        }
        expect(given === undefined).toBe(more.length > 0);
        for (const key of given ? KEYS : []) {
          if (key !== "shmBytes") expect(given?.[key]).toBe(limits[key] ?? pool[key]);
          expect(given?.[key]).toBeLessThanOrEqual(pool[key]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("tightened twice is no looser, and the pool's own limits stay as they are", () => {
    fc.assert(
      fc.property(pools, asked, asked, (pool, first, second) => {
        const before = structuredClone(pool);
        try {
          const twice = tightened(tightened(pool, first), second);
          for (const key of KEYS) expect(twice[key]).toBeLessThanOrEqual(pool[key]);
        } catch (error) {
          expect(error).toBeInstanceOf(PoolError);
        }
        expect(pool).toEqual(before);
      }),
    );
  });

  test("a tighter limit on memory keeps the share of shared memory", () => {
    const pool = { ...DEFAULT_LIMITS, memoryBytes: 1_000, shmBytes: 500 };
    expect(tightened(pool, { memoryBytes: 100 }).shmBytes).toBe(50);
    expect(tightened(pool, { memoryBytes: 100, shmBytes: 80 }).shmBytes).toBe(80);
  });

  test("without limits in the spec, the pool's own hold", () => {
    expect(tightened(DEFAULT_LIMITS)).toEqual(DEFAULT_LIMITS);
    expect(tightened(DEFAULT_LIMITS, {})).toEqual(DEFAULT_LIMITS);
  });
});

describe("a pool's options", () => {
  const parse = (options: object) => PoolOptionsSchema.safeParse({ maxChildren: 1, ...options });

  test("grant nothing by themselves", () => {
    const { limits, grants } = confinementOf(PoolOptionsSchema.parse({ maxChildren: 1 }));
    expect(limits).toEqual(DEFAULT_LIMITS);
    expect(grants).toEqual({
      readOnly: [],
      env: {},
      limitVariables: true,
      network: "none",
      devices: [],
      commands: undefined,
      root: undefined,
    });
  });

  test("shared memory is half of the memory, unless the pool says more", () => {
    const shm = (limits: object) =>
      confinementOf(PoolOptionsSchema.parse({ maxChildren: 1, limits })).limits.shmBytes;
    expect(shm({})).toBe(DEFAULT_LIMITS.memoryBytes / 2);
    expect(shm({ memoryBytes: 64 * 1024 * 1024 })).toBe(32 * 1024 * 1024);
    expect(shm({ memoryBytes: 64 * 1024 * 1024, shmBytes: 1024 * 1024 })).toBe(1024 * 1024);
  });

  test.each([
    { readOnly: ["relative"] },
    { readOnly: ["/a:relative"] },
    { readOnly: ["/a:/b:/c"] },
    { readOnly: ["/a:/"] },
    { readOnly: ["/a:/work"] },
    { readOnly: ["/a:/proc/"] },
    { readOnly: ["/a:/dev"] },
    { readOnly: ["/a:/run/distributed-pool"] },
    { devices: ["/etc/shadow"] },
    { devices: ["dev/null"] },
    { network: "bridge" },
    { env: { "A=B": "c" } },
    { commands: [] },
    { root: "root" },
    { limits: { memoryBytes: -1 } },
    { limits: { memory: 1 } },
    { maxChildren: 0 },
    { privileged: true },
  ])("%j is refused", (options) => {
    expect(parse(options).success).toBe(false);
  });

  test.each([
    { readOnly: ["/a/../proc"] },
    { readOnly: ["/a:/x/../work"] },
    { readOnly: ["/a://work//"] },
    { readOnly: ["/a:/proc/sys"] },
    { readOnly: ["/a:/dev/shm"] },
    { readOnly: ["/a:/run/distributed-pool/node"] },
    { readOnly: ["/a\0b"] },
    { devices: ["/dev/../etc/shadow"] },
    { root: "/a\0" },
    { env: { A: "b\0c" } },
  ])("%j, a way around, is refused", (options) => {
    expect(parse(options).success).toBe(false);
  });

  test("paths inside the child's own folders may be shown", () => {
    expect(
      parse({
        readOnly: ["/data", "/data:/work/data", "/data:/tmp/data", "/dev/null:/devices"],
        devices: ["/dev/dri/renderD128"],
      }).success,
    ).toBe(true);
  });
});
