/** Listings come in pages, which stay right when entries come and go, at members and gateways. */
import { expect, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { DistributedPool } from "../../sdk/typescript/index.ts";
import { getJson, post, problemOf, startMembers, startOne } from "../helpers/member.ts";

interface Listing {
  readonly children: readonly ChildInfo[];
  readonly nextCursor?: string;
}

async function place(url: string, label = "a"): Promise<string> {
  const spec = { command: ["true"], labels: { of: label } };
  return ((await (await post(url, "/pools/pipeline/children", spec)).json()) as ChildInfo).id;
}

/** The pages of a listing, each as the ids of its children. */
async function pagesOf(url: string, query: string): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined; ) {
    const more: string = cursor && `&cursor=${cursor}`;
    const page: Listing = await getJson(`${url}?${query}${more}`);
    pages.push(page.children.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  return pages;
}

test("a gateway merges the pages of its members in the order of the starts", async () => {
  const members = await startMembers({ pools: { pipeline: 20 } }, { pools: { pipeline: 20 } });
  const [m1, m2] = members.map(({ url }) => url) as [string, string];
  const ids: string[] = [];
  for (let index = 0; index < 9; index++)
    ids.push(await place(index % 2 ? m1 : m2, `${index % 3}`));
  for (const url of [m1, m2]) {
    const all = await getJson<Listing>(`${url}/pools/pipeline/children`);
    const sorted = all.children
      .toSorted((a, b) => `${a.startedAt} ${a.id}`.localeCompare(`${b.startedAt} ${b.id}`))
      .map(({ id }) => id);
    expect(all.children.map(({ id }) => id)).toEqual(sorted);
    expect(new Set(sorted)).toEqual(new Set(ids));
    expect(all.nextCursor).toBeUndefined();
    for (const limit of [1, 2, 4, 8, 9, 10]) {
      const pages = await pagesOf(`${url}/pools/pipeline/children`, `limit=${limit}`);
      expect(pages.flat(), `${limit}`).toEqual(sorted);
      expect(pages.slice(0, -1).every(({ length }) => length === limit)).toBe(true);
      expect(pages.at(-1)?.length).toBeGreaterThan(0);
    }
    const labelled = await pagesOf(`${url}/pools/pipeline/children`, "limit=2&label=of=1");
    expect(labelled.map(({ length }) => length)).toEqual([2, 1]);
    const own = await pagesOf(`${url}/children`, "limit=2&pool=pipeline");
    expect(own.flat().every((id) => sorted.includes(id))).toBe(true);
    expect(new Set(own.flat()).size).toBe(own.flat().length);
  }
});

test("a page stays right when children start meanwhile", async () => {
  const { url } = await startOne({ pools: { pipeline: 20 } });
  const before = [await place(url), await place(url), await place(url)];
  const first = await getJson<Listing>(`${url}/children?limit=2`);
  const later = await place(url);
  const second = await getJson<Listing>(`${url}/children?limit=2&cursor=${first.nextCursor}`);
  const ids = [...first.children, ...second.children].map(({ id }) => id);
  expect(new Set(ids)).toEqual(new Set([...before, later]));
});

test("pools come in pages too", async () => {
  const { url } = await startOne({ pools: { a: 1, b: 2, c: 3 } });
  const first = await getJson<{ pools: object[]; nextCursor: string }>(`${url}/pools?limit=2`);
  expect(first.pools).toMatchObject([{ pool: "a" }, { pool: "b" }]);
  expect(await getJson(`${url}/pools?limit=2&cursor=${first.nextCursor}`)).toEqual({
    pools: [{ pool: "c", members: 1, max: 3, draining: 0, lost: 0 }],
  });
});

test("the SDK shows every child", { timeout: 120_000 }, async () => {
  const { url } = await startOne({ pools: { pipeline: 200 }, drainMs: 0, graceMs: 0 });
  for (let batch = 0; batch < 6; batch++)
    await Promise.all(
      Array.from({ length: 20 }, () =>
        post(url, "/pools/pipeline/children", { command: ["sleep", "60"] }),
      ),
    );
  const pools = new DistributedPool({ url });
  expect((await pools.children("pipeline")).children).toHaveLength(120);
  expect((await pools.pools()).pools).toHaveLength(1);
  await pools.close();
  // A page of 100 is the default.
  expect((await getJson<Listing>(`${url}/children`)).children).toHaveLength(100);
});

test.each([
  ["limit=0", /\/limit: expected a whole number from 1 to 1000/],
  ["limit=1001", /\/limit: expected a whole number from 1 to 1000/],
  ["limit=1.5", /\/limit: /],
  ["limit=1&limit=2", /\/limit: /],
  [`cursor=${"a".repeat(256)}`, /\/cursor: expected the nextCursor of a page/],
  ["page=2", /expected no such key; got "page"/],
])("%s is refused by every listing", async (query, detail) => {
  const { url } = await startOne();
  for (const path of ["/pools", "/children", "/pools/pipeline/children"])
    expect(await problemOf(await fetch(`${url}${path}?${query}`)), path).toMatchObject({
      code: "invalid_request",
      detail: expect.stringMatching(detail),
    });
});
