/**
 * Which URLs and addresses are fetched, and which answers are taken. The servers are real, on
 * loopback, which is allowed where the test says so.
 */
import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { PoolOptionsSchema } from "../../server/member/pool-options.ts";
import { isAllowedAddress } from "../../server/sandbox/egress/addresses.ts";
import { type FetchOptions, fetchFile } from "../../server/workspace/fetching/fetch.ts";
import {
  allowsUrl,
  type FetchRules,
  fetchRulesOf,
} from "../../server/workspace/fetching/fetch-rules.ts";
import { Spool } from "../../server/workspace/spool.ts";
import { within } from "../helpers/member.ts";

function rules(fetch: string[], fetchAddresses: string[] = []): FetchRules {
  return fetchRulesOf(PoolOptionsSchema.parse({ maxChildren: 1, fetch, fetchAddresses }));
}

/** Starts a server on a loopback address. Resolves with its port. */
async function serve(listener: RequestListener, host = "127.0.0.1", port = 0): Promise<number> {
  const server = createServer(listener).listen(port, host);
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Fetches into a spool. Resolves with the bytes. */
async function fetched(
  url: string,
  given: FetchRules,
  more: Partial<FetchOptions> = {},
): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "fetching-"));
  const spool = new Spool(folder);
  try {
    const content = await within(
      "the file",
      fetchFile({ path: "in", url }, spool, {
        rules: given,
        maxBytes: 1_000,
        signal: new AbortController().signal,
        ...more,
      }),
    );
    expect(await readdir(folder)).toEqual([]);
    return await buffer(content.read());
  } finally {
    await spool.close();
    await rm(folder, { recursive: true });
  }
}

const LOOPBACK = ["127.0.0.1"];

describe("addresses", () => {
  const NONE = rules([]);

  test.each([
    ["this machine", ["127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "::"]],
    ["the cloud's metadata", ["169.254.169.254", "fd00:ec2::254", "fe80::1", "fe80::1%eth0"]],
    [
      "private networks",
      [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "fc00::1",
        "fdff::1",
      ],
    ],
    ["multicast, broadcast, reserved", ["224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1"]],
    [
      "IPv4 within IPv6",
      [
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "2002:7f00:1::",
        "2001:0:1::1",
      ],
    ],
    [
      "documentation and tests",
      ["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1", "3fff::1"],
    ],
    ["invalid ones", ["", "localhost", "127.1", "1.2.3.4.5"]],
  ])("%s are refused", (_, addresses) => {
    for (const address of addresses)
      expect([address, isAllowedAddress(address, NONE.addresses)]).toEqual([address, false]);
  });

  test("public ones are allowed, and those that the operator names", () => {
    for (const address of [
      "8.8.8.8",
      "93.184.216.34",
      "172.32.0.1",
      "2606:4700::1111",
      "2a00:1450::1",
    ])
      expect([address, isAllowedAddress(address, NONE.addresses)]).toEqual([address, true]);
    const given = rules([], ["10.0.0.0/8", "::1", "127.0.0.1"]);
    for (const [address, allowed] of [
      ["10.255.0.1", true],
      ["::1", true],
      ["127.0.0.1", true],
      ["127.0.0.2", false],
      ["192.168.0.1", false],
      ["fd00::1", false],
    ] as const)
      expect([address, isAllowedAddress(address, given.addresses)]).toEqual([address, allowed]);
  });

  test("no IPv4 address becomes public within an IPv6 address", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
        const [high, low] = [a * 256 + b, c * 256 + d].map((number) => number.toString(16));
        for (const carried of [
          `::ffff:${address}`,
          `::${address}`,
          `64:ff9b::${high}:${low}`,
          `2002:${high}:${low}::1`,
        ])
          expect(isAllowedAddress(carried, NONE.addresses)).toBe(false);
      }),
    );
  });
});

