/** Attacks from a child that may reach listed names and ports through the member's proxy. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { egressMissing, reachable, serve } from "../helpers/egress.ts";
import { startAttacked } from "../helpers/hostile.ts";
import { eventsOf, lastOf, post, startOne, streamOf, textOf, within } from "../helpers/member.ts";

async function start() {
  const log: string[] = [];
  const { pool, hosts, plain } = await reachable("/nowhere");
  const attacked = await startAttacked({
    pools: { pipeline: pool, sibling: 1, none: 1 },
    log: (_, message) => log.push(message),
  });
  return { ...attacked, hosts, plain, log };
}

/** Prints the first line that the proxy answers to each request. */
const ASK = `
for (@ARGV) {
  socket(my $socket, 2, 1, 0) or die;
  connect($socket, pack("S n C4 x8", 2, 3128, 127, 0, 0, 1)) or do { print "refused\\n"; next };
  syswrite $socket, "$_\\r\\n\\r\\n";
  my $line = <$socket>;
  print $line =~ /^HTTP.1.1 (\\d+)/ ? "$1\\n" : "nothing\\n";
}`;
/** Opens connections until one is refused, and keeps \`keep\` of them. */
const FLOOD = `
my ($keep, $most) = @ARGV;
my @kept;
for my $n (1 .. $most) {
  socket(my $socket, 2, 1, 0) or next;
  connect($socket, pack("S n C4 x8", 2, 3128, 127, 0, 0, 1)) or do { print "refused\\n"; last };
  push @kept, $socket if @kept < $keep;
}
print scalar @kept, "\\n";`;

