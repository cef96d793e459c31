/** A try whose answer was lost is sent again to the same member, which remembers it. */
import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import type { Child as ChildInfo, ChildList } from "../../openapi/types.gen.ts";
import { Client, jsonOf } from "../../sdk/typescript/http/client.ts";
import { readEvents } from "../../sdk/typescript/http/read-events.ts";
import { NodeTransport } from "../../sdk/typescript/node/transport.ts";
import { RemoteMember } from "../../sdk/typescript/placement/member-client.ts";
import { PoolError } from "../../sdk/typescript/shared.ts";
import { collect, getJson, post, problemOf, startOne, textOf, within } from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

/** A member behind a network that loses the first answers. */
async function open(lost: number) {
  const member = await startOne();
  let left = lost;
  const proxy = await cuttingProxy(member.url, () => (left-- > 0 ? 0 : undefined));
  const client = new Client(new NodeTransport());
  onTestFinished(() => client.close());
  const remote = new RemoteMember({ ...member, url: proxy.url }, client);
  return { member, proxy, client, remote };
}

const spec = { command: ["sh", "-c", "echo once"] };

test("a call whose answer was lost gives the child that it has started", async () => {
  const { member, proxy, remote } = await open(2);
  const request = {
    pool: "pipeline",
    spec,
    lifetime: "call",
    accept: "text/event-stream",
  } as const;
  const answer = await within("the answer", remote.admit(request));
  if (answer instanceof PoolError) throw answer;
  const events = await within("the events", collect(readEvents(answer.body)));
  expect(textOf(events)).toBe("once\n");
  expect(events[0]).toMatchObject({ type: "placed", id: 1 });
  expect([proxy.cuts, proxy.requests("POST")]).toEqual([2, 3]);
  const { children } = await getJson<ChildList>(`${member.url}/children`);
  expect(children).toHaveLength(1);
});

test("a placed child whose answer was lost is placed once", async () => {
  const { member, remote } = await open(1);
  const placing = { command: ["sleep", "60"] };
  const request = { pool: "pipeline", spec: placing, lifetime: "placed" } as const;
  const answer = await within("the answer", remote.admit(request));
  if (answer instanceof PoolError) throw answer;
  const { children } = await getJson<ChildList>(`${member.url}/children`);
  // The usage so far differs from answer to answer.
  const { usage: _, ...placed } = (await jsonOf(answer)) as ChildInfo;
  expect(children).toHaveLength(1);
  expect(children[0]).toMatchObject(placed);
});

test("answers that are always lost end with the error of the connection", async () => {
  const { proxy, remote } = await open(10);
  const request = {
    pool: "pipeline",
    spec,
    lifetime: "call",
    accept: "text/event-stream",
  } as const;
  await expect(within("the refusal", remote.admit(request))).rejects.toThrow();
  expect(proxy.requests("POST")).toBe(4);
});

test("another process of the member's name does not take a repeated request", async () => {
  const { member } = await open(0);
  const body = { ...spec, pool: "pipeline" };
  const header = (attempt: number) => ({
    "pool-request-id": `${"0".repeat(16)}.${randomUUID()}.${attempt}`,
  });
  const again = await post(member.url, "/run", body, header(1));
  expect(await problemOf(again)).toMatchObject({ code: "member_lost", admitted: "unknown" });
  expect((await post(member.url, "/run", body, header(0))).status).toBe(200);
  const bad = await post(member.url, "/run", body, { "pool-request-id": "x" });
  expect(await problemOf(bad)).toMatchObject({ code: "invalid_request" });
});
