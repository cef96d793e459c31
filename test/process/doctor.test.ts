/**
 * `dpool doctor`: each test makes one fault for real, sees that the report names this one alone,
 * does what the cure says, and sees a clean report.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, type TestFunction, test } from "vitest";
import { CLI, dpool } from "../helpers/command-line.ts";
import { type ConsulAgent, consulBinary, consulMissing, startConsul } from "../helpers/consul.ts";
import { faultsOf, namesOf, type Report, type Visit, visitTwice } from "../helpers/doctor.ts";
import { GuardedConsul } from "../helpers/guarded-consul.ts";
import { startOne, within } from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";
import { onPath } from "../helpers/programs.ts";
import { LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually } from "../helpers/wait.ts";

const WAIT_MS = 10_000;
/** A machine on which this test may make namespaces and mounts. */
const canMount = spawnSync("unshare", ["-m", "true"]).status === 0;
const canSandbox = LEVEL !== "none";
const OLD_NODE = ["/usr/bin/node", "/usr/local/bin/node"].find((node) => {
  const [, major = "99"] =
    /^v(\d+)/.exec(spawnSync(node, ["-v"], { encoding: "utf8" }).stdout) ?? [];
  return Number(major) < 22;
});

const MEMBER = "d1";
const WITH_SANDBOX = ["--pool", "pipeline=1", "--port", "0", "--member", MEMBER];
/** A test with the reason in its name where this machine lacks what the test needs. */
function needing(needs: Readonly<Record<string, boolean>>) {
  const missing = Object.keys(needs).filter((need) => !needs[need]);
  const reason = missing.length > 0 ? ` (skipped: it needs ${missing.join(", ")})` : "";
  return (name: string, run: TestFunction) => test.skipIf(reason !== "")(name + reason, run);
}
const MOUNTS = { "the right to mount": canMount };
const SANDBOXES = { ...MOUNTS, bubblewrap: canSandbox };
const CLOCKS = { faketime: onPath("faketime") };

