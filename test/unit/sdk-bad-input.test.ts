/** Answers that no member gives, and callers that go: what the SDK makes of them. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { DistributedPool } from "../../sdk/typescript/index.ts";
import { DistributedPool as NodePool } from "../../sdk/typescript/node.ts";
import { collect, within } from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";

const ID = "m1.0123456789abcdef0123456789abcdef";
const CHILD = { id: ID, pool: "p", member: "m1", url: "u" };
const PLACED = `id: 1
data: ${JSON.stringify({ type: "placed", child: CHILD })}

`;
const RESULT = 'id: 3\ndata: {"type":"result","exitCode":0}\n\n';
const SPEC = { command: ["true"] };
const QUIET = { stdout: null, stderr: null };
const SSE = { "content-type": "text/event-stream" };

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

async function listen(handler: Handler): Promise<string> {
  const server = createServer(handler);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The pools of both entries, at a server that answers so. */
async function both(handler: Handler): Promise<(DistributedPool | NodePool)[]> {
  const url = await listen(handler);
  const all = [new DistributedPool({ url }), new NodePool({ url })];
  for (const pools of all) onTestFinished(() => pools.close());
  return all;
}

const errorOf = (work: Promise<unknown>) =>
  within(
    "the error",
    work.then(() => undefined).catch((error: unknown) => error),
  );

const answerWith =
  (status: number, headers: Record<string, string>, body: string): Handler =>
  (incoming, outgoing) => {
    incoming.resume();
    outgoing.writeHead(status, headers).end(body);
  };

describe("an answer that no member gives", () => {
  test("the page of a proxy is named by its status and its type", async () => {
    const html = { "content-type": "text/html" };
    for (const status of [200, 502])
      for (const pools of await both(answerWith(status, html, "<h1>Hello</h1>")))
        for (const ask of [
          () => pools.call("p", SPEC, QUIET),
          () => pools.pools(),
          () => pools.child(ID).info(),
        ])
          expect(await errorOf(ask())).toMatchObject({
            code: "member_lost",
            message: expect.stringContaining(`HTTP ${status} with text/html`),
          });
  });

  test("a redirect is not followed, and no token goes there", async () => {
    let visits = 0;
    const other = await listen((_, outgoing) => {
      visits++;
      outgoing.end();
    });
    for (const pools of await both(answerWith(307, { location: other }, "")))
      for (const ask of [() => pools.call("p", SPEC, QUIET), () => pools.pools()])
        expect(await errorOf(ask())).toMatchObject({
          code: "invalid_request",
          message: expect.stringContaining(`redirects to ${other}`),
        });
    expect(visits).toBe(0);
  });

  test("a code of a newer member is kept, with its pause", async () => {
    const problem = { type: "urn:x", title: "t", status: 503, detail: "later", code: "of_later" };
    const headers = { "content-type": "application/problem+json", "retry-after": "7" };
    for (const pools of await both(answerWith(503, headers, JSON.stringify(problem))))
      expect(await errorOf(pools.call("p", SPEC, QUIET))).toMatchObject({
        name: "PoolError",
        code: "of_later",
        status: 503,
        retryAfter: 7_000,
        retryable: false,
        problem,
      });
  });

  test("an event of a newer member is skipped", async () => {
    const body = `${PLACED}id: 2\ndata: {"type":"of_later"}\n\n${RESULT}`;
    for (const pools of await both(answerWith(200, SSE, body))) {
      const events = await within("the events", collect(pools.stream("p", SPEC)));
      expect(events.map(({ type }) => type)).toEqual(["placed", "result"]);
    }
  });

  test("a stream of a member that died is lost after a few tries", {
    timeout: 60_000,
  }, async () => {
    let calls = 0;
    const die: Handler = (incoming, outgoing) => {
      incoming.resume();
      if (incoming.method === "GET") return void outgoing.destroy();
      calls++;
      outgoing.writeHead(200, SSE).write(PLACED, () => outgoing.destroy());
    };
    const all = await both(die);
    const errors = await Promise.all(all.map((pools) => errorOf(pools.call("p", SPEC, QUIET))));
    for (const error of errors) expect(error).toMatchObject({ name: "MemberLostError" });
    expect(calls).toBe(all.length);
  });

  test("an event beyond the bound ends the call", async () => {
    const line = "x".repeat(1024 * 1024);
    const pools = new DistributedPool({
      url: "http://127.0.0.1:1",
      fetch: async (_, { method }) => {
        if (method === "GET") return new Response(null, { status: 404 });
        let lines = 0;
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            controller.enqueue(new TextEncoder().encode(lines++ === 0 ? "data: " : line));
            if (lines > 200) throw new Error("expected the reader to stop");
          },
        });
        return new Response(body, { headers: SSE });
      },
    });
    expect(await errorOf(pools.call("p", SPEC, QUIET))).toMatchObject({
      code: "member_lost",
      message: expect.not.stringContaining("expected the reader"),
    });
  });
});

