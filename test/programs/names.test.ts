/** Programs that ask who they are, what `localhost` is, and for names that do not exist. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { RunningMember } from "../../server/main.ts";
import type { PoolOptions } from "../../server/member/pool-options.ts";
import { post, startOne } from "../helpers/member.ts";
import { bunMissing, onPath, pythonMissing } from "../helpers/programs.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

/** A name that only a name server could know. */
const UNKNOWN = "files.example";

const start = (pool: Partial<PoolOptions> = {}) =>
  startOne({ path: process.env.PATH, pools: { pipeline: { maxChildren: 8, ...pool } } });

interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
  readonly value: unknown;
}

async function run({ url }: RunningMember, spec: ChildSpecInput): Promise<Run> {
  const answer = await post(url, "/run", { pool: "pipeline", deadlineMs: 30_000, ...spec });
  const { stdout, stderr, exitCode, value, ...other } = (await answer.json()) as Run;
  expect(answer.status, JSON.stringify(other)).toBe(200);
  return { stdout, stderr, exitCode, value };
}
const shell = (member: RunningMember, script: string) =>
  run(member, { command: ["sh", "-c", script] });

const GO = `package main
import ("fmt"; "net"; "os/user")
func main() {
	who, err := user.Current()
	fmt.Println(who.Username, who.HomeDir, err)
	listener, err := net.Listen("tcp", "localhost:0")
	fmt.Println(listener != nil, err)
	_, err = net.LookupHost("${UNKNOWN}")
	fmt.Println(err.(*net.DNSError).IsNotFound)
}`;
const C = `#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  struct addrinfo *found;
  printf("%s %d\\n", getpwuid(getuid())->pw_name, getaddrinfo("localhost", "80", 0, &found));
  for (int n = 0; n < 12; n++)
    if (getaddrinfo("${UNKNOWN}", "80", 0, &found) == 0) return 1;
  puts("unknown");
}`;
const JAVA = `import java.net.*;
public class Main {
  public static void main(String[] args) throws Exception {
    System.out.println(System.getProperty("user.name") + " " + System.getProperty("user.home"));
    System.out.println(new ServerSocket(0, 1, InetAddress.getByName("localhost")).isBound());
    System.out.println(InetAddress.getLocalHost().getHostName());
    try { InetAddress.getByName("${UNKNOWN}"); }
    catch (UnknownHostException unknown) { System.out.println("unknown"); }
  }
}`;
const JAVASCRIPT = `async () => {
  const [{ userInfo, homedir }, { createServer }, dns, { once }] = await Promise.all([
    import("node:os"), import("node:net"), import("node:dns"), import("node:events"),
  ]);
  const server = createServer().listen(0, "localhost");
  await once(server, "listening");
  server.close();
  const code = (promise) => promise.then(() => "found", (error) => error.code);
  return {
    user: userInfo().username,
    home: homedir(),
    lookup: await code(dns.promises.lookup("${UNKNOWN}")),
    resolve: await code(dns.promises.resolve4("${UNKNOWN}")),
  };
}`;
const PYTHON = `
def work():
    import getpass, os, pwd, socket
    with socket.socket() as server:
        server.bind(("localhost", 0))
    try:
        socket.getaddrinfo("${UNKNOWN}", 80)
    except socket.gaierror as error:
        unknown = error.errno == socket.EAI_NONAME
    names = [getpass.getuser(), pwd.getpwuid(os.getuid()).pw_name, os.path.expanduser("~")]
    return names + [socket.gethostbyname(socket.gethostname()), unknown]
`;

