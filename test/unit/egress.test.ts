/** The proxy for children: what it takes for a target, and raw bytes that try to go elsewhere. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { memberFaults } from "../../server/member/check-options.ts";
import { SharedBounds } from "../../server/sandbox/egress/bounds.ts";
import type { Resolve } from "../../server/sandbox/egress/checked-addresses.ts";
import { passedOn } from "../../server/sandbox/egress/headers.ts";
import { EgressProxy } from "../../server/sandbox/egress/proxy.ts";
import {
  allowedTarget,
  isAllowedTarget,
  parseTarget,
  TargetSchema,
} from "../../server/sandbox/egress/targets.ts";
import { collect, until, within } from "../helpers/member.ts";

const isAllowed = (text: string, ...allow: string[]) => {
  const target = parseTarget(text);
  return (
    target &&
    isAllowedTarget(
      target,
      allow.flatMap((each) => allowedTarget(each) ?? []),
    )
  );
};

describe("targets", () => {
  test.each([
    ["files.example:443", "FILES.Example:443"],
    ["files.example:443", "files.example.:443"],
    ["Files.Example.:443", "files.example:443"],
    ["bücher.example:443", "xn--bcher-kva.example:443"],
    ["xn--bcher-kva.example:443", "BÜCHER.example:443"],
    ["*.files.example:443", "a.b.files.example:443"],
    ["[2001:db8::1]:443", "[2001:0DB8:0::0001]:443"],
    ["10.0.0.1:80", "0x0a000001:80"],
    ["10.0.0.1:80", "167772161:0080"],
  ])("%s allows %s", (allow, asked) => {
    expect(isAllowed(asked, allow)).toBe(true);
  });

  test.each([
    ["files.example:443", "files.example:80"],
    ["files.example:443", "a.files.example:443"],
    ["files.example:443", "files.example..:443"],
    ["files.example:443", "files.example.evil:443"],
    ["files.example:443", "evilfiles.example:443"],
    ["*.files.example:443", "files.example:443"],
    ["*.files.example:443", ".files.example:443"],
    ["*.files.example:443", "evilfiles.example:443"],
    ["*.files.example:443", "a.files.example:80"],
    ["10.0.0.1:80", "[::ffff:10.0.0.1]:80"],
    ["localhost:80", "127.0.0.1:80"],
  ])("%s does not allow %s", (allow, asked) => {
    expect(isAllowed(asked, allow)).toBe(false);
  });

  test.each([
    "", ":", ":443", "files.example", "files.example:", "files.example:0", "files.example:65536",
    "files.example:443:80", "files.example:+443", "files.example:4e2", "a@files.example:443",
    "files.example:443/", "files.example:443?a", "files.example:443#a", "http://files.example:443",
    "files .example:443", "files.example\0:443", "files.example\r\n:443", "a\\b:443", "%66iles:443",
    "[::1:80", "::1:80", "[fe80::1%25eth0]:80", "[evil.example]:443", "999.1.1.1:80",
    `${"a.".repeat(200)}example:443`,
  ])("%j is no target", (text) => {
    expect(parseTarget(text)).toBeUndefined();
    expect(TargetSchema.safeParse(text).success).toBe(false);
  }); // biome-ignore format: many small words

  test.each(["*:443", "*.*.example:443", "a*.example:443", "*.10.0.0.1:80", "*.[::1]:80"])(
    "%s is no rule",
    (text) => expect(TargetSchema.safeParse(text).success).toBe(false),
  );
});

test("a pool with a list is refused where the sandbox is off", () => {
  const pools = { a: { maxChildren: 1, network: { allow: ["files.example:443"] } }, b: 1 };
  expect(memberFaults({ pools })).toEqual([]);
  expect(memberFaults({ pools, sandbox: "off" })).toEqual([
    {
      path: ["pools", "a", "network"],
      message: "expected none or host, because the sandbox is off; got names and ports",
    },
  ]);
});

test("headers of a connection end at the proxy", () => {
  const raw = ["Host", "a", "X-A", "1", "Connection", "close, x-b", "X-B", "2"];
  const more = ["Proxy-Authorization", "secret", "Upgrade", "h2c", "Transfer-Encoding", "chunked"];
  expect(passedOn([...raw, ...more, "X-A", "3"], ["host"])).toEqual(["X-A", "1", "X-A", "3"]);
});

/** A server on loopback that answers with `answer`, and keeps what it got. */
async function origin(answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell") {
  const got: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const index = got.push("") - 1;
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      got[index] += bytes.toString("latin1");
      if (got[index]?.includes("\r\n\r\n")) socket.end(answer);
    });
  });
  return { got, port: await listen(server) };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await within("a server", once(server, "listening"));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const LOOPBACK: Resolve = async () => [{ address: "127.0.0.1", family: 4 }];

