/** A caller's wait in a line at members that the test plays. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SlotEvent } from "../../openapi/events.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { placeOrWait } from "../../sdk/typescript/placement/wait-for-slot.ts";
import { WaitingLine } from "../../sdk/typescript/placement/waiting/line.ts";
import { pause } from "../../sdk/typescript/time/pause.ts";

const MEMBER: Member = {
  name: "m",
  url: "http://m",
  pools: { p: 1 },
  sandbox: "none",
  version: "0.2.0",
};

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A line at one member. @param everyMs between two slots that the member grants. */
function open(everyMs: number) {
  let list: readonly Member[] = [MEMBER];
  const streams: AbortSignal[] = [];
  const line = new WaitingLine({
    pool: "p",
    choose: async (_callers, _subscriptions, isUseful) => list.filter(isUseful),
    open: async (_member, _count, signal) => {
      streams.push(signal);
      const events = async function* (): AsyncGenerator<SlotEvent> {
        yield { type: "queued", position: 1, count: 1 };
        for (;;) {
          await pause(everyMs, signal);
          yield { type: "granted", slot: { id: "m.1", pool: "p", member: "m", heldUntil: "" } };
        }
      };
      return { events: events(), change: async (count) => count };
    },
    release: async () => {},
    onEmpty: () => {},
  });
  const leave = () => {
    list = [];
  };
  return { line, streams, leave };
}

test("a member that refuses the claims to its slots is not asked in a tight circle", async () => {
  const { line } = open(1);
  let claims = 0;
  const claim = async () => {
    claims += 1;
    return { unreachable: new Error("refused") };
  };
  const ports = {
    tryNow: () => Promise.reject(new Error("not used")),
    hasMembers: async () => true,
    line: () => line,
    claim,
    unfit: new Map(),
  };
  vi.spyOn(line, "isOpen", "get").mockReturnValue(false);
  const outcome = placeOrWait(ports, { pool: "p", waitMs: 10_000 }).catch(({ code }) => code);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await outcome).toBe("queue_timeout");
  expect(claims).toBeGreaterThan(1);
  expect(claims).toBeLessThan(40);
});

test("the line leaves a member that may admit no more", async () => {
  const { line, streams, leave } = open(60_000);
  const caller = { unfit: new Map() };
  const place = line.next(caller, { ms: 10_000, signal: undefined, isFirst: false });
  await vi.advanceTimersByTimeAsync(1);
  expect(streams.map(({ aborted }) => aborted)).toEqual([false]);
  leave();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(streams.map(({ aborted }) => aborted)).toEqual([true]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await place).toBeUndefined();
});
