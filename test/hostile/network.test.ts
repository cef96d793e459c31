/**
 * Attacks over the network and over sockets: on the member's port, services of the machine, the
 * cloud's metadata and the kernel.
 */
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { BOTH_WAYS, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { callEvents, lastOf, startOne, textOf, within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const missing = hostileMissing ?? (onPath("perl") ? undefined : "perl is not installed");

/** A service of the machine, closed with the test. It counts its connections. */
async function listening(
  at: { port: 0; host: string } | { path: string },
): Promise<{ server: Server; visitors: () => number }> {
  let visitors = 0;
  const server = createServer((socket) => {
    visitors += 1;
    socket.on("error", () => {}).end("welcome\n");
  }).listen(at);
  await within(`a service at ${JSON.stringify(at)}`, once(server, "listening"));
  onTestFinished(() => new Promise((resolve) => void server.close(() => resolve())));
  return { server, visitors: () => visitors };
}

/** Prints for each address the service's answer, or the reason why the connection failed. */
const CONNECT = `
use Socket; use IO::Select;
for (@ARGV) {
  my ($kind, $place, $port) = split / /;
  my ($family, $address) = (AF_INET);
  if ($kind eq "tcp" || $kind eq "udp") { $address = pack_sockaddr_in($port, inet_aton($place)) }
  elsif ($kind eq "tcp6") { $family = AF_INET6; $address = Socket::pack_sockaddr_in6($port, \
Socket::inet_pton(AF_INET6, $place)) }
  elsif ($kind eq "abstract") { $family = AF_UNIX; $address = pack("S a*", AF_UNIX, "\\0$place") }
  elsif ($kind eq "unix") { $family = AF_UNIX; $address = pack_sockaddr_un($place) }
  elsif ($kind eq "vsock") { $family = 40; $address = pack("S S L L S", 40, 0, $port, $place, 0) }
  my $type = $kind eq "udp" ? SOCK_DGRAM : SOCK_STREAM;
  my $word = eval {
    local $SIG{ALRM} = sub { die "silence\\n" };
    alarm 3;
    socket(my $socket, $family, $type, 0) or die "no socket\\n";
    connect($socket, $address) or die "no connection\\n";
    my $line = $kind eq "udp" ? (defined send($socket, "x", 0) ? "sent" : "not sent") : <$socket>;
    alarm 0;
    $line // "nothing";
  } // $@;
  chomp $word;
  print "$_: $word\\n";
}`;

/** Opens a socket of each kind, and prints those that open. */
const OPEN = `
my %kinds = (vsock => [40, 1, 0], packet => [17, 3, 0], raw => [2, 3, 1], raw6 => [10, 3, 58], \
oldpacket => [2, 10, 3], crypto => [38, 5, 0],
  bluetooth => [31, 3, 0], can => [29, 3, 1], xdp => [44, 3, 0], tipc => [30, 5, 0], rds => \
[21, 5, 0], smc => [43, 1, 0], key => [15, 3, 2], kcm => [41, 2, 0]);
for (sort keys %kinds) { print "$_\\n" if socket(my $socket, $kinds{$_}[0], $kinds{$_}[1], \
$kinds{$_}[2]) }
print "tried\\n";`;

const lines = (text: string) =>
  Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(": ") as [string, string]),
  );