/** A proxy on loopback, as a child finds one on its own. */
async function startProxy(
  allow: readonly string[],
  {
    resolve = LOOPBACK,
    addresses = ["127.0.0.1"],
  }: { resolve?: Resolve; addresses?: string[] } = {},
) {
  const log: string[] = [];
  const shared = new SharedBounds((line) => log.push(line));
  const proxy = new EgressProxy({ allow, addresses }, shared, resolve);
  const listener = createServer();
  const port = await listen(listener);
  proxy.serve(listener);
  onTestFinished(() => proxy.close());
  const dial = () =>
    connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
  /** Sends bytes, and reads to the end. */
  const say = async (...bytes: string[]) => {
    const socket = dial();
    socket.write(bytes.join("\r\n"), "latin1");
    return (await within("the proxy's answer", collect<Buffer>(socket))).join("");
  };
  return { proxy, log, dial, say };
}

const status = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);

describe("what the proxy refuses", () => {
  test.each([
    ["CONNECT evil.example:443 HTTP/1.1", 403],
    ["CONNECT files.example:22 HTTP/1.1", 403],
    ["CONNECT 127.0.0.1:443 HTTP/1.1", 403],
    ["CONNECT 169.254.169.254:80 HTTP/1.1", 403],
    ["CONNECT [::1]:443 HTTP/1.1", 403],
    ["CONNECT files.example HTTP/1.1", 400],
    ["CONNECT http://files.example:443/ HTTP/1.1", 400],
    ["CONNECT files.example:443@evil.example:443 HTTP/1.1", 400],
    ["GET / HTTP/1.1", 400],
    ["GET //files.example/ HTTP/1.1", 400],
    ["GET https://files.example/ HTTP/1.1", 400],
    ["GET ftp://files.example/ HTTP/1.1", 400],
    ["GET http://a:b@files.example/ HTTP/1.1", 400],
    ["GET http://files.example@evil.example/ HTTP/1.1", 400],
    ["GET http://evil.example/ HTTP/1.1", 403],
    ["GET http://evil.example/\\@files.example/ HTTP/1.1", 403],
    ["GET http://files.example:443.evil.example/ HTTP/1.1", 400],
    ["GET http://files.example:22/ HTTP/1.1", 403],
    ["GET http://169.254.169.254/latest/meta-data/ HTTP/1.1", 403],
    ["GET http://2852039166/latest/meta-data/ HTTP/1.1", 403],
    ["GET http://[::ffff:a9fe:a9fe]/ HTTP/1.1", 403],
  ])("%s", async (line, expected) => {
    const { say } = await startProxy(["files.example:443", "files.example:80"]);
    // The header says nothing about where a request goes.
    const answer = await say(line, "Host: files.example", "", "");
    expect(status(answer)).toBe(expected);
    expect(answer).toContain("network.allow has: files.example:443, files.example:80");
  });

  test.each([
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "::1",
    "::ffff:127.0.0.2", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "2002:7f00:1::", "224.0.0.1", "127.0.0.2",
  ])("a name at %s, also beside an address that is allowed", async (address) => {
    const family = address.includes(":") ? 6 : 4;
    const found = [{ address: "127.0.0.1", family: 4 }, { address, family }];
    const { say } = await startProxy(["files.example:443"], { resolve: async () => found });
    const answer = await say("CONNECT files.example:443 HTTP/1.1", "", "");
    expect(status(answer)).toBe(403);
    expect(answer).toContain("network.addresses");
  }); // biome-ignore format: many small words

  test("a name that changes its address is looked up once for a connection", async () => {
    const { got, port } = await origin();
    const answers = ["127.0.0.1", "10.0.0.1"];
    const { say } = await startProxy([`files.example:${port}`], {
      resolve: async () => [{ address: answers.shift() ?? "", family: 4 }],
    });
    const lines = [`GET http://files.example:${port}/ HTTP/1.1`, "Host: a", "", ""];
    expect(status(await say(...lines))).toBe(200);
    expect(status(await say(...lines))).toBe(403);
    expect([got.length, answers.length]).toEqual([1, 0]);
  });

  test("an unknown name, a closed port, and an answer that is no HTTP", async () => {
    const { port } = await origin("nonsense\r\n\r\n");
    const closed = createServer();
    const free = await listen(closed);
    await new Promise((resolve) => closed.close(resolve));
    const { say } = await startProxy(
      [`x.example:${port}`, `x.example:${free}`, "none.example:80"],
      {
        resolve: (name) =>
          name === "x.example" ? LOOPBACK(name) : Promise.reject(new Error("no")),
      },
    );
    for (const [host, reason] of [
      ["none.example:80", "its name is not known"],
      [`x.example:${free}`, "ECONNREFUSED"],
      [`x.example:${port}`, "the target broke the connection"],
    ]) {
      const answer = await say(`GET http://${host}/ HTTP/1.1`, "Host: a", "", "");
      expect([status(answer), answer]).toEqual([502, expect.stringContaining(reason ?? "")]);
    }
  });
});

