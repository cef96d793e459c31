/** The requests that a call costs in a large pool: stubs of members and of Consul count them. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { metaOf } from "../../sdk/typescript/node/consul/consul-service.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";

const MEMBERS = 200;
const CALLERS = 16;
const CALLS = 160;

async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A stub of a member with 8 slots, whose calls end at once. */
function stubMember(name: string, requests: { members: number }): RequestListener {
  let active = 0;
  return (request, response) => {
    requests.members += 1;
    if (request.method === "GET") {
      const pools = { pipeline: { active, max: 8, queued: 0 } };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ member: name, pools }));
      return;
    }
    active += 1;
    const child = { id: `${name}.${"0".repeat(32)}`, member: name, pool: "pipeline", url: "" };
    const usage = { wallMs: 1, cpuMs: null, maxRssBytes: null };
    const events = [
      { type: "placed", child },
      { type: "result", exitCode: 0, usage, artifacts: [] },
    ];
    request.resume().on("end", () => {
      response.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "pool-load": `active=${active}, max=8, queued=0`,
      });
      active -= 1;
      response.end(
        events
          .map((event, index) => {
            const id = index + 1;
            return `event: ${event.type}\nid: ${id}\ndata: ${JSON.stringify(event)}\n\n`;
          })
          .join(""),
      );
    });
  };
}

test("a call in a pool of 200 costs at most 1.1 requests, and none to Consul", async () => {
  // The clock stands still, so that loads stay fresh on a machine that is busy.
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const requests = { members: 0, consul: 0 };
  const entries = await Promise.all(
    Array.from({ length: MEMBERS }, async (_, index) => {
      const name = `m${index}`;
      const port = await listen(stubMember(name, requests));
      const url = `http://127.0.0.1:${port}`;
      const pools = { pipeline: 8 };
      const Meta = metaOf({ name, url, pools, sandbox: "none", version: "0.2.0" });
      return {
        Node: { Address: "127.0.0.1" },
        Service: { Address: "127.0.0.1", Port: port, Meta },
        Checks: [{ Status: "passing" }],
      };
    }),
  );
  const consul = await listen((request, response) => {
    requests.consul += 1;
    // The watch waits behind the first list, in which nothing changes.
    if (/[?&]index=1(&|$)/.test(request.url ?? "")) return;
    response.writeHead(200, { "content-type": "application/json", "x-consul-index": "1" });
    response.end(JSON.stringify(entries));
  });
  const pools = new DistributedPool({ consul: `http://127.0.0.1:${consul}` });
  onTestFinished(() => pools.close());
  const call = () => pools.call("pipeline", { command: ["true"] });
  const callFor = async (calls: number) => {
    let left = calls;
    const caller = async () => {
      while (left-- > 0) await call();
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
  };
  // The first calls make the members known.
  await callFor(4 * CALLERS);
  const before = { ...requests };
  await callFor(CALLS);
  expect((requests.members - before.members) / CALLS).toBeLessThanOrEqual(1.1);
  expect(requests.consul - before.consul).toBeLessThanOrEqual(1);
});