describe.skipIf(egressMissing)(
  `egress${egressMissing ? ` (skipped: ${egressMissing})` : ""}`,
  () => {
    test("nothing but the listed targets answers", async () => {
      const { member, attack, hosts, plain, log } = await start();
      const other = await serve((_, outgoing) => outgoing.end("other"));
      const own = new URL(member.url).port;
      const places = [
        ...[`127.0.0.2:${other.port}`, `127.0.0.1:${plain.port}`, `localhost:${plain.port}`],
        ...[`127.0.0.1:${own}`, `localhost:${own}`, `0.0.0.0:${own}`, `[::1]:${own}`],
        ...[`[::ffff:127.0.0.2]:${plain.port}`, "169.254.169.254:80", "[fd00:ec2::254]:80"],
        ...["example.com:443", "metadata.google.internal:80", "127.0.0.1:3128", "127.0.0.1:8500"],
      ];
      const requests = places.flatMap((place) => [
        `CONNECT ${place} HTTP/1.1\r\nHost: ${hosts.plain}`,
        `GET http://${place}/ HTTP/1.1\r\nHost: ${hosts.plain}`,
      ]);
      const events = await attack({ command: ["perl", "-e", ASK, ...requests] });
      expect(textOf(events)).toBe("403\n".repeat(requests.length));
      expect([other.visitors(), plain.visitors()]).toEqual([0, 0]);
      expect(log).toContain('the proxy refused a child "169.254.169.254:80"');
      // The same program reaches the listed one, in another form of its address, too.
      const listed = [hosts.plain, `0x7f000002:${plain.port}`].map(
        (place) => `GET http://${place}/ HTTP/1.1\r\nHost: a`,
      );
      expect(textOf(await attack({ command: ["perl", "-e", ASK, ...listed] }))).toBe("200\n200\n");
    });

    test("the way past the proxy is closed, and so is another child's proxy", async () => {
      const { member, script, hosts } = await start();
      const direct =
        "tail -n +2 /proc/net/route; tail -n +3 /proc/net/dev | grep -v ' lo:'; " +
        `curl -sS --noproxy '*' -m 3 http://${hosts.plain}/ 2>&1 | grep -o "Couldn't connect"`;
      expect(textOf(await script(direct))).toBe("Couldn't connect\n");
      const answer = await post(member.url, "/call", {
        pool: "none",
        command: ["perl", "-e", ASK, "GET / HTTP/1.1"],
      });
      expect(textOf(await eventsOf(answer))).toBe("refused\n");
    });

    test("a caller's variables, files and input do not reach what opens the proxy", async () => {
      const { attack } = await start();
      const env = {
        ...{ PERL5OPT: "-Mevil", PERL5LIB: "/work", PERL5DB: "BEGIN { exit 7 }", PATH: "/work" },
        ...{ LD_PRELOAD: "/proc/self/fd/0", LD_LIBRARY_PATH: "/work", LD_AUDIT: "/work/evil.so" },
        ...{ NODE_CHANNEL_FD: "12", ENV: "/work/evil", BASH_ENV: "/work/evil" },
      };
      const files = { "evil.pm": "exit 7", "evil.so": "x", perl: "exit 7", evil: "exit 7" };
      // Neither the channel to the member nor the listening socket is open.
      const text = "echo $PERL5OPT; /bin/ls -l /proc/self/fd | /bin/grep socket; true";
      const command = ["/bin/sh", "-c", text];
      const events = await attack({ command, env, files, stdin: "in" });
      expect(textOf(events)).toBe("-Mevil\n");
      expect(lastOf(events, "result").exitCode).toBe(0);
      const look = ["sh", "-c", "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep CHANNEL; true"];
      expect(textOf(await attack({ command: look }))).toBe("");
    });

    test("a flood of connections, and many that say nothing", async () => {
      const { attack, hosts, log } = await start();
      const flood = await attack({ command: ["perl", "-e", FLOOD, "0", "100000"] });
      expect(textOf(flood)).toBe("refused\n0\n");
      expect(log).toContain("a child opened too many connections to its proxy, and has lost it");
      await attack({ command: ["perl", "-e", FLOOD, "400", "400"] });
      const well = ["perl", "-e", ASK, `GET http://${hosts.plain}/ HTTP/1.1\r\nHost: a`];
      expect(textOf(await attack({ command: well }))).toBe("200\n");
    });

    test("a child that ends closes its connections, also those that nobody reads", async () => {
      const service = createServer().listen(0, "0.0.0.0");
      await within("a service", once(service, "listening"));
      onTestFinished(() => void service.close());
      const host = `127.0.0.2:${(service.address() as AddressInfo).port}`;
      const { member, contained } = await startAttacked({
        pools: { pipeline: { maxChildren: 3, network: { allow: [host] } }, sibling: 1 },
      });
      const text =
        `printf 'CONNECT ${host} HTTP/1.1\\r\\n\\r\\n' >&3; read -r line <&3; echo "$line"; ` +
        "exec cat /dev/zero >&3";
      const command = ["bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/3128; ${text}`];
      const connected = once(service, "connection") as Promise<[Socket]>;
      const events = streamOf(await post(member.url, "/call", { pool: "pipeline", command }));
      const [socket] = await within("the tunnel", connected);
      socket.on("error", () => {});
      let child = "";
      for await (const event of events) {
        if (event.type === "placed") child = event.child.id;
        if (event.type === "stdout") break;
      }
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.resume();
      await fetch(`${member.url}/children/${child}`, { method: "DELETE" });
      await within("the service's connection to close", closed);
      await contained();
    });

    test("a member whose sandbox has no Perl does not start", async () => {
      const root = mkdtempSync(join(tmpdir(), "dpool-root-"));
      onTestFinished(() => rmSync(root, { recursive: true, force: true }));
      // The children's user has to reach it.
      chmodSync(root, 0o755);
      const libraries = execFileSync("ldd", ["/bin/sh"], { encoding: "utf8" }).match(
        /\/\S+(?= \()/g,
      );
      for (const file of ["/bin/sh", ...(libraries ?? [])]) {
        mkdirSync(dirname(join(root, file)), { recursive: true });
        copyFileSync(file, join(root, file));
      }
      const pool = { maxChildren: 1, root, network: { allow: ["files.example:443"] } };
      await expect(startOne({ pools: { pipeline: pool } })).rejects.toThrow(
        /network\.allow needs \/usr\/bin\/perl/,
      );
    });
  },
);