const folder = mkdtempSync(join(tmpdir(), "dpool-doctor-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

/** Without a sandbox, and without looking for the programs of functions, a visit is shorter. */
const OFF = ["--sandbox", "off", "--config", at("quick.yaml")];
writeFileSync(at("quick.yaml"), 'pools: {pipeline: {maxChildren: 1, commands: ["true"]}}\n');

let agent: ConsulAgent | undefined;
const usual: { plain: string[]; sandboxed: string[] } = { plain: [], sandboxed: [] };
/** The options of a visit. */
const named = (args: readonly string[]) => [
  ...WITH_SANDBOX,
  "--consul",
  agent?.httpAddress ?? "",
  ...args,
];

async function visit(args: readonly string[], env: Record<string, string> = {}): Promise<Report> {
  const { code, stdout, stderr } = await dpool(["doctor", "--output", "json", ...args], { env });
  expect(stdout, stderr).toMatch(/^\{.*\}\n$/);
  return { ...JSON.parse(stdout), code };
}

/** The report has this fault and those that this machine always has. */
function expectOnly(report: Report, fault: string, always: readonly string[] = usual.plain): void {
  expect([...new Set(namesOf(report))].toSorted(), JSON.stringify(faultsOf(report))).toEqual(
    [...new Set([...always, fault])].toSorted(),
  );
}
const expectClean = (report: Report, always: readonly string[] = usual.plain) => {
  expect(namesOf(report), JSON.stringify(faultsOf(report))).toEqual(always);
  expect(report.code).toBe(0);
};

/** Two visits with the command of the cure between them. */
async function curedByCommand(name: string, { args, ...rest }: Visit, always = usual.plain) {
  const { before, after } = await visitTwice(name, { args: named(args), ...rest });
  expectOnly(before, name, always);
  expectClean(after, always);
  return before.checks.find((check) => check.name === name);
}

beforeAll(async () => {
  if (consulMissing) return;
  agent = await startConsul();
  const [plain, sandboxed] = await Promise.all([
    visit(named(OFF)),
    visit(named(["--sandbox", SANDBOX_OPTION])),
  ]);
  usual.plain = namesOf(plain);
  usual.sandboxed = namesOf(sandboxed);
  expect([plain.code, sandboxed.code], JSON.stringify([plain, sandboxed])).toEqual([0, 0]);
});
afterAll(() => agent?.stop());

const noConsul = consulMissing ? ` (skipped: ${consulMissing})` : "";
describe.skipIf(consulMissing).concurrent(`each fault alone, and its cure${noConsul}`, () => {
  needing({ "a Node before 22": OLD_NODE !== undefined })(
    "a Node that is too old",
    async ({ expect }) => {
      const { stdout, status } = spawnSync(OLD_NODE as string, [CLI, "doctor", "-o", "json"], {
        encoding: "utf8",
      });
      const { checks } = JSON.parse(stdout) as Report;
      expect([status, checks.map(({ name, status }) => [name, status])]).toEqual([
        1,
        [["node", "failed"]],
      ]);
      expect(checks[0]?.cure).toContain("install Node");
      expectClean(await visit(named(OFF)));
    },
  );

  needing(SANDBOXES)("no bubblewrap", async () => {
    writeFileSync(at("nothing"), "", { mode: 0o644 });
    const found = await curedByCommand(
      "bubblewrap",
      {
        args: ["--sandbox", SANDBOX_OPTION],
        by: ["unshare", "-m"],
        fault: `mount --bind '${at("nothing")}' /usr/bin/bwrap`,
        // The package is installed here, under the mount.
        programs: installers("bubblewrap", "umount /usr/bin/bwrap"),
      },
      usual.sandboxed,
    );
    expect(found?.detail).toContain("bwrap");
  });

  needing({ ...SANDBOXES, sysctl: onPath("sysctl") })("no user namespaces", async () => {
    await curedByCommand(
      "user namespaces",
      {
        args: ["--sandbox", SANDBOX_OPTION],
        // A user namespace of its own has its own count of those in it.
        by: ["unshare", "-U"],
        begun: mapAllUsers,
        fault: "echo 0 >/proc/sys/user/max_user_namespaces",
      },
      usual.sandboxed,
    );
  });

  needing(SANDBOXES)("no python", async () => {
    writeFileSync(at("no-python"), "", { mode: 0o644 });
    await curedByCommand(
      "python",
      {
        args: ["--sandbox", SANDBOX_OPTION],
        by: ["unshare", "-m"],
        fault: `mount --bind '${at("no-python")}' /usr/bin/python3`,
        programs: installers("python3", "umount /usr/bin/python3"),
      },
      usual.sandboxed,
    );
  });

  test("a token file that others may read and write", async () => {
    const { stdout } = await dpool(["token", "someone"]);
    const file = at("open-tokens");
    writeFileSync(file, stdout);
    chmodSync(file, 0o646);
    await curedByCommand("token file", { args: [...OFF, "--token-file", file] });
  });

  test("a port that is taken", async ({ onTestFinished }) => {
    const script =
      "const server = require('net').createServer();" +
      "server.listen(0, '127.0.0.1', () => console.log(server.address().port));";
    const other = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    onTestFinished(() => void other.kill("SIGKILL"));
    const [port] = await within("the port of the other program", once(other.stdout, "data"));
    const found = await curedByCommand("port", { args: [...OFF, "--port", String(port).trim()] });
    expect(found?.detail).toContain(`process ${other.pid}`);
  });

  test("a low limit of descriptors", async () => {
    const found = await curedByCommand("descriptors", {
      args: [...OFF, "--max-connections", "200"],
      // A machine whose limit is low, except in a shell that has raised its own.
      fault: "ulimit -S -n 512",
      node: `$([ $(ulimit -n) = 1024 ] || echo prlimit --nofile=300) '${process.execPath}'`,
    });
    expect(found?.cure).toContain("LimitNOFILE=1024");
  });

  needing(MOUNTS)("no space in the temporary folder", async () => {
    const tmp = mkdtempSync(at("tmp-"));
    await curedByCommand("temporary folder", {
      args: OFF,
      by: ["unshare", "-m"],
      fault: `mount -t tmpfs -o size=2m none '${tmp}'; export TMPDIR='${tmp}'`,
    });
  });

  needing({ ...CLOCKS, openssl: hasOpenssl })(
    "certificates: expired, or another's",
    async ({ onTestFinished }) => {
      const pki = new Pki();
      onTestFinished(() => pki.remove());
      pki.authority("ca");
      const args = named([
        ...OFF,
        "--tls-cert",
        pki.at("m.pem"),
        "--tls-key",
        pki.at("m.key"),
        "--tls-ca",
        pki.at("ca.pem"),
      ]);
      pki.certificate("m", "ca", { members: [MEMBER], agoDays: 30 });
      expectOnly(await visit(args), "certificate dates");
      pki.certificate("m", "ca", { members: ["other"] });
      const report = await visit(args);
      expect(namesOf(report).toSorted()).toEqual(
        [...usual.plain, "certificate dates", "certificate name"].toSorted(),
      );
      const cure = report.checks.find(({ name }) => name === "certificate name")?.cure ?? "";
      const [flag = "", member = ""] = /--member \S+/.exec(cure)?.[0].split(" ") ?? [];
      expect(namesOf(await visit([...args, flag, member]))).not.toContain("certificate name");
    },
  );
});

/** The installers of the distributions that the doctor knows; each installs one package. */
function installers(name: string, script: string): Record<string, string> {
  const programs = ["apt-get", "dnf", "apk", "pacman", "zypper"];
  return Object.fromEntries(
    programs.map((program) => [program, `case "$*" in *${name}*) ${script} ;; esac`]),
  );
}

/** Waits until a process has a user namespace of its own, and gives it all users. */
async function mapAllUsers(pid: number): Promise<void> {
  const own = readlinkSync("/proc/self/ns/user");
  await eventually(
    "a user namespace",
    () => expect(readlinkSync(`/proc/${pid}/ns/user`)).not.toBe(own),
    WAIT_MS,
  );
  for (const map of ["uid_map", "gid_map"])
    writeFileSync(`/proc/${pid}/${map}`, "0 0 4294967295\n");
}

describe.skipIf(consulMissing).concurrent(`Consul${noConsul}`, () => {
  test("does not answer", async ({ onTestFinished }) => {
    const own = await startConsul();
    onTestFinished(() => own.stop());
    const args = [...WITH_SANDBOX, ...OFF, "--consul", own.httpAddress];
    await own.stop();
    const report = await visit(args);
    expectOnly(report, "consul");
    expect(report.checks.find(({ name }) => name === "consul")?.cure).toContain("start the agent");
    await own.restart();
    expectClean(await visit(args));
  });

  test("a token without rights", async ({ onTestFinished }) => {
    const guarded = new GuardedConsul();
    await guarded.start();
    onTestFinished(() => guarded.agent.stop());
    const token = guarded.token("doctor", 'service "other" { policy = "read" }');
    const args = [...WITH_SANDBOX, ...OFF, "--consul", guarded.agent.httpAddress];
    const env = { CONSUL_HTTP_TOKEN: token };
    const report = await visit(args, env);
    expectOnly(report, "consul rights");
    const cure = report.checks.find(({ name }) => name === "consul rights")?.cure ?? "";
    guarded.setRules("doctor", cure.split("\n").slice(1).join("\n"));
    await eventually("the rules to hold", async () => expectClean(await visit(args, env)), WAIT_MS);
  });

  test("a heartbeat that does not pass", async ({ onTestFinished }) => {
    // The other tests ask each member that the common agent lists.
    const own = await startConsul();
    onTestFinished(() => own.stop());
    const { httpAddress } = own;
    const id = "distributed-pool-d2";
    const Check = { CheckID: `${id}-ttl`, TTL: "15s", Status: "critical" };
    const Meta = { member: "d2", scheme: "http" };
    const service = { ID: id, Name: "distributed-pool", Port: 7400, Meta, Check };
    await own.ask("/v1/agent/service/register", "PUT", service);
    await curedByCommand("consul service", {
      args: [...OFF, "--member", "d2", "--consul", httpAddress],
      env: { CONSUL_HTTP_ADDR: httpAddress },
      programs: { consul: `exec '${consulBinary()}' "$@"` },
    });
  });

  needing(CLOCKS)("a clock that is wrong", async () => {
    const marker = at("synchronised");
    await curedByCommand("clock", {
      args: OFF,
      env: { FAKETIME_DONT_FAKE_MONOTONIC: "1" },
      node: `$([ -e '${marker}' ] || echo faketime -f +1h) '${process.execPath}'`,
      programs: { timedatectl: `[ "$*" = "set-ntp true" ] && touch '${marker}'` },
    });
  });
});

describe("a member by its URL", () => {
  test("a stranger, a full pool, an unknown pool, and a member that is gone", async () => {
    const { stdout } = await dpool(["token", "someone", "--output", "json"]);
    const { token, line } = JSON.parse(stdout) as { token: string; line: string };
    writeFileSync(at("tokens"), line, { mode: 0o600 });
    const member = await startOne({ tokenFile: at("tokens"), pools: { pipeline: 1 } });
    const args = ["--url", member.url];
    const env = { DPOOL_TOKEN: token };
    const always = LEVEL === "full" ? [] : ["sandbox", "levels"];

    const strange = await visit(args);
    expectOnly(strange, "token", always.slice(0, 1));
    expect(strange.checks.find(({ name }) => name === "token")?.cure).toContain("DPOOL_TOKEN");
    expectClean(await visit(args, env), always);

    const unknown = await visit([...args, "elsewhere"], env);
    expectOnly(unknown, "pools", always.slice(0, 1));
    expectClean(await visit([...args, "pipeline"], env), always);

    const placed = await dpool(["place", "pipeline", ...args, "--", "sleep", "20"], { env });
    expectOnly(await visit(args, env), "room", always);
    await dpool(["stop", placed.stdout.trim(), "--grace-ms", "0", ...args], { env });
    expectClean(await visit(args, env), always);

    const caller = await dpool(["token", "caller", "--scope", "call", "--output", "json"]);
    const calls = JSON.parse(caller.stdout) as { token: string; line: string };
    writeFileSync(at("tokens"), `${line}\n${calls.line}\n`);
    const caught = { DPOOL_TOKEN: calls.token, DPOOL_URL: member.url };
    await eventually(
      "the new token",
      async () => expectClean(await visit([], caught), always.slice(0, 1)),
      WAIT_MS,
    );
    const { checks } = await visit([], caught);
    const skips = checks.filter(({ detail }) => detail === "needs scope observe: pipeline");
    expect(skips.map(({ name }) => name)).toEqual([
      "pools",
      "members",
      "versions",
      "levels",
      "room",
    ]);

    await member.stop();
    const gone = await visit(args, env);
    expect([gone.code, namesOf(gone)]).toEqual([1, ["reachable"]]);
  });
});

describe("the report", () => {
  test("as text: a mark for each check, the cure below it, no colour", async () => {
    const missing = at("missing.yaml");
    const { code, stdout } = await dpool(["doctor", ...OFF, "--config", missing]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^✗ configuration: .*ENOENT/m);
    expect(stdout).toContain(`      dpool init --out '${missing}'`);
    expect(stdout).toMatch(/^✓ node: /m);
    expect(stdout).toMatch(/\n1 fault.*\n$/);
    expect(stdout).not.toContain("\u001b");
  });
});
