/**
 * Attacks on memory of the kernel that no control group counts: connections that nobody accepts,
 * access lists of files, memory policies and huge pages.
 */
import { describe, expect, test } from "vitest";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf, textOf } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const missing = hostileMissing ?? (onPath("perl") ? undefined : "perl is not installed");
const limits = { memoryBytes: 64 * 1024 * 1024 };

/**
 * Listens, connects to itself, and accepts nothing. Its arguments: the family, whether the
 * connections are reset or hold data, and the number of processes that do so.
 */
const CONNECT = `
use Socket;
my ($family, $how, $processes) = @ARGV;
for (2 .. $processes) { last unless fork }
for (1 .. 900) {
  socket my $l, $family, SOCK_STREAM, 0 or die "socket: $!";
  setsockopt $l, SOL_SOCKET, SO_RCVBUF, 8 << 20 if $how eq "large";
  bind $l, $family == AF_INET ? pack_sockaddr_in(0, INADDR_LOOPBACK)
    : Socket::pack_sockaddr_in6(0, Socket::inet_pton(AF_INET6, "::1")) or die "bind: $!";
  listen $l, 65535 or die "listen: $!";
  push @held, $l;
  for (1 .. 4096) {
    socket my $w, $family, SOCK_STREAM, 0 or die "socket: $!";
    fcntl $w, 4, 2048;
    connect $w, getsockname $l;
    getpeername $w or last;
    if ($how eq "reset") { setsockopt $w, SOL_SOCKET, SO_LINGER, pack "ii", 1, 0 }
    else { 1 while syswrite $w, "x" x 65536 }
    close $w;
  }
}
sleep 30;`;

/** A server that is busy while its clients wait, and then answers all of them. */
const BUSY_SERVER = `async () => {
  const { createServer, connect } = require("node:net");
  const { once } = require("node:events");
  const server = createServer((socket) => socket.resume().end("y")).listen(0, "127.0.0.1", 511);
  await once(server, "listening");
  const clients = Array.from({ length: 400 }, () => connect(server.address().port, "127.0.0.1"));
  for (const client of clients) client.end("x".repeat(500));
  const until = Date.now() + 500;
  while (Date.now() < until);
  const answers = await Promise.all(clients.map((client) => once(client, "data")));
  server.close();
  return answers.length;
}`;

/** Calls a system call, and prints its error. x86-64 and arm64 have different numbers. */
const CALL = `
my ($number, @arguments) = map { /^-?\\d+$/ ? 0 + $_ : $_ } @ARGV;
print syscall($number, @arguments) == -1 ? 0 + $! : 0;`;
const [EOPNOTSUPP, ENOSYS, ENOMEM] = ["95", "38", "12"];
const x64 = process.arch === "x64";

describe.skipIf(missing)(`memory of the kernel${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test.each([
    ["reset in the queue", 2, "reset", 1],
    ["reset in the queue, over IPv6", 10, "reset", 1],
    ["reset by many processes", 2, "reset", 4],
    ["with data", 2, "data", 1],
    ["with data in large buffers", 2, "large", 1],
  ] as const)("connections that nobody accepts, %s, end the child", async (_, ...args) => {
    const { attack } = await startAttacked();
    const events = await attack({
      command: ["perl", "-e", CONNECT, ...args.map(String)],
      limits,
    });
    expect(lastOf(events, "failed").problem).toMatchObject({ code: "out_of_memory" });
  });

  test("the same on the host's network ends the child", async () => {
    const { attack } = await startAttacked({
      pools: { pipeline: { maxChildren: 3, network: "host" }, sibling: 1 },
    });
    const events = await attack({ command: ["perl", "-e", CONNECT, "2", "reset", "1"], limits });
    expect(lastOf(events, "failed").problem).toMatchObject({ code: "out_of_memory" });
  });

  test("a server with 400 clients in its queue goes on", async () => {
    const { attack } = await startAttacked();
    expect(lastOf(await attack({ function: { source: BUSY_SERVER } }), "result").value).toBe(400);
  });

  test.each([
    ["access list", [x64 ? 190 : 7, "1", "system.posix_acl_access", "", "0", "0"], EOPNOTSUPP],
    ["memory policy", [x64 ? 237 : 235, "0", "0", "0", "0", "0", "0"], ENOSYS],
    ["huge pages by mmap", [x64 ? 9 : 222, "0", "2097152", "3", `${0x40022}`, "-1", "0"], ENOMEM],
    ["huge pages by shmget", [x64 ? 29 : 194, "0", "2097152", `${0o4600}`], ENOMEM],
  ] as const)("a child gets no %s", async (_, call, errno) => {
    const { attack } = await startAttacked();
    const events = await attack({ command: ["perl", "-e", CALL, ...call.map(String)] });
    expect(textOf(events)).toBe(errno);
  });
});
