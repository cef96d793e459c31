/** The order in which waiting clients are served. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Entry, Queue } from "../../server/supervisor/slots/queue.ts";

interface Named extends Entry {
  readonly name: string;
}

function filled(...clients: string[]): Queue<Named> {
  const queue = new Queue<Named>();
  const counts = new Map<string, number>();
  for (const client of clients) {
    const count = (counts.get(client) ?? 0) + 1;
    counts.set(client, count);
    queue.push(client, { name: `${client}${count}`, count: 1 });
  }
  return queue;
}

function drained(queue: Queue<Named>): string[] {
  const names: string[] = [];
  for (let entry = queue.shift(); entry; entry = queue.shift()) names.push(entry.name);
  return names;
}

function named(queue: Queue<Named>, name: string): Named {
  for (const [entry] of queue.inOrder()) if (entry.name === name) return entry;
  throw new Error(`expected ${name} in the queue`);
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
  expect(queue.shift()?.name).toBe("a1");
  queue.push("a", { name: "a3", count: 1 });
  expect(drained(queue)).toEqual(["b1", "a2", "a3"]);
});

test("a client that leaves is skipped, and leaving twice counts once", () => {
  const queue = filled("a", "b", "b");
  const b1 = named(queue, "b1");
  expect(queue.remove("b", b1)).toBe(true);
  expect(queue.remove("b", b1)).toBe(false);
  expect(queue.remove("nobody", named(queue, "b2"))).toBe(false);
  expect(queue.size).toBe(2);
  expect(drained(queue)).toEqual(["a1", "b2"]);
});

test("an entry for several items takes turns with the others of its client", () => {
  const queue = filled("a", "b");
  const several = { name: "several", count: 3 };
  queue.push("a", several);
  queue.push("a", { name: "a2", count: 1 });
  expect(queue.size).toBe(6);
  expect([...queue.inOrder()].map(([{ name }, position]) => [name, position])).toEqual([
    ["a1", 1],
    ["b1", 2],
    ["several", 3],
    ["a2", 4],
  ]);
  queue.change("a", several, 2);
  expect(drained(queue)).toEqual(["a1", "b1", "several", "a2", "several"]);
});

test("an entry that wants none leaves the queue, and joins its end when it wants some", () => {
  const queue = filled("a", "a");
  const a1 = named(queue, "a1");
  queue.change("a", a1, 0);
  expect(queue.size).toBe(1);
  queue.change("a", a1, 2);
  expect(drained(queue)).toEqual(["a2", "a1", "a1"]);
  expect(queue.size).toBe(0);
});

/** Events of a queue: a client joins, changes its mind or leaves, and the next one is taken. */
const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("push" as const),
      client: fc.constantFrom("a", "b", "c", "d"),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ kind: fc.constant("shift" as const) }),
    fc.record({ kind: fc.constant("remove" as const), index: fc.nat(50) }),
    fc.record({ kind: fc.constant("change" as const), index: fc.nat(50), count: fc.nat(4) }),
  ),
  { maxLength: 200 },
);

test("any history: the size is right, positions are kept, and each entry gets its items", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const queue = new Queue<Entry & { client: string }>();
      const waiting = new Map<Entry & { client: string }, number>();
      const serve = () => {
        const [first] = queue.inOrder();
        const entry = queue.shift();
        expect(first).toEqual(entry && [entry, 1]);
        if (!entry) return;
        const left = (waiting.get(entry) as number) - 1;
        if (left === 0) waiting.delete(entry);
        else waiting.set(entry, left);
      };
      for (const step of history) {
        if (step.kind === "push") {
          const entry = { client: step.client, count: step.count };
          queue.push(step.client, entry);
          waiting.set(entry, step.count);
        } else if (step.kind === "shift") serve();
        else {
          const entry = [...waiting.keys()][step.index];
          if (!entry) continue;
          const count = step.kind === "change" ? step.count : 0;
          if (step.kind === "change") queue.change(entry.client, entry, count);
          else expect(queue.remove(entry.client, entry)).toBe(true);
          if (count === 0) waiting.delete(entry);
          else waiting.set(entry, count);
        }
        expect(queue.size).toBe([...waiting.values()].reduce((sum, count) => sum + count, 0));
        for (const [entry, count] of waiting) expect(entry.count).toBe(count);
      }
      const promised = [...queue.inOrder()];
      expect(new Set(promised.map(([entry]) => entry))).toEqual(new Set(waiting.keys()));
      for (const [entry, position] of promised)
        expect(queue.positionOf(entry.client, entry)).toBe(position);
      const seen = new Map<Entry, number>();
      for (let at = 1; queue.size > 0; at++) {
        const entry = queue.shift() as Entry;
        if (!seen.has(entry)) seen.set(entry, at);
      }
      expect(promised).toEqual([...seen]);
    }),
    { numRuns: 2_000 },
  );
});

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