describe("URLs", () => {
  const given = rules([
    "https://assets.example.com/public",
    "https://*.cdn.example.com",
    "http://plain.example.com:8080/a/",
    "https://[2606:4700::1]/",
  ]);
  test.each([
    ["https://assets.example.com/public", true],
    ["https://assets.example.com/public/a.mp4?token=x#y", true],
    ["https://ASSETS.example.com:443/public/", true],
    ["https://assets.example.com/publication", false],
    ["https://assets.example.com/public/../private", false],
    ["https://assets.example.com/public/%2e%2e/private", false],
    ["https://assets.example.com/public/..%2fprivate", false],
    ["https://assets.example.com/public/..%5cprivate", false],
    ["https://assets.example.com/", false],
    ["https://assets.example.com:8443/public/a", false],
    ["http://assets.example.com/public/a", false],
    ["https://assets.example.com.evil.example/public/a", false],
    ["https://evil.example/assets.example.com/public/a", false],
    ["https://a.cdn.example.com/x", true],
    ["https://a.b.cdn.example.com/x%2fy", true],
    ["https://cdn.example.com/x", false],
    ["https://evilcdn.example.com/x", false],
    ["http://plain.example.com:8080/a/b", true],
    ["http://plain.example.com:8080/a", false],
    ["http://plain.example.com/a/b", false],
    ["https://[2606:4700:0::1]/x", true],
  ])("%s: %s", (url, allowed) => {
    expect(allowsUrl(given, new URL(url))).toBe(allowed);
  });

  test.each([
    "assets.example.com",
    "ftp://a.example",
    "https://",
    "https://*",
    "https://a.*.example",
    "https://u@a.example",
    "https://a/?b",
    "https://*.127.0.0.1",
    "https://a b",
  ])("a rule %s is refused", (rule) => {
    expect(() => rules([rule])).toThrow(/expected the beginning of a URL/);
  });

  test.each(["10.0.0.0/33", "10.0.0", "::1/129", "localhost", "fe80::1%eth0", "1.2.3.4/8/8"])(
    "a network %s is refused",
    (network) => {
      expect(() => rules([], [network])).toThrow(/expected an IP address or a network/);
    },
  );
});

test("a fetch reveals nothing about the caller", async () => {
  let seen: unknown;
  const port = await serve((incoming, outgoing) => {
    seen = incoming.rawHeaders.map((text) => text.toLowerCase());
    outgoing.setHeader("set-cookie", "a=b").end("content");
  });
  expect(
    (
      await fetched(
        `http://127.0.0.1:${port}/a?b=c`,
        rules([`http://127.0.0.1:${port}/`], LOOPBACK),
      )
    ).toString(),
  ).toBe("content");
  expect(seen).toEqual([
    "accept",
    "*/*",
    "accept-encoding",
    "identity",
    "user-agent",
    "distributed-pool",
    "host",
    `127.0.0.1:${port}`,
    "connection",
    "close",
  ]);
});

test.each([
  "http://127.0.0.1",
  "http://2130706433",
  "http://0x7f.1",
  "http://0177.0.0.1",
  "http://127.1",
  "http://[::ffff:127.0.0.1]",
  "http://[::1]",
  "http://0",
])("loopback written as %s is refused, although the URL is allowed", async (origin) => {
  await expect(fetched(`${origin}:1/`, rules([`${origin}:1/`]))).rejects.toMatchObject({
    code: "forbidden",
    message: expect.stringMatching(/public address/),
  });
});

/** A resolver that gives one list of addresses after the other. */
function answers(...lists: string[][]): {
  asked: string[];
  resolve: (name: string) => Promise<LookupAddress[]>;
} {
  const asked: string[] = [];
  const resolve = async (name: string) => {
    asked.push(name);
    return (lists[asked.length - 1] ?? []).map((address) => ({
      address,
      family: address.includes(":") ? 6 : 4,
    }));
  };
  return { asked, resolve };
}

test.each([
  [["169.254.169.254"]],
  [["8.8.8.8", "10.0.0.1"]],
  [["2606:4700::1", "::ffff:169.254.169.254"]],
  [["127.0.0.1"]],
])("a name with an address that is not public is refused: %s", async (addresses) => {
  const { asked, resolve } = answers(addresses);
  await expect(
    fetched("http://assets.example/secret?key=1", rules(["http://assets.example/"]), { resolve }),
  ).rejects.toMatchObject({
    code: "forbidden",
    // The message shows neither the query nor the address of the name.
    message:
      'files: "in" from http://assets.example/secret: expected a public address, or one ' +
      "that the pool's operator allows in its option `fetchAddresses`; it has another one",
  });
  expect(asked).toEqual(["assets.example"]);
});

test("the connection goes to the checked address, whatever the name means next", async () => {
  const port = await serve((_, outgoing) => outgoing.end("outside"), "127.0.0.1");
  await serve((_, outgoing) => outgoing.end("inside"), "127.0.0.2", port);
  const { asked, resolve } = answers(["127.0.0.1"], ["127.0.0.2"]);
  const given = rules([`http://assets.example:${port}/`], LOOPBACK);
  expect((await fetched(`http://assets.example:${port}/`, given, { resolve })).toString()).toBe(
    "outside",
  );
  expect(asked).toEqual(["assets.example"]);
  // The next file's name is resolved again.
  await expect(fetched(`http://assets.example:${port}/`, given, { resolve })).rejects.toMatchObject(
    { code: "forbidden" },
  );
});