describe("what the proxy passes on", () => {
  test("a request with the target's own host, whatever the child's headers say", async () => {
    const { got, port } = await origin();
    const { say } = await startProxy([`files.example:${port}`]);
    const answer = await say(
      `GET http://FILES.example:${port}/a/../b?c#d HTTP/1.1`,
      ...["Host: evil.example", "Host: other.example", "Proxy-Authorization: Basic c2VjcmV0"],
      ...["Connection: x-own", "X-Own: 1", "X-Kept: 2", "", ""],
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nwell$/);
    expect(got[0]).toBe(
      `GET /b?c HTTP/1.1\r\nhost: files.example:${port}\r\nX-Kept: 2\r\nConnection: close\r\n\r\n`,
    );
  });

  test.each([
    ["two lengths", ["Content-Length: 4", "Content-Length: 5"]],
    ["a length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"]],
    ["an unknown coding", ["Transfer-Encoding: xchunked"]],
    ["a line break in a name", ["X : 1\r\nY\n: 2"]],
    ["a header of 32 KiB", [`X: ${"a".repeat(32_768)}`]],
  ])("nothing with %s", async (_, headers) => {
    const { got, port } = await origin();
    const { say } = await startProxy([`files.example:${port}`]);
    const line = `POST http://files.example:${port}/ HTTP/1.1`;
    const answer = await say(
      line,
      "Host: a",
      ...headers,
      "",
      "0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
    );
    expect([400, 431, 501, 502]).toContain(status(answer));
    expect(got.join("")).not.toContain("evil");
  });

  test("no request in the body of another", async () => {
    const { got, port } = await origin();
    const { say } = await startProxy([`files.example:${port}`]);
    const inner = "GET /evil HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    const lengths = ["Connection: content-length", `Content-Length: ${inner.length}`];
    await say(`GET http://files.example:${port}/ HTTP/1.1`, "Host: a", ...lengths, "", inner);
    expect(got.join("")).toContain(`Content-Length: ${inner.length}\r\n`);
  });

  test("no other protocol", async () => {
    const head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    const { port } = await origin(head);
    const { say } = await startProxy([`files.example:${port}`]);
    const answer = await say(`GET http://files.example:${port}/ HTTP/1.1`, "Host: a", "", "");
    expect([status(answer), answer]).toEqual([502, expect.stringContaining("the protocol")]);
  });

  test("no second request on a connection", async () => {
    const { got, port } = await origin();
    const { say } = await startProxy([`files.example:${port}`]);
    const lines = [`GET http://files.example:${port}/ HTTP/1.1`, "Host: a", "", ""];
    await say(...lines, ...lines, ...lines);
    expect(got).toHaveLength(1);
  });

  test("a tunnel in both directions, until each has ended", async () => {
    const large = Buffer.alloc(8 * 1024 * 1024, "x");
    const got: Buffer[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {}).on("data", (bytes: Buffer) => got.push(bytes));
      socket.on("end", () => socket.end(large));
    });
    const { dial } = await startProxy([`files.example:${await listen(server)}`]);
    const socket = dial();
    const { port } = server.address() as AddressInfo;
    socket.end(`CONNECT files.example:${port} HTTP/1.1\r\n\r\nat once`);
    const answer = Buffer.concat(await within("the tunnel", collect<Buffer>(socket)));
    expect(Buffer.concat(got).toString()).toBe("at once");
    expect(answer.length).toBe("HTTP/1.1 200 Connection established\r\n\r\n".length + large.length);
  });
});