describe("an endless stream of comments", () => {
  afterEach(() => void vi.useRealTimers());

  test("ends 30 seconds after the deadline of its call", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let comments = 0;
    const read = Promise.withResolvers<void>();
    const pools = new DistributedPool({
      url: "http://127.0.0.1:1",
      fetch: async (_, { signal }) => {
        const body = new ReadableStream<Uint8Array>({
          start: (controller) =>
            signal?.addEventListener("abort", () => controller.error(signal.reason)),
          async pull(controller) {
            await new Promise((resolve) => setImmediate(resolve));
            controller.enqueue(new TextEncoder().encode(":\n\n"));
            if (++comments === 10) read.resolve();
          },
        });
        return new Response(body, { headers: SSE });
      },
    });
    // The timers are not real yet, so this wait has its deadline below.
    const call = pools.call("p", { ...SPEC, deadlineMs: 1_000 }, QUIET);
    const lost = call.catch((error: unknown) => error);
    await read.promise;
    vi.advanceTimersByTime(31_001);
    vi.useRealTimers();
    expect(await within("the error", lost)).toMatchObject({
      code: "member_lost",
      message: expect.stringContaining("30000 ms after the deadline of 1000 ms"),
    });
  });
});

describe.skipIf(!hasOpenssl)(
  `a certificate${hasOpenssl ? "" : " (skipped: openssl is not installed)"}`,
  () => {
    test("that is not trusted is named so, and nothing is sent", async () => {
      const pki = new Pki();
      onTestFinished(() => pki.remove());
      pki.authority("ours");
      pki.certificate("member", "ours");
      let requests = 0;
      const tls = { cert: pki.pem("member.pem"), key: pki.pem("member.key") };
      const server = createSecureServer(tls, () => requests++);
      await once(server.listen(0, "127.0.0.1"), "listening");
      onTestFinished(() => void server.close().closeAllConnections());
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      for (const pools of [new DistributedPool({ url }), new NodePool({ url })]) {
        onTestFinished(() => pools.close());
        expect(await errorOf(pools.call("p", SPEC, QUIET))).toMatchObject({
          code: "no_members_available",
          message: expect.stringContaining("the certificate is not trusted"),
        });
      }
      expect(requests).toBe(0);
    });
  },
);

test("https where the member speaks http is said so, and no call was sent", async () => {
  let requests = 0;
  const url = await listen(() => requests++);
  for (const Pool of [DistributedPool, NodePool]) {
    const pools = new Pool({ url: url.replace("http:", "https:") });
    onTestFinished(() => pools.close());
    expect(await errorOf(pools.call("p", SPEC, QUIET))).toMatchObject({
      code: "no_members_available",
      message: expect.stringContaining("the member does not speak https"),
    });
  }
  expect(requests).toBe(0);
});

test.each([undefined, null, "ls -l", ["ls", "-l"], 5])(
  "work that is %j is refused",
  async (work) => {
    const pools = new DistributedPool({ url: "http://127.0.0.1:1" });
    const bad = work as never;
    const asks = [
      () => pools.call("p", bad),
      () => pools.run("p", bad),
      () => pools.map("p", bad, []),
    ];
    for (const ask of asks)
      expect(await errorOf(Promise.resolve().then<unknown>(ask))).toMatchObject({
        code: "invalid_request",
        message: expect.stringMatching(/expected a function, a bundle, .*; got [a-z]+$/),
      });
  },
);

test.each(["a\nb", "a\r\nx: y", "", " ", "é"])("the token %j is refused", (token) => {
  for (const Pool of [DistributedPool, NodePool])
    expect(() => new Pool({ url: "http://127.0.0.1:1", token })).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
});

describe("the caller's own end is the reason of its signal", () => {
  const silent: Handler = (incoming) => void incoming.resume();
  const streaming: Handler = (incoming, outgoing) => {
    incoming.resume();
    outgoing.writeHead(200, SSE).write(PLACED);
  };
  const cutting: Handler = (incoming, outgoing) => {
    incoming.resume();
    if (incoming.method === "GET") return;
    outgoing.writeHead(200, SSE).write(PLACED, () => outgoing.destroy());
  };
  const phases: [string, Handler][] = [
    ["before the answer", silent],
    ["in the stream", streaming],
    ["while it resumes", cutting],
  ];

  test.each(phases)("%s", async (_, handler) => {
    for (const pools of await both(handler)) {
      for (const reason of [new Error("enough"), "enough", undefined]) {
        const controller = new AbortController();
        const { signal } = controller;
        const ended = errorOf(pools.call("p", SPEC, { ...QUIET, signal }));
        setImmediate(() => controller.abort(reason));
        expect(await ended).toBe(signal.reason);
      }
      const signal = AbortSignal.timeout(150);
      expect(await errorOf(pools.call("p", SPEC, { ...QUIET, signal }))).toBe(signal.reason);
      expect(signal.reason).toMatchObject({ name: "TimeoutError" });
    }
  });

  test("before the request, in a placement, and in a write", async () => {
    for (const pools of await both(silent)) {
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      expect(await errorOf(pools.call("p", SPEC, { ...QUIET, signal }))).toBe(reason);
      for (const start of [
        (options: { signal: AbortSignal }) => pools.placeChild("p", SPEC, options),
        (options: { signal: AbortSignal }) => pools.child(ID).write("x", options),
        (options: { signal: AbortSignal }) => collect(pools.child(ID).events(options)),
      ]) {
        const controller = new AbortController();
        const ended = errorOf(start({ signal: controller.signal }));
        setImmediate(() => controller.abort(reason));
        expect(await ended).toBe(reason);
      }
    }
  });

  test("a closed pool refuses calls, also at the end of an `await using` block", async () => {
    const [portable, node] = await both(silent);
    for (const pools of [portable, node]) {
      const running = errorOf(pools?.pools() ?? Promise.resolve());
      await pools?.[Symbol.asyncDispose]();
      expect(await running).toMatchObject({ code: "member_lost" });
      expect(await errorOf(pools?.pools() ?? Promise.resolve())).toMatchObject({
        code: "member_lost",
      });
    }
  });
});
