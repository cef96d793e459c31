/**
 * Requests refused before a handler sees them: of other sites, malformed, too large, too slow, too
 * many.
 */
import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { hostname } from "node:os";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Problem } from "../../openapi/errors.ts";
import { type MemberOptions, type RunningMember, startMember } from "../../server/main.ts";
import {
  collect,
  idle,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  streamOf,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

/** Starts a member that advertises another address. Returns the URL where it listens. */
async function startHere(options: Partial<MemberOptions>): Promise<{ url: string }> {
  const free = createServer();
  await once(free.listen(0, "127.0.0.1"), "listening");
  const { port } = free.address() as AddressInfo;
  await once(free.close(), "close");
  const member = await startMember({
    pools: { pipeline: 2 },
    name: "m1",
    sandbox: HAS_BUBBLEWRAP ? "auto" : "off",
    ...options,
    port,
  });
  onTestFinished(() => member.stop());
  return { url: `http://127.0.0.1:${port}` };
}

interface Raw {
  readonly status: number;
  readonly headers: string;
  readonly problem: Problem;
}

/** Sends raw bytes, and reads the answer until the other side closes. */
async function raw(member: Pick<RunningMember, "url">, bytes: string): Promise<Raw> {
  const { hostname: host, port } = new URL(member.url);
  const socket = connect(Number(port), host);
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => {});
  socket.write(bytes);
  await within("the other side to close", once(socket, "close"));
  const [head = "", body = ""] = text.split("\r\n\r\n");
  expect(head).toMatch(/content-type: application\/problem\+json/i);
  expect(head).toMatch(/connection: close/i);
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
    headers: head,
    problem: JSON.parse(body) as Problem,
  };
}

/** Sends a request with headers that neither a browser nor `fetch` lets a program choose. */
function send(
  member: Pick<RunningMember, "url">,
  method: string,
  path: string,
  headers: Record<string, string>,
  body = "",
) {
  return within(
    `the answer of ${method} ${path}`,
    new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }>(
      (resolve, reject) => {
        const outgoing = request(`${member.url}${path}`, { method, headers }, (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
          });
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          );
        });
        outgoing.on("error", reject);
        outgoing.end(body);
      },
    ),
  );
}

const JSON_TYPE = { "content-type": "application/json" };
const TRUE = JSON.stringify({ command: ["true"] });

async function expectForbidden(answer: ReturnType<typeof send>, detail: RegExp): Promise<void> {
  const { status, headers, body } = await answer;
  expect([status, (JSON.parse(body) as Problem).code]).toEqual([403, "forbidden"]);
  expect((JSON.parse(body) as Problem).detail).toMatch(detail);
  expect(Object.keys(headers).filter((name) => name.startsWith("access-control-"))).toEqual([]);
}

