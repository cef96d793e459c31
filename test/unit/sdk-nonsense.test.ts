/** Arguments and answers that make no sense: what the SDK makes of them. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/index.ts";
import { DistributedPool as NodePool } from "../../sdk/typescript/node.ts";
import { within } from "../helpers/member.ts";

const ID = "m1.0123456789abcdef0123456789abcdef";
const SPEC = { command: ["true"] };
const PLACED = `id: 1\ndata: {"type":"placed","child":{"id":"${ID}"}}\n\n`;
const STDOUT = 'id: 2\ndata: {"type":"stdout","text":"so far"}\n\n';
const INVALID = {
  type: "urn:distributed-pool:problem:invalid_request",
  title: "The request is not valid",
  status: 400,
  detail: "as the member says",
  code: "invalid_request",
};

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** The pools of both entries, at a server that answers so, and the requests that it got. */
async function both(handler: Handler) {
  const requests: string[] = [];
  const server = createServer((incoming, outgoing) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    incoming.resume();
    handler(incoming, outgoing);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close().closeAllConnections());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pools = [new DistributedPool({ url }), new NodePool({ url })] as const;
  for (const each of pools) onTestFinished(() => each.close());
  return { pools, requests };
}

const refusing: Handler = (_, outgoing) => {
  outgoing.writeHead(400, { "content-type": "application/problem+json" });
  outgoing.end(JSON.stringify(INVALID));
};
const streaming =
  (events: string, type = "text/event-stream"): Handler =>
  ({ method }, outgoing) => {
    if (method === "GET") return void outgoing.writeHead(404).end();
    outgoing.writeHead(200, { "content-type": type }).end(events);
  };

const errorOf = (work: Promise<unknown>) =>
  within(
    "the error",
    work.then(() => undefined).catch((error: unknown) => error),
  );

test.each(["..", ".", "", "a/b", "a?b", "%61"])("the pool %j leads nowhere else", async (pool) => {
  const { pools, requests } = await both(refusing);
  for (const each of pools)
    for (const ask of [
      () => each.run(pool, SPEC),
      () => each.placeChild(pool, SPEC),
      () => each.pool(pool),
      () => each.children(pool),
    ])
      expect(await errorOf(ask())).toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining("expected a pool name"),
      });
  expect(requests).toEqual([]);
});

test.each(["../events", "..", "./f", "a//b", "", "/", "\ud800"])(
  "the artifact %j leads nowhere else",
  async (path) => {
    const { pools, requests } = await both(refusing);
    for (const each of pools)
      expect(await errorOf(each.child(ID).file(path))).toMatchObject({ code: "not_found" });
    expect(requests).toEqual([]);
  },
);

test.each(["..", "", "m1.", `${ID}/events`, `../${ID}`, 5])("the child %j is none", async (id) => {
  const { pools, requests } = await both(refusing);
  for (const each of pools)
    expect(await errorOf(each.child(id as string).info())).toMatchObject({
      code: "invalid_request",
    });
  expect(requests).toEqual([]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, 3e9, -1e12])(
  "a time of %d ms is refused by the member, not by a timer",
  async (ms) => {
    // The answer comes later than a timer that takes such a time for 1 ms.
    const { pools } = await both((incoming, outgoing) => {
      setTimeout(() => refusing(incoming, outgoing), 30);
    });
    for (const each of pools) {
      const message = "as the member says";
      expect(await errorOf(each.run("p", { ...SPEC, deadlineMs: ms }))).toMatchObject({ message });
      expect(await errorOf(each.placeChild("p", { ...SPEC, waitMs: ms }))).toMatchObject({
        message,
      });
    }
  },
);

test.each([null, undefined, "ls", 5])("%j is no work", async (work) => {
  const { pools } = await both(refusing);
  for (const each of pools)
    expect(await errorOf(each.run("p", work as unknown as typeof SPEC))).toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("expected a function, a bundle, a task or a child spec"),
    });
});

test.each([
  '{"type":"placed"}',
  '{"type":"placed","child":{}}',
  '{"type":"failed"}',
  '{"type":"failed","problem":null}',
])("the event %s is none of a member", async (event) => {
  const { pools } = await both(streaming(`data: ${event}\n\n`));
  for (const each of pools)
    expect(await errorOf(each.run("p", SPEC))).toMatchObject({
      code: "member_lost",
      message: expect.stringContaining("expected an event of the contract"),
    });
});

test.each(["null", "[]", "5", '{"error":"log in"}'])(
  "the JSON %s is none of a member",
  async (json) => {
    const { pools } = await both((_, outgoing) => {
      outgoing.writeHead(200, { "content-type": "application/json" }).end(json);
    });
    for (const each of pools)
      for (const ask of [
        () => each.pools(),
        () => each.pool("p"),
        () => each.children("p"),
        () => each.placeChild("p", SPEC),
        () => each.child(ID).info(),
        () => each.child(ID).write("x"),
      ])
        expect(await errorOf(ask())).toMatchObject({
          code: "member_lost",
          message: expect.stringContaining("expected JSON with"),
        });
  },
);

test("an answer that changes the protocol is none", async () => {
  const { pools } = await both(({ socket }) => {
    socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  });
  for (const each of pools)
    expect(await errorOf(each.run("p", SPEC))).toMatchObject({ code: "member_lost" });
});

test("a type of content is the same in capitals", async () => {
  const { pools } = await both(
    streaming('data: {"type":"result","exitCode":7}\n\n', "Text/Event-Stream; charset=UTF-8"),
  );
  for (const each of pools)
    expect(await within<unknown>("the result", each.run("p", SPEC))).toMatchObject({ exitCode: 7 });
});

test("a run that is lost has the output so far in its problem", async () => {
  const { pools } = await both(streaming(PLACED + STDOUT));
  for (const each of pools)
    expect(await errorOf(each.run("p", SPEC))).toMatchObject({
      code: "member_lost",
      problem: { child: { id: ID }, stdout: "so far", stderr: "", truncated: false },
    });
});

test("close() ends a call without further tries", async () => {
  const { pools, requests } = await both((_, outgoing) => {
    outgoing.writeHead(200, { "content-type": "text/event-stream" }).write(PLACED + STDOUT);
  });
  for (const each of pools) {
    const read = async () => {
      for await (const event of each.stream("p", SPEC))
        if (event.type === "stdout") await each.close();
    };
    expect(await errorOf(read())).toMatchObject({
      code: "member_lost",
      message: "the client is closed",
    });
  }
  expect(requests.filter((line) => line.startsWith("GET"))).toEqual([]);
});