test("a redirect is checked like the first URL", async () => {
  const port = await serve((incoming, outgoing) => {
    const to = new URL(incoming.url ?? "", "http://x").searchParams.get("to");
    if (to === null) outgoing.end("there");
    else outgoing.writeHead(302, { location: to }).end();
  });
  const origin = `http://127.0.0.1:${port}`;
  const given = rules([`${origin}/`, "http://assets.example:1/", "http://[::1]:1/"], LOOPBACK);
  const to = (location: string) =>
    fetched(`${origin}/?to=${encodeURIComponent(location)}`, given, {
      resolve: answers(["127.0.0.9"]).resolve,
    });
  expect((await to("/")).toString()).toBe("there");
  for (const location of [
    "http://assets.example:1/",
    "http://[::1]:1/",
    "http://elsewhere.example/",
    `http://localhost:${port}/`,
    "file:///etc/passwd",
    "//127.0.0.2/",
  ])
    await expect(to(location), location).rejects.toMatchObject({ code: "forbidden" });
  await expect(to("http://u:p@127.0.0.1/")).rejects.toMatchObject({ code: "invalid_request" });
  const loop = await serve((_, outgoing) => outgoing.writeHead(307, { location: "/" }).end());
  await expect(
    fetched(`http://127.0.0.1:${loop}/`, rules([`http://127.0.0.1:${loop}/`], LOOPBACK)),
  ).rejects.toMatchObject({
    code: "fetch_failed",
    message: expect.stringMatching(/at most 5 redirects/),
  });
});

async function* endless() {
  for (;;) yield "x".repeat(500);
}

test.each<[string, RequestListener, object]>([
  [
    "another status",
    (_, outgoing) => outgoing.writeHead(404).end("no"),
    { code: "fetch_failed", message: expect.stringMatching(/expected status 200; got 404$/) },
  ],
  [
    "a partial answer",
    (_, outgoing) => outgoing.writeHead(206).end("no"),
    { code: "fetch_failed" },
  ],
  [
    "a redirect to nowhere",
    (_, outgoing) => outgoing.writeHead(302).end(),
    { code: "fetch_failed" },
  ],
  [
    "more than there is room for, as the head says",
    (_, outgoing) => outgoing.writeHead(200, { "content-length": 1_001 }).end("x".repeat(1_001)),
    { code: "payload_too_large" },
  ],
  [
    "more than there is room for, without an end",
    (_, outgoing) => void Readable.from(endless()).pipe(outgoing),
    { code: "payload_too_large", message: expect.stringMatching(/expected at most 1000 bytes/) },
  ],
  [
    "less than the head says",
    (_, outgoing) =>
      void outgoing.writeHead(200, { "content-length": 100 }).write("x", () => outgoing.destroy()),
    { code: "fetch_failed" },
  ],
  [
    "an answer that is not HTTP",
    (incoming) => incoming.socket.end("hello\r\n\r\n"),
    { code: "fetch_failed" },
  ],
])("%s is an error", async (_, listener, error) => {
  const port = await serve(listener);
  await expect(
    fetched(`http://127.0.0.1:${port}/`, rules([`http://127.0.0.1:${port}/`], LOOPBACK)),
  ).rejects.toMatchObject(error);
});

test("2 names are looked up at a time, so that threads are left for files", async () => {
  const given = rules(["http://nobody.example/"]);
  let [now, most] = [0, 0];
  const resolve = async () => {
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    now--;
    return [];
  };
  const all = Array.from({ length: 6 }, () =>
    fetched("http://nobody.example/", given, { resolve }),
  );
  const ended = await Promise.allSettled(all);
  expect([ended.length, most]).toEqual([6, 2]);
});

test("a fetch ends when it is aborted, and when no server answers", async () => {
  const port = await serve((_, outgoing) => void outgoing.write("x"));
  const stop = new AbortController();
  const fetching = fetched(
    `http://127.0.0.1:${port}/`,
    rules([`http://127.0.0.1:${port}/`], LOOPBACK),
    { signal: stop.signal },
  ).catch((error: unknown) => error);
  stop.abort();
  expect(await within("the end", fetching)).toMatchObject({ code: "fetch_failed" });
  const given = rules(["http://nobody.example/"]);
  const late = new AbortController();
  const looking = fetched("http://nobody.example/", given, {
    resolve: () => new Promise(() => {}),
    signal: late.signal,
  }).catch((error: unknown) => error);
  late.abort();
  expect(await within("the end", looking)).toMatchObject({ code: "fetch_failed" });
  await expect(
    fetched("http://nobody.example/", given, {
      resolve: async () => Promise.reject(new Error("ENOTFOUND")),
    }),
  ).rejects.toMatchObject({
    code: "fetch_failed",
  });
  await expect(
    fetched("http://nobody.example/", given, { resolve: async () => [] }),
  ).rejects.toMatchObject({ code: "fetch_failed" });
});