describe("the bounds of the proxy", () => {
  /** A tunnel to a server that keeps it open. */
  async function openTunnel(dial: () => Socket, port: number) {
    const socket = dial();
    socket.write(`CONNECT files.example:${port} HTTP/1.1\r\n\r\n`);
    const [bytes] = await within("the tunnel", once(socket, "data"));
    expect(status(String(bytes))).toBe(200);
    return socket;
  }

  test("a child has 64 connections at a time, and none when it has ended", async () => {
    const sockets: Socket[] = [];
    const port = await listen(createServer((socket) => sockets.push(socket.on("error", () => {}))));
    const { proxy, dial } = await startProxy([`files.example:${port}`]);
    const open = await Promise.all(Array.from({ length: 64 }, () => openTunnel(dial, port)));
    await within("the 65th to be closed", once(dial().resume(), "end"));
    const closed = Promise.all([...open, ...sockets].map((socket) => once(socket, "end")));
    for (const socket of [...open, ...sockets]) socket.resume();
    proxy.close();
    await within("all to be closed", closed);
  });

  test("a child that floods it with connections loses it", async () => {
    const { dial, log } = await startProxy(["files.example:443"]);
    const isRefused = () =>
      new Promise<boolean>((resolve) => {
        const socket = dial().on("error", () => resolve(true));
        socket.on("connect", () => resolve(socket.destroy() !== socket));
      });
    await until("a connection to be refused", isRefused);
    expect(log).toEqual(["a child opened too many connections to its proxy, and has lost it"]);
  });

  test("a refused child that sends on is cut off", async () => {
    const { dial } = await startProxy(["files.example:443"]);
    const socket = dial();
    const cut = new Promise((resolve) => socket.once("close", resolve));
    socket.write("CONNECT evil.example:443 HTTP/1.1\r\n\r\n");
    const [answer] = await within("the refusal", once(socket, "data"));
    expect(status(String(answer))).toBe(403);
    const flood = () => void socket.write(Buffer.alloc(65_536), (error) => error ?? flood());
    flood();
    await within("the cut", cut);
  });

  test("the log has 20 lines a minute", async () => {
    const { say, log } = await startProxy(["files.example:443"]);
    for (let n = 0; n < 25; n++) await say(`CONNECT evil${n}.example:443 HTTP/1.1`, "", "");
    expect(log).toHaveLength(21);
    expect(log[0]).toBe('the proxy refused a child "evil0.example:443"');
  });
});