describe.skipIf(!HAS_BUBBLEWRAP)("names in a child without a network", () => {
  /** Programs that are compiled outside, as callers and operators do. */
  let bin: string;
  beforeAll(() => {
    bin = mkdtempSync(join(tmpdir(), "dpool-names-"));
    const compile = (source: string, text: string, command: string, ...args: string[]) => {
      writeFileSync(join(bin, source), text);
      if (!onPath(command)) return;
      const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "" };
      execFileSync(command, args, { cwd: bin, env });
    };
    compile("names.go", GO, "go", "build", "-o", "names-go", "names.go");
    compile("names.c", C, "musl-gcc", "-static", "-o", "names-musl", "names.c");
    execFileSync("chmod", ["-R", "a+rX", bin]);
  }, 120_000);
  afterAll(() => rmSync(bin, { recursive: true, force: true }));

  test("id, whoami, getent, perl, busybox and bash know them", async () => {
    const member = await start();
    const { stdout } = await shell(
      member,
      `id -un; id -gn; whoami; busybox whoami; perl -e 'print scalar getpwuid($>), "\\n"'; ` +
        "bash -c 'echo ~ $USER $LOGNAME; : >~nobody/file; ls ~'; getent hosts child; " +
        "stat -c %U:%G /work; getent services http | tr -s ' '",
    );
    expect(stdout.split("\n")).toEqual([
      ...["nobody", "nogroup", "nobody", "nobody", "nobody", "/work nobody nobody", "file"],
      expect.stringMatching(/^127\.0\.0\.1 +localhost child$/),
      "nobody:nogroup",
      "http 80/tcp www",
      "",
    ]);
  });

  test("curl, git, wget and getent do not know a name", async () => {
    const member = await start();
    const programs = {
      curl: `curl -sS http://${UNKNOWN}/`,
      git: `git ls-remote https://${UNKNOWN}/x.git`,
      busybox: `busybox wget -q -O- http://${UNKNOWN}/ || exit 4`,
      getent: `getent ahosts ${UNKNOWN}`,
    };
    const codes = Object.entries(programs).map(async ([name, script]) => [
      name,
      (await shell(member, script)).exitCode,
    ]);
    // curl's 6 is "could not resolve host", and getent's 2 "not found".
    expect(Object.fromEntries(await Promise.all(codes))).toEqual({
      ...{ curl: 6, git: 128, busybox: 4, getent: 2 },
    });
  });

  test("node and bun listen on localhost, and do not know a name", async () => {
    const member = await start();
    const known = { user: "nobody", home: "/work", lookup: "ENOTFOUND" };
    for (const runtime of bunMissing ? ["node"] : ["node", "bun"]) {
      const { value } = await run(member, { function: { runtime, source: JAVASCRIPT } });
      // c-ares asks the name server, to which there is no route.
      expect(value, runtime).toMatchObject(known);
      expect((value as { resolve: string }).resolve).toMatch(/^(ECONNREFUSED|ENOTFOUND)$/);
    }
  });

  test.skipIf(pythonMissing)("python binds to localhost, and does not know a name", async () => {
    const { value } = await run(await start(), { function: { runtime: "python", source: PYTHON } });
    expect(value).toEqual(["nobody", "nobody", "/work", "127.0.0.1", true]);
  });

  test.skipIf(!onPath("javac"))("Java compiles and runs a class", async () => {
    const { stdout, stderr } = await run(await start(), {
      command: ["sh", "-c", "javac Main.java && java Main"],
      files: { "Main.java": JAVA },
    });
    expect(stdout, stderr).toBe("nobody /work\ntrue\nchild\nunknown\n");
  });

  test.skipIf(!onPath("go"))("Go's own resolver does not know a name", async () => {
    const member = await start({ readOnly: [`${bin}:/programs`] });
    const { stdout, stderr } = await run(member, { command: ["/programs/names-go"] });
    expect(stdout, stderr).toBe("nobody /work <nil>\ntrue <nil>\ntrue\n");
  });

  // musl asks the name servers of `resolv.conf` whatever `nsswitch.conf` says: 12 names would take
  // a minute, and the deadline is half of it.
  test.skipIf(!onPath("musl-gcc"))("musl does not wait for a name server", async () => {
    const member = await start({ readOnly: [`${bin}:/programs`] });
    const { stdout, stderr } = await run(member, { command: ["/programs/names-musl"] });
    expect(stdout, stderr).toBe("nobody 0\nunknown\n");
  });

  test("with the host's network, names are the host's", async () => {
    const member = await start({ network: "host" });
    const { stdout } = await shell(
      member,
      "cat /etc/hosts /etc/nsswitch.conf /etc/resolv.conf 2>/dev/null; whoami",
    );
    const files = ["/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"];
    const texts = files
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, "utf8"));
    expect(stdout).toBe(`${texts.join("")}nobody\n`);
    const local = await shell(member, "getent ahosts localhost");
    expect(local.stdout).toBe(
      execFileSync("getent", ["ahosts", "localhost"], { encoding: "utf8" }),
    );
  });
});