describe("a page of another site is refused", () => {
  test("by a Host that is not a name of this member (DNS rebinding)", async () => {
    const here = await startHere({ advertise: "pool.example:7400" });
    for (const host of [
      "evil.example",
      "evil.example:7400",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "10.0.0.1",
      "[2001:db8::1]",
    ])
      await expectForbidden(
        send(here, "GET", "/pools", { host }),
        /expected Host to be a loopback address or the advertised or public host/,
      );
    for (const host of [
      "127.0.0.1",
      "127.9.9.9:80",
      "localhost:1",
      "LOCALHOST",
      "localhost.",
      "[::1]:7400",
      "pool.example",
      "pool.example:1",
    ])
      expect([host, (await send(here, "GET", "/children", { host })).status]).toEqual([host, 200]);
    for (const host of ["a b", "user@localhost", "a/b"])
      expect([host, (await send(here, "GET", "/pools", { host })).status]).toEqual([host, 400]);
    // A load balancer may probe the process under any name.
    expect((await send(here, "GET", "/livez", { host: "balancer.example" })).status).toBe(200);
  });

  test("by its Origin and its Sec-Fetch-Site", async () => {
    const member = await startOne();
    const { host, origin } = new URL(member.url);
    const call = (headers: Record<string, string>) =>
      send(member, "POST", "/pools/pipeline/call", { host, ...JSON_TYPE, ...headers }, TRUE);
    for (const other of [
      "https://evil.example",
      "null",
      `http://localhost:${new URL(member.url).port}`,
      `https://${host}`,
      `${origin}.evil.example`,
    ])
      await expectForbidden(
        call({ origin: other }),
        /expected no Origin, or http:\/\/127\.0\.0\.1/,
      );
    for (const site of ["cross-site", "same-site"])
      await expectForbidden(call({ "sec-fetch-site": site }), /Sec-Fetch-Site/);
    await expectForbidden(
      send(member, "GET", "/pools", {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "no-cors",
      }),
      /Sec-Fetch-Site/,
    );
    for (const headers of [
      { origin },
      { origin, "sec-fetch-site": "same-origin" },
      { "sec-fetch-site": "none" },
      {},
    ]) {
      const { status, body } = await call(headers);
      expect([status, body]).toEqual([200, expect.stringContaining("event: result")]);
    }
    // A reader may follow a link from another site to the reference page.
    expect(
      (
        await send(member, "GET", "/docs", {
          "sec-fetch-site": "cross-site",
          "sec-fetch-mode": "navigate",
          "sec-fetch-dest": "document",
        })
      ).status,
    ).toBe(200);
    await idle(member);
  });

  test("by no answer that would allow its preflight", async () => {
    const member = await startOne();
    const preflight = {
      origin: "https://evil.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    };
    await expectForbidden(
      send(member, "OPTIONS", "/pools/pipeline/call", preflight),
      /no other site may call from a browser/,
    );
    await expectForbidden(
      send(member, "OPTIONS", "/pools/pipeline/call", {
        ...preflight,
        origin: new URL(member.url).origin,
      }),
      /no other site/,
    );
  });

  test("when it posts a form", async () => {
    const member = await startOne();
    for (const [type, ...refused] of [
      ["text/plain", 415, "unsupported_media_type"],
      ["application/x-www-form-urlencoded", 415, "unsupported_media_type"],
      ["multipart/form-data; boundary=x", 400, "invalid_request"],
    ] as const) {
      await expectForbidden(
        send(
          member,
          "POST",
          "/pools/pipeline/call",
          { origin: "https://evil.example", "content-type": type },
          TRUE,
        ),
        /Origin/,
      );
      const { status, body } = await send(
        member,
        "POST",
        "/pools/pipeline/call",
        { "content-type": type },
        TRUE,
      );
      expect([status, (JSON.parse(body) as Problem).code]).toEqual(refused);
    }
    await idle(member);
  });

  test.skipIf(!HAS_BUBBLEWRAP)("beyond loopback too, where callers need no token", async () => {
    const here = await startHere({
      host: "0.0.0.0",
      advertise: "pool.example:7400",
      insecure: true,
    });
    for (const host of ["evil.example:7400", "a.localhost"])
      await expectForbidden(
        send(here, "GET", "/children", { host }),
        /expected Host to be an IP address, localhost, this machine's name/,
      );
    for (const host of [
      "10.0.0.1:7400",
      "[2001:db8::1]:7400",
      "localhost",
      hostname(),
      "127.0.0.1",
    ])
      expect([host, (await send(here, "GET", "/children", { host })).status]).toEqual([host, 200]);
    await expectForbidden(
      send(here, "GET", "/children", { host: "10.0.0.1", origin: "http://evil.example" }),
      /expected no Origin/,
    );
  });
});

describe("bytes that are not a valid request", () => {
  const HEAD =
    "POST /pools/pipeline/call HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n";

  test("headers above 16 KiB", async () => {
    const member = await startOne();
    const { status, problem } = await raw(
      member,
      `GET /pools HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${"x".repeat(20_000)}\r\n\r\n`,
    );
    expect([status, problem.status, problem.code]).toEqual([413, 413, "payload_too_large"]);
    expect(problem.detail).toBe("expected at most 16384 bytes of headers");
  });

  test("no HTTP, or malformed HTTP", async () => {
    const member = await startOne();
    for (const bytes of [
      "hello\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "\x16\x03\x01\x00\x05\r\n\r\n",
      `${HEAD}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
      `${HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n`,
    ]) {
      const { status, problem } = await raw(member, bytes);
      expect([JSON.stringify(bytes), status, problem.code]).toEqual([
        JSON.stringify(bytes),
        400,
        "invalid_request",
      ]);
    }
    for (const bytes of [
      "GET /pools HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
      "GET /pools HTTP/1.1\r\nhost: a/b\r\nconnection: close\r\n\r\n",
      "GET /pools HTTP/1.1\r\nconnection: close\r\n\r\n",
      "GET a:b HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
    ])
      expect((await raw(member, bytes)).status).toBeGreaterThanOrEqual(400);
    await idle(member);
  });

  test("a head or a body that does not end in time", async () => {
    const log: string[] = [];
    const member = await startOne({
      requestTimeoutMs: 200,
      log: (level, message) => void log.push(`${level} ${message}`),
    });
    const before = log.length;
    for (const bytes of [
      "",
      "GET /pools HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ",
      `${HEAD}content-length: 100\r\n\r\n{`,
      `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\n{\r\n`,
    ]) {
      const { status, problem } = await raw(member, bytes);
      expect([bytes, status, problem.code]).toEqual([bytes, 408, "request_timeout"]);
    }
    // The log stays empty: the client is at fault, not the member.
    expect(log.slice(before)).toEqual([]);
    await idle(member);
  });

  test("an unknown expectation is ignored", async () => {
    const answer = await send(await startOne(), "GET", "/pools", { expect: "an answer" });
    expect(answer.status).toBe(200);
  });

  test("an answer may take longer than a request", async () => {
    const member = await startOne({ requestTimeoutMs: 200 });
    const response = await post(member.url, "/pools/pipeline/call", {
      command: ["sh", "-c", "sleep 1.5; echo still here"],
    });
    const events = await collect(streamOf(response));
    lastOf(events, "result");
    expect(textOf(events)).toBe("still here\n");
  });
});

describe("one client that exceeds its limits", () => {
  test("of requests per second", async () => {
    const member = await startOne({ maxRate: 1 });
    const answers = await within(
      "the answers",
      Promise.all(Array.from({ length: 40 }, () => fetch(`${member.url}/pools`))),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2);
    expect(refused.length).toBeGreaterThan(0);
    for (const response of refused) {
      expect(response.headers.get("retry-after")).toBe("1");
      expect(await problemOf(response)).toMatchObject({
        code: "too_many_requests",
        detail: expect.stringContaining("127.0.0.1 sends more requests"),
      });
    }
    // The rate does not count probes.
    for (let count = 0; count < 20; count++)
      for (const path of ["/livez", "/readyz", "/children/count"])
        expect((await fetch(`${member.url}${path}`)).status).toBe(200);
  });

  test("of waits for the end of a child, which count as streams", async () => {
    const [member] = (await startMembers({ maxStreams: 2, pools: { pipeline: 5 } })) as [
      RunningMember,
    ];
    const placed = (await (
      await post(member.url, "/children", { pool: "pipeline", command: ["sleep", "60"] })
    ).json()) as { id: string };
    const wait = () => fetch(`${member.url}/children/${placed.id}/result?waitMs=25000`);
    const answers = [wait(), wait(), wait()];
    expect(await problemOf(await within("the refusal", Promise.race(answers)))).toMatchObject({
      code: "too_many_requests",
    });
    await fetch(`${member.url}/children/${placed.id}?graceMs=0`, { method: "DELETE" });
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 200, 429]);
  });

  test("of streams, until one of its streams ends", async () => {
    const [member] = (await startMembers({ maxStreams: 2, pools: { pipeline: 5 } })) as [
      RunningMember,
    ];
    const placed = (await (
      await post(member.url, "/children", { pool: "pipeline", command: ["sleep", "60"] })
    ).json()) as { id: string };
    const attach = () => within("the answer", fetch(`${member.url}/children/${placed.id}/events`));
    const [first, second] = [await attach(), await attach()];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(await problemOf(await attach())).toMatchObject({
      code: "too_many_requests",
      detail: expect.stringContaining("streams"),
    });
    // Requests that are no streams are still answered.
    expect((await fetch(`${member.url}/children/${placed.id}`)).status).toBe(200);
    await first.body?.cancel();
    let third: Response | undefined;
    await until("the stream that ended to be counted off", async () => {
      third = await attach();
      return third.status === 200;
    });
    await Promise.all([second, third].map((response) => response?.body?.cancel()));
    await until("the streams to be counted off", async () => {
      const response = await post(member.url, "/pools/pipeline/call", { command: ["true"] });
      await response.text();
      return response.status === 200;
    });
    for (let count = 0; count < 5; count++)
      lastOf(
        await collect(
          streamOf(await post(member.url, "/pools/pipeline/call", { command: ["true"] })),
        ),
        "result",
      );
  });
});

describe("a key that would change a prototype", () => {
  test.each(["env", "labels", "files"])(
    "__proto__ in %s is refused, not ignored",
    async (record) => {
      const member = await startOne();
      const body = `{"command":["true"],"${record}":{"__proto__":"x"}}`;
      for (const path of ["/pools/pipeline/call", "/pools/pipeline/children"]) {
        const given = await problemOf(await post(member.url, path, body));
        expect(given).toMatchObject({
          code: "invalid_request",
          detail: expect.stringMatching(new RegExp(`/${record}: expected no key __proto__`)),
        });
      }
      expect(Object.hasOwn(Object.prototype, "x")).toBe(false);
      await idle(member);
    },
  );
});
