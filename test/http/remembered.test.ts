/** What a member keeps of children that have ended. */
import { expect, test } from "vitest";
import { callEvents, getJson, idle, lastOf, startOne } from "../helpers/member.ts";

test("only the last hundred ended children are remembered", async () => {
  const member = await startOne({ pools: { pipeline: 8 } });
  const ids: string[] = [];
  for (let batch = 0; batch < 14; batch++) {
    const ended = await Promise.all(
      Array.from({ length: 8 }, () =>
        callEvents(member.url, "/call", { pool: "pipeline", command: ["true"] }),
      ),
    );
    for (const events of ended) {
      expect(lastOf(events, "result").exitCode).toBe(0);
      if (events[0]?.type === "placed") ids.push(events[0].child.id);
    }
  }
  await idle(member);
  const { children } = await getJson<{ children: { id: string }[] }>(`${member.url}/children`);
  expect(children).toHaveLength(100);
  expect(children.map(({ id }) => id)).toContain(ids.at(-1));
});

test("ended children are kept within a bound in bytes, and the last one always", async () => {
  const member = await startOne({ pools: { pipeline: 1 } });
  // Each value is a third of what all ended children together may keep.
  const spec = { pool: "pipeline", function: { source: "() => 'x'.repeat(11 * 1024 * 1024)" } };
  let last = "";
  for (let round = 0; round < 4; round++) {
    const [placed] = await callEvents(member.url, "/call", spec);
    if (placed?.type === "placed") last = placed.child.id;
  }
  const { children } = await getJson<{ children: { id: string }[] }>(`${member.url}/children`);
  expect(children.length).toBeLessThan(4);
  expect(children.map(({ id }) => id)).toContain(last);
});
