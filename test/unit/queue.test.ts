/** The order in which waiting clients are served. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Queue } from "../../server/supervisor/queue.ts";

function filled(...clients: string[]): Queue<string> {
  const queue = new Queue<string>();
  const counts = new Map<string, number>();
  for (const client of clients) {
    const count = (counts.get(client) ?? 0) + 1;
    counts.set(client, count);
    queue.push(client, `${client}${count}`);
  }
  return queue;
}

function drained(queue: Queue<string>): string[] {
  const items: string[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
  return items;
}

test("one client is served in the order of its requests", () => {
  expect(drained(filled("a", "a", "a"))).toEqual(["a1", "a2", "a3"]);
});

test("clients are served in turn: many requests of one hold up no other", () => {
  expect(drained(filled("a", "a", "a", "a", "b", "c", "c"))).toEqual([
    "a1",
    "b1",
    "c1",
    "a2",
    "c2",
    "a3",
    "a4",
  ]);
});

test("a client that was served comes after the others, even when it asks again", () => {
  const queue = filled("a", "a", "b");
  expect(queue.shift()).toBe("a1");
  queue.push("a", "a3");
  expect(drained(queue)).toEqual(["b1", "a2", "a3"]);
});

test("a client that leaves is skipped, and leaving twice counts once", () => {
  const queue = filled("a", "b", "b");
  expect(queue.remove("b", "b1")).toBe(true);
  expect(queue.remove("b", "b1")).toBe(false);
  expect(queue.remove("nobody", "b2")).toBe(false);
  expect(queue.size).toBe(2);
  expect(drained(queue)).toEqual(["a1", "b2"]);
});

/** Events of a queue: a client joins, the next one is taken, a client leaves. */
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("push" as const), client: fc.constantFrom("a", "b", "c", "d") }),
    fc.record({ kind: fc.constant("shift" as const) }),
    fc.record({ kind: fc.constant("remove" as const), index: fc.nat(50) }),
  ),
  { maxLength: 200 },
);

test(
  "any history: each item is served once, each client in its order, and positions are " + "right",
  () => {
    fc.assert(
      fc.property(steps, (history) => {
        const queue = new Queue<{ client: string; number: number }>();
        const waiting = new Set<{ client: string; number: number }>();
        const served = new Map<string, number>();
        let number = 0;
        for (const step of history) {
          if (step.kind === "push") {
            const item = { client: step.client, number: number++ };
            queue.push(step.client, item);
            waiting.add(item);
          } else if (step.kind === "remove") {
            const item = [...waiting][step.index];
            if (!item) continue;
            expect(queue.remove(item.client, item)).toBe(true);
            waiting.delete(item);
          } else {
            const [first] = queue.inOrder();
            const item = queue.shift();
            expect(item).toBe(first);
            if (!item) continue;
            expect(waiting.delete(item)).toBe(true);
            expect(item.number).toBeGreaterThan(served.get(item.client) ?? -1);
            served.set(item.client, item.number);
          }
          expect(queue.size).toBe(waiting.size);
        }
        const promised = [...queue.inOrder()];
        expect(new Set(promised)).toEqual(waiting);
        expect(promised.map(() => queue.shift())).toEqual(promised);
      }),
      { numRuns: 2_000 },
    );
  },
);

test("between two turns of a waiting client, each other client has at most one", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 60 }), (clients) => {
      const order = drained(filled(...clients)).map((item) => item.slice(0, 1));
      for (const [index, client] of order.entries()) {
        const before = order.lastIndexOf(client, index - 1);
        if (index === 0 || before < 0) continue;
        const between = order.slice(before + 1, index);
        expect(between.length).toBe(new Set(between).size);
      }
    }),
  );
});