/** The services of a machine that an attacker would look for, and their addresses. */
async function services(memberUrl: string) {
  const loopback = await listening({ port: 0, host: "127.0.0.1" });
  const folder = mkdtempSync(join(tmpdir(), "dpool-docker-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const path = join(folder, "docker.sock");
  const unix = await listening({ path });
  chmodSync(path, 0o777);
  const name = `dpool-test-${process.pid}-${folder.split("-").at(-1)}`;
  const abstract = await listening({ path: `\0${name}` });
  const consul = `tcp 127.0.0.1 ${(loopback.server.address() as AddressInfo).port}`;
  return {
    consul,
    member: `tcp 127.0.0.1 ${new URL(memberUrl).port}`,
    docker: `unix ${path}`,
    abstract: `abstract ${name}`,
    visitors: () => ({
      consul: loopback.visitors(),
      docker: unix.visitors(),
      abstract: abstract.visitors(),
    }),
  };
}

describe.skipIf(missing)(`network${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("no service of the machine, of its neighbours or of the cloud answers", async () => {
    const { member, attack, inBoth } = await startAttacked({ pools: BOTH_WAYS });
    const { visitors, ...addresses } = await services(member.url);
    const elsewhere = [
      "tcp 169.254.169.254 80",
      "tcp 10.0.0.1 80",
      "tcp 192.0.2.1 443",
      "tcp6 fd00:ec2::254 80",
      "tcp6 ::1 8500",
      "udp 192.0.2.1 53",
      "vsock 2 1024",
    ];
    const all = [...Object.values(addresses), ...elsewhere];
    const outcomes = all.map((address) => [
      address,
      address.startsWith("vsock") ? "no socket" : "no connection",
    ]);
    for (const events of await inBoth({ command: ["perl", "-e", CONNECT, ...all] }))
      expect(lines(textOf(events))).toEqual(Object.fromEntries(outcomes));
    expect(visitors()).toEqual({ consul: 0, docker: 0, abstract: 0 });
    const source = `async (url) => {
      const tried = {};
      for (const [name, act] of Object.entries({
        member: () => fetch(url), metadata: () => fetch("http://169.254.169.254/latest/meta-data/"),
        name: () => require("node:dns/promises").resolve4("example.com"), lookup: () => \
require("node:dns/promises").lookup("example.com"),
      })) tried[name] = await act().then(() => "answered", () => "nothing");
      return tried;
    }`;
    const events = await attack({ function: { source, args: [`${member.url}/livez`] } });
    expect(lastOf(events, "result").value).toEqual({
      member: "nothing",
      metadata: "nothing",
      name: "nothing",
      lookup: "nothing",
    });
  });

  test("no socket leads out of the child's own network", async () => {
    const { inBoth } = await startAttacked({ pools: BOTH_WAYS });
    for (const events of await inBoth({ command: ["perl", "-e", OPEN] }))
      expect(textOf(events)).toBe("tried\n");
  });

  test("a child has its own loopback and abstract sockets, and can add no route", async () => {
    const { attack, script } = await startAttacked();
    const source = `async () => {
      const { createServer, connect } = require("node:net");
      const { once } = require("node:events");
      const server = createServer((socket) => socket.end("own")).listen(7400, "127.0.0.1");
      await once(server, "listening");
      const [bytes] = await once(connect(7400, "127.0.0.1"), "data");
      server.close();
      return bytes.toString();
    }`;
    expect(lastOf(await attack({ function: { source } }), "result").value).toBe("own");
    const add =
      "ip link add dummy0 type dummy || ip addr add 10.9.9.9/8 dev lo || ip " +
      "route add default dev lo || ifconfig lo 10.0.0.1 || iptables -L || nft " +
      "list ruleset";
    expect(
      textOf(
        await script(
          `( ${add} ) 2>/dev/null && echo made; tail -n +2 /proc/net/route; tail -n ` +
            "+3 /proc/net/dev | grep -v ' lo:'; ls /sys/class/net 2>/dev/null; true",
        ),
      ),
    ).toBe("");
  });

  test("the grant of the host's network gives its services, and nothing more", async () => {
    const member = await startOne({
      pools: { pipeline: { maxChildren: 3, network: "host" } },
      graceMs: 200,
    });
    const { visitors, docker, ...shared } = await services(member.url);
    // Neither a file's socket nor the socket to the hypervisor is part of the network.
    const all = [shared.consul, shared.abstract, docker, "vsock 2 1024"];
    const found = lines(
      textOf(
        await callEvents(member.url, "/call", {
          pool: "pipeline",
          command: ["perl", "-e", CONNECT, ...all],
        }),
      ),
    );
    expect(found).toEqual({
      [shared.consul]: "welcome",
      [shared.abstract]: "welcome",
      [docker]: "no connection",
      "vsock 2 1024": "no socket",
    });
    expect(visitors()).toEqual({ consul: 1, docker: 0, abstract: 1 });
    expect(
      textOf(
        await callEvents(member.url, "/call", { pool: "pipeline", command: ["perl", "-e", OPEN] }),
      ),
    ).toBe("tried\n");
    const source = "async (url) => (await (await fetch(url)).json()).status";
    const events = await callEvents(member.url, "/call", {
      pool: "pipeline",
      function: { source, args: [`${member.url}/livez`] },
    });
    expect(lastOf(events, "result").value).toBe("ok");
    // The host's network cannot be changed.
    const change =
      "ip link set lo down || ip link add dummy0 type dummy || ip route add " +
      "192.0.2.0/24 dev lo || ifconfig lo down || echo 1 >/proc/sys/net/ipv4/ip_forward";
    expect(
      textOf(
        await callEvents(member.url, "/call", {
          pool: "pipeline",
          command: ["sh", "-c", `( ${change} ) 2>/dev/null && echo made; echo tried`],
        }),
      ),
    ).toBe("tried\n");
  });
});
