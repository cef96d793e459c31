import { EventEmitter } from "node:events";
import { type Server, Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { mayFollow } from "../../sdk/typescript/placement/gateway-access.ts";
import { Connections } from "../../server/http/connections/connections.ts";
import { connectionBudget } from "../../server/http/connections/descriptors.ts";

let port = 0;

/** Connections with so many places, which serve what `accept` brings. */
function placesFor(max: number) {
  const refused: Socket[] = [];
  const server = new EventEmitter() as Server;
  const connections = new Connections({
    max,
    refuse: (socket) => refused.push(socket),
    log: () => {},
  });
  server.on("connection", () => {});
  connections.guard(server);
  return {
    connections,
    refused,
    /** A connection from an address, once the turns that it is kept for are over. */
    accept: async (remoteAddress = `10.0.0.${port}`) => {
      const ends = { remoteAddress, remotePort: ++port, localAddress: "127.0.0.1" };
      const socket = Object.defineProperties(
        new Socket(),
        Object.fromEntries(Object.entries(ends).map(([name, value]) => [name, { value }])),
      );
      server.emit("connection", socket);
      await turn();
      await turn();
      return socket;
    },
  };
}

test("a newcomer takes the place of the stranger that has been idle for longest", async () => {
  const { connections, accept, refused } = placesFor(4);
  const sockets = [await accept(), await accept(), await accept(), await accept()];
  const [slow, first, second, caller] = sockets as [Socket, Socket, Socket, Socket];
  connections.begin(first)();
  connections.begin(second)();
  connections.know(caller);
  await accept();
  expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([first]);
  await accept();
  await accept();
  expect(sockets.filter(({ destroyed }) => !destroyed)).toEqual([caller]);
  expect(slow.destroyed).toBe(true);
  expect(refused).toEqual([]);
});

test("callers that leave before their tokens are known take no caller's protection", async () => {
  const { connections, accept, refused } = placesFor(4);
  const callers = [await accept(), await accept(), await accept()];
  for (const caller of callers) connections.know(caller);
  for (let index = 0; index < 20; index++) {
    const left = await accept();
    connections.begin(left);
    left.destroy();
    await turn();
    connections.know(left);
  }
  // In its first turns, the first newcomer cannot be spared for the second one.
  const [, second] = await Promise.all([accept(), accept()]);
  expect(refused).toEqual([second]);
  expect(callers.filter(({ destroyed }) => destroyed)).toEqual([]);
});

test("a caller's request is never ended, and strangers do not displace all callers", async () => {
  const { connections, accept, refused } = placesFor(3);
  const callers = [await accept(), await accept(), await accept()] as const;
  for (const caller of callers) connections.know(caller);
  const over = connections.begin(callers[0]);
  connections.begin(callers[1]);
  const stranger = await accept();
  expect(callers.map(({ destroyed }) => destroyed)).toEqual([false, false, true]);
  over();
  await accept();
  expect(stranger.destroyed).toBe(true);
  expect(callers[0].destroyed).toBe(false);
  connections.know((await accept()) as Socket);
  for (let index = 0; index < 3; index++) connections.know(await accept());
  expect(callers[1].destroyed).toBe(false);
  expect(refused).toEqual([]);
});

test("an address with more than its share displaces only itself", async () => {
  const { accept } = placesFor(8);
  const older = await accept("10.1.1.1");
  const flood: Socket[] = [];
  for (let index = 0; index < 30; index++) flood.push(await accept("10.2.2.2"));
  expect(older.destroyed).toBe(false);
  expect(flood.filter(({ destroyed }) => !destroyed)).toHaveLength(7);
});

test("the limit of descriptors is divided between children and connections", () => {
  expect(connectionBudget(1_100, { children: 5 }, undefined)).toEqual({
    max: 498,
    needed: 1_100,
    isTooLow: false,
  });
  expect(connectionBudget(1_000_000, { children: 5 }, undefined).max).toBe(10_000);
  expect(connectionBudget(256, { children: 40 }, undefined).isTooLow).toBe(true);
  expect(connectionBudget(1_100, { children: 5 }, 800).needed).toBe(1_704);
});

test.each([
  ["https://a", "https://b", true, true],
  ["http://a", "https://b", true, true],
  ["https://a", "http://a", false, false],
  ["https://a", "http://127.0.0.1:1", false, false],
  ["http://a", "http://b", true, false],
  ["http://a", "http://b", false, true],
  ["http://a:1", "http://a:1/children/x", true, true],
  ["http://127.0.0.1:1", "http://127.0.0.2:2", true, true],
  ["http://127.0.0.1:1", "http://127.0.0.1.example.org", true, false],
  ["http://a", "file:///etc/passwd", false, false],
  ["http://a", "no url", false, false],
])("from %s to %s, with a token %s: followed %s", (from, to, hasToken, followed) => {
  expect(mayFollow(from, to, hasToken)).toBe(followed);
});
