/** The policy of retries, with a fake clock. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ERROR_CODES, type ErrorCode, PoolError, problem } from "../../openapi/errors.ts";
import { Retries, retried, retriedUntilPlaced } from "../../sdk/typescript/calls/retry.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { collect } from "../helpers/member.ts";

/** A pause takes no time: it moves the fake clock. */
vi.mock("../../sdk/typescript/time/pause.ts", () => ({
  async pause(ms: number, signal: AbortSignal | undefined) {
    vi.advanceTimersByTime(ms);
    signal?.throwIfAborted();
  },
}));

const failing = (code: ErrorCode, extras = {}) =>
  vi.fn(async () => {
    throw Object.assign(PoolError.of(code, "no"), extras);
  });
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "none",
    (error: PoolError) => error.code,
  );

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a request", () => {
  test("is made again only for codes under which nothing was run", async () => {
    const again: string[] = [];
    for (const code of ERROR_CODES) {
      const request = failing(code);
      const ended = codeOf(retried(new Retries({ retries: 3 }), request));
      expect(await ended).toBe(code);
      if (request.mock.calls.length === 4) again.push(code);
      else expect(request).toHaveBeenCalledTimes(1);
    }
    expect(again.toSorted()).toEqual([
      "all_members_at_capacity",
      "at_capacity",
      "draining",
      "fenced",
      "idempotency_unavailable",
      "no_members_available",
      "overloaded",
      "queue_timeout",
      "request_timeout",
      "too_many_requests",
    ]);
  });

  test("is made once by default", async () => {
    const request = failing("at_capacity");
    expect(await codeOf(retried(new Retries({}), request))).toBe("at_capacity");
    expect(request).toHaveBeenCalledTimes(1);
  });

  test("is made after pauses whose limit doubles, up to 10 seconds", async () => {
    const at: number[] = [];
    const startedAt = performance.now();
    const request = async () => {
      at.push(performance.now() - startedAt);
      throw PoolError.of("at_capacity", "no");
    };
    const ended = codeOf(retried(new Retries({ retries: 9 }), request));
    await ended;
    const pauses = at.slice(1).map((time, index) => Math.round(time - (at[index] ?? 0)));
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  });

  test("waits at least for Retry-After, and gives up on one of more than a minute", async () => {
    const startedAt = performance.now();
    const request = failing("too_many_requests", { retryAfter: 3_000 });
    await codeOf(retried(new Retries({ retries: 1 }), request));
    expect(request).toHaveBeenCalledTimes(2);
    expect(performance.now() - startedAt).toBe(3_050);

    const hours = failing("too_many_requests", { retryAfter: 3_600_000 });
    expect(await codeOf(retried(new Retries({ retries: 1 }), hours))).toBe("too_many_requests");
  });

  test("is not made behind the deadline, and is told what remains of it", async () => {
    const retries = new Retries({ retries: 5, deadlineMs: 200 });
    const rests: unknown[] = [];
    const request = async () => {
      rests.push(retries.forSpec);
      throw PoolError.of("at_capacity", "no");
    };
    expect(await codeOf(retried(retries, request))).toBe("at_capacity");
    expect(rests).toEqual([{}, { deadlineMs: 150 }, { deadlineMs: 50 }]);
  });

  test("ends with the reason of the signal", async () => {
    const abort = new AbortController();
    const request = vi.fn(async () => {
      abort.abort("enough");
      throw PoolError.of("at_capacity", "no");
    });
    const retries = new Retries({ retries: 5, signal: abort.signal });
    await expect(retried(retries, request)).rejects.toBe("enough");
    expect(request).toHaveBeenCalledTimes(1);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "2"])("%s retries", (retries) => {
    expect(() => new Retries({ retries: retries as number })).toThrow(
      /^retries: expected a whole number of at least 0; got /,
    );
  });
});

describe("a refusal behind a try that may have run", () => {
  const lost = PoolError.of("member_lost", "lost", { admitted: "unknown" });
  const refused = PoolError.of("idempotency_unavailable", "away", { admitted: false });
  const keyed = () => new Retries({ retries: 1, idempotencyKey: "k" });

  test("does not say that nothing ran", async () => {
    const request = vi.fn().mockRejectedValueOnce(lost).mockRejectedValueOnce(refused);
    await expect(retried(keyed(), request)).rejects.toMatchObject({
      code: "idempotency_unavailable",
      admitted: "unknown",
      retryable: false,
    });
  });

  test("does not say so in a stream", async () => {
    const open = vi
      .fn()
      .mockImplementationOnce(async function* () {
        yield* [] as NumberedEvent[];
        throw lost;
      })
      .mockImplementation(async function* () {
        yield { type: "failed", problem: refused.problem } as unknown as NumberedEvent;
      });
    expect(await collect(retriedUntilPlaced(keyed(), open))).toMatchObject([
      { type: "failed", problem: { code: "idempotency_unavailable", admitted: "unknown" } },
    ]);
  });

  test("says so where no earlier try may have run", async () => {
    const request = vi.fn().mockRejectedValue(refused);
    await expect(retried(keyed(), request)).rejects.toBe(refused);
  });
});

describe("a stream", () => {
  const queued: NumberedEvent = { type: "queued", position: 1 };
  const placed = { type: "placed", child: { id: "m1.1" }, id: 1 } as unknown as NumberedEvent;
  const failed = (code: ErrorCode) =>
    ({ type: "failed", problem: problem(code, "no") }) as unknown as NumberedEvent;
  /** Opens one list of events after the other; the last one for ever. */
  const read = async (...tries: (NumberedEvent | Error)[][]) => {
    let opened = 0;
    const open = async function* () {
      for (const event of tries[Math.min(opened++, tries.length - 1)] ?? []) {
        if (event instanceof Error) throw event;
        yield event;
      }
    };
    const events = collect(retriedUntilPlaced(new Retries({ retries: 2 }), open));
    await events.catch(() => {});
    return { opened, events };
  };

  test("is opened again while the call is not placed", async () => {
    const refused = [queued, failed("queue_timeout")];
    const end = failed("out_of_memory");
    const { opened, events } = await read(refused, refused, [placed, end]);
    expect(opened).toBe(3);
    expect(await events).toEqual([queued, queued, placed, end]);
  });

  test("ends with the last refusal", async () => {
    const { opened, events } = await read([failed("queue_timeout")]);
    expect(opened).toBe(3);
    expect(await events).toEqual([failed("queue_timeout")]);
  });

  test("is never opened again once the call is placed", async () => {
    for (const end of [failed("draining"), PoolError.of("no_members_available", "gone")]) {
      const { opened } = await read([placed, end]);
      expect(opened).toBe(1);
    }
  });

  test("is not opened again when the call may have run", async () => {
    const { opened, events } = await read([PoolError.of("member_lost", "gone")]);
    expect(opened).toBe(1);
    await expect(events).rejects.toMatchObject({ code: "member_lost" });
  });
});
