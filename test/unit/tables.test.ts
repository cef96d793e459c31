/** The generated tables of the contract's page. */
import { expect, test } from "vitest";
import { codesTable, eventsTable } from "../../.dev/contract-page.ts";
import { fillTables } from "../../.dev/generated.ts";
import { ERROR_CODES } from "../../openapi/errors.ts";
import { PoolEventSchema, SlotEventSchema } from "../../openapi/schemas/events.ts";
import { FeedEventSchema } from "../../openapi/schemas/state/feed.ts";

const firstCells = (table: string) =>
  table
    .trimEnd()
    .split("\n")
    .slice(2)
    .map((row) => /^\| `(\w+)` \|/.exec(row)?.[1]);

test("every code has a row with its status, a meaning and whether it may be retried", () => {
  const table = codesTable();
  expect(firstCells(table)).toEqual([...ERROR_CODES]);
  for (const row of table.trimEnd().split("\n").slice(2))
    expect(row).toMatch(/^\| `\w+` \| [45]\d\d \| [A-Z][^|]{5,}\. \| (yes|no) \|$/);
});

test("every event has a row with its fields and a meaning", () => {
  const types = [
    ...PoolEventSchema.options,
    ...SlotEventSchema.options,
    ...FeedEventSchema.options,
  ].map(({ shape }) => shape.type.value);
  const table = eventsTable();
  expect(firstCells(table).toSorted()).toEqual([...new Set(types)].toSorted());
  for (const row of table.trimEnd().split("\n").slice(2))
    expect(row).toMatch(/^\| `\w+` \| (`\w+\??` ?)+ \| [A-Z][^|]+\. \|$/);
  expect(table).toContain("| `progress` | `done` `total?` `message?` |");
});

test("a page gets its tables between their markers, and nothing else changes", () => {
  const page =
    "# A\n<!-- generated: codes -->\nold\n<!-- /generated -->\nB\n" +
    "<!-- generated: events -->\n<!-- /generated -->\nC\n";
  const filled = fillTables(page, { codes: "| 1 |\n", events: "| 2 |\n" });
  expect(filled).toBe(
    "# A\n<!-- generated: codes -->\n| 1 |\n<!-- /generated -->\nB\n" +
      "<!-- generated: events -->\n| 2 |\n<!-- /generated -->\nC\n",
  );
  expect(fillTables(filled, { codes: "| 1 |\n", events: "| 2 |\n" })).toBe(filled);
  expect(() => fillTables(page, { options: "" })).toThrow(/markers of the generated table options/);
});
