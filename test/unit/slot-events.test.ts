/** A wait for a slot, as the events that its caller reads. */
import { expect, test } from "vitest";
import { PoolError } from "../../openapi/errors.ts";
import type { Slot } from "../../openapi/schemas/resources.ts";
import { slotEvents } from "../../server/answers/events.ts";

const SLOT: Slot = {
  id: "m1.1",
  pool: "pipeline",
  member: "m1",
  heldUntil: "2026-01-01T00:00:00Z",
};

function waiter() {
  const granted = Promise.withResolvers<Slot>();
  const settled = Promise.withResolvers<void>();
  let tell: (position: number) => void = () => {};
  const events = slotEvents({
    granted: granted.promise,
    settled: settled.promise,
    onPosition: (run) => {
      tell = run;
    },
  });
  return { granted, settled, events, move: (position: number) => tell(position) };
}

test("positions come before the slot, and the events end with the hold", async () => {
  const { granted, settled, events, move } = waiter();
  const first = events.next();
  move(3);
  expect((await first).value).toEqual({ type: "queued", position: 3 });
  const second = events.next();
  move(1);
  granted.resolve(SLOT);
  expect((await second).value).toEqual({ type: "queued", position: 1 });
  expect((await events.next()).value).toEqual({ type: "granted", slot: SLOT });
  const end = events.next();
  settled.resolve();
  expect(await end).toEqual({ value: undefined, done: true });
});

test("a reader that is slow hears the latest position only", async () => {
  const { events, move } = waiter();
  const first = events.next();
  move(5);
  await first;
  for (const position of [4, 3, 2]) move(position);
  expect((await events.next()).value).toEqual({ type: "queued", position: 2 });
});

test("a wait that is refused rejects with the problem", async () => {
  const { granted, events } = waiter();
  const first = events.next();
  granted.reject(PoolError.of("queue_timeout", "no slot came free"));
  await expect(first).rejects.toMatchObject({ code: "queue_timeout" });
});
