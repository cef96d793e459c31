/** The files of examples/deploy: the tool that reads each takes it, and so does the member. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, matchesGlob } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { freePorts } from "../helpers/pages/workshop.ts";
import { cleanEnvironment, startServe } from "../helpers/processes.ts";
import { onPath } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "dist/cli.js");
const DEPLOY = join(ROOT, "examples/deploy");
const COMPOSE = join(ROOT, ".tools/compose/usr/libexec/docker/cli-plugins/docker-compose");
const MONITORING = join(ROOT, "examples/monitoring");
const PROMTOOL = join(ROOT, ".tools/monitoring/usr/bin/promtool");
const LINTERS = join(ROOT, ".tools/deploy/bin");
const TIMEOUT_MS = 30_000;
/** What a drain may take beyond drainMs and graceMs. */
const LAST_EVENTS_MS = 5_000;

const folder = mkdtempSync(join(tmpdir(), "dpool-deploy-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => readFileSync(join(DEPLOY, name), "utf8");
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
};

/** Runs a program to its end: its exit code, what it printed, and its standard output alone. */
function run(program: string, args: readonly string[], cwd = DEPLOY) {
  const options = { cwd, env: cleanEnvironment(), encoding: "utf8", timeout: TIMEOUT_MS } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  if (error) throw error;
  return { status, printed: stdout + stderr, stdout };
}
const SILENT = { status: 0, printed: "" };
const dpool = (...args: string[]) => run(process.execPath, [CLI, ...args]);
const without = (missing: boolean, what: string) => (missing ? ` (skipped: no ${what})` : "");

const made = dpool(
  "token",
  "operator",
  "--scope",
  "admin",
  "--scope",
  "call",
  "--scope",
  "observe",
);
const line = made.printed.split("\n").find((text) => text.startsWith("operator ")) ?? "";
const token = made.printed.split("\n").find((text) => text.startsWith("dpool_")) ?? "";
const tokens = write("tokens", `${line}\n`);

/** A deployment, as it starts a member, with the milliseconds that it leaves for a drain. */
interface Deployed {
  readonly config: string;
  readonly args: readonly string[];
  readonly stopMs: number;
}

interface Compose {
  readonly services: Readonly<
    Record<string, { command: string[]; stop_grace_period: string; volumes?: string[] }>
  >;
}
const compose = parse(file("compose/compose.yaml"), { merge: true }) as Compose;
const members = Object.entries(compose.services).filter(([name]) => /^m\d$/.test(name));
const matched = (text: string, pattern: RegExp) =>
  pattern.exec(text)?.[1] ?? expect.fail(`expected ${pattern}`);
const seconds = (text: string, pattern: RegExp) => Number(matched(text, pattern)) * 1_000;

const unit = file("systemd/dpool.service");
const job = file("nomad/dpool.nomad.hcl");
const manifests = parseAllDocuments(file("kubernetes/member.yaml")).map((each) => each.toJS());
const kind = (name: string) => manifests.find((manifest) => manifest.kind === name);
const pod = kind("Deployment").spec.template.spec;

const DEPLOYED: Readonly<Record<string, Deployed>> = {
  systemd: {
    config: file("systemd/dpool.yaml"),
    args: matched(unit, /^ExecStart=\S+ (.*)$/m).split(" "),
    stopMs: seconds(unit, /^TimeoutStopSec=(\d+)$/m),
  },
  compose: {
    config: file("compose/dpool.yaml"),
    args: compose.services.m1?.command ?? [],
    stopMs: seconds(compose.services.m1?.stop_grace_period ?? "", /^(\d+)s$/),
  },
  kubernetes: {
    config: kind("ConfigMap").data["dpool.yaml"],
    args: pod.containers[0].args,
    stopMs:
      1_000 *
      (pod.terminationGracePeriodSeconds - pod.containers[0].lifecycle.preStop.sleep.seconds),
  },
  nomad: {
    config: matched(job, /<<-END\n(.*?)\n +END/s),
    args: [...matched(job, /args = \[(.*?)\]/s).matchAll(/"([^"]+)"/g)].map(([, arg]) => `${arg}`),
    stopMs: seconds(job, /kill_timeout = "(\d+)s"/),
  },
};

/** The values of this machine in place of those that the deployment fills in. */
const here = (text: string, port = "7400") =>
  text
    .replaceAll("0.0.0.0", "127.0.0.1")
    .replaceAll(/(--advertise=)\S+/g, `$1127.0.0.1:${port}`)
    .replaceAll(/(--port=)\S+/g, `$1${port}`)
    .replaceAll(/(--member=)[$]\S+/g, "$1web1")
    .replaceAll(/(tokenFile: ?|--token-file=|--token-file )\S+/g, `$1${tokens}`);

describe("a member of each deployment", () => {
  test.each(Object.entries(DEPLOYED))("%s starts with options that it takes", (name, deployed) => {
    const config = write(`${name}.yaml`, here(deployed.config));
    const [command, ...args] = deployed.args;
    expect(command).toBe("serve");
    const flags = here(args.join("\n").replaceAll("--token-file\n", "--token-file ")).split(/\s/);
    const at = flags.findIndex((flag) => flag.startsWith("--config"));
    flags.splice(at, flags[at]?.includes("=") ? 1 : 2);
    const { status, printed, stdout } = dpool("check-config", config, ...flags);
    expect({ status, printed }).toEqual({ status: 0, printed: stdout });
    const { drainMs, graceMs } = parse(stdout);
    expect(deployed.stopMs).toBeGreaterThan(drainMs + graceMs + LAST_EVENTS_MS);
  });
});

describe("systemd", () => {
  const missing = !onPath("systemd-analyze");
  test.skipIf(missing)(`takes the unit${without(missing, "systemd-analyze")}`, () => {
    const copy = write("dpool.service", unit.replace("/usr/local/bin/dpool", process.execPath));
    expect(run("systemd-analyze", ["verify", "--man=no", copy])).toMatchObject(SILENT);
    // 0.0 is the least exposure and 10.0 the most; the option counts in tenths.
    const offline = ["security", "--offline=true", "--no-pager", "--threshold=35"];
    const { status, printed } = run("systemd-analyze", [...offline, copy]);
    expect(printed).toContain("OK");
    expect(status).toBe(0);
  });
});

describe("Docker", () => {
  test("the image's build gets every file that it names", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const read = (name: string) => readFileSync(join(ROOT, name), "utf8");
    const copied = [...read("Dockerfile").matchAll(/^COPY (?!--from)(.*) \S+$/gm)]
      .flatMap(([, sources = ""]) => sources.split(" "))
      .concat("node_modules");
    const sent = [...read(".dockerignore").matchAll(/^!(.*)$/gm)].map(([, path = ""]) => path);
    const named = [
      ...scripts.build.matchAll(/(?:^|\s)((?:\.dev|server|openapi|node_modules)\/\S+)/g),
    ];
    expect(named).not.toEqual([]);
    for (const [, path] of named) {
      const isIn = (each: string) =>
        path === each || matchesGlob(path, each) || path.startsWith(`${each}/`);
      expect(copied.some(isIn), `Dockerfile copies ${path}`).toBe(true);
      expect([...sent, "node_modules"].some(isIn), `.dockerignore lets ${path} in`).toBe(true);
    }
  });

  const missing = !existsSync(COMPOSE);
  test.skipIf(missing)(`Compose takes its file${without(missing, "Compose 2")}`, () => {
    const args = ["-f", "compose/compose.yaml", "config", "-q"];
    expect(run(COMPOSE, args)).toMatchObject(SILENT);
  });

  const unmonitored = !existsSync(MONITORING) || !existsSync(PROMTOOL);
  test.skipIf(unmonitored)(`Prometheus takes its file${without(unmonitored, "promtool")}`, () => {
    for (const { volumes = [] } of Object.values(compose.services))
      for (const volume of volumes)
        expect(existsSync(join(DEPLOY, "compose", `${volume.split(":")[0]}`)), volume).toBe(true);
    // Debian's Prometheus has no discovery by Consul.
    const config = file("compose/prometheus.yml")
      .replace("/etc/prometheus", MONITORING)
      .replace("/run/secrets/prometheus-token", tokens)
      .replace(/consul_sd_configs:\n +- server: .*\n +services: .*/, "static_configs: []");
    const { status, printed } = run(PROMTOOL, ["check", "config", write("prometheus.yml", config)]);
    expect(printed).toContain("SUCCESS");
    expect(status).toBe(0);
  });

  const hadolint = join(LINTERS, "hadolint");
  const none = !existsSync(hadolint);
  test.skipIf(none)(`hadolint takes the Dockerfile${without(none, "hadolint")}`, () => {
    expect(run(hadolint, ["Dockerfile"], ROOT)).toMatchObject(SILENT);
  });

  test.skipIf(consulMissing)(
    `Compose's three members run here${consulMissing ? ` (${consulMissing})` : ""}`,
    async () => {
      expect(members).toHaveLength(3);
      const consul = await startConsul();
      onTestFinished(() => consul.stop());
      const first = await freePorts();
      const config = write(
        "members.yaml",
        here(DEPLOYED.compose?.config ?? "").replace("http://consul:8500", consul.httpAddress),
      );
      const running = await Promise.all(
        members.map(async ([name, { command }], index) => {
          const port = String(first + index);
          const args = here(command.slice(1).join("\n"), port)
            .replace(/--config=\S+/, `--config=${config}`)
            .split("\n");
          const member = await startServe({
            member: name,
            consul: consul.httpAddress,
            pool: null,
            args: [...args, "--port", port, "--sandbox", SANDBOX_OPTION],
          });
          onTestFinished(() => member.end());
          return member;
        }),
      );
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const body = JSON.stringify({ command: ["sh", "-c", "echo $POOL_MEMBER"] });
      const url = running[0]?.url;
      const answer = await fetch(`${url}/pools/pipeline/run`, { method: "POST", headers, body });
      expect(await answer.json()).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(/^m[123]\n$/),
      });
      const listed = await (await fetch(`${url}/pools/pipeline`, { headers })).json();
      expect(listed).toMatchObject({ members: [{}, {}, {}] });
    },
  );
});

describe("Kubernetes", () => {
  const validate = join(LINTERS, "kubernetes-validate");
  const missing = !existsSync(validate);
  test.skipIf(missing)(`takes the manifests${without(missing, "kubernetes-validate")}`, () => {
    const { status, printed } = run(validate, [
      "--strict",
      "kubernetes/consul.yaml",
      "kubernetes/member.yaml",
    ]);
    expect(printed).toContain("passed for resource deployment/dpool");
    expect(status).toBe(0);
  });

  test("runs the files that its kustomization names", () => {
    const { resources } = parse(file("kubernetes/kustomization.yaml"));
    for (const name of resources) expect(existsSync(join(DEPLOY, "kubernetes", name))).toBe(true);
  });
});
