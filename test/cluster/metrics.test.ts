/** A real Prometheus scrapes a member of a real Consul, and promtool checks what it is given. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { newToken } from "../../server/access/tokens.ts";
import { startMember } from "../../server/main.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { callEvents, until, within } from "../helpers/member.ts";
import { listedMetrics } from "../helpers/metrics.ts";
import { whereIs } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples/monitoring/", import.meta.url));
const TOOLS = fileURLToPath(new URL("../../.tools/monitoring/usr/bin/", import.meta.url));
const find = (name: string) => whereIs(name) ?? (existsSync(TOOLS + name) ? TOOLS + name : "");
const [PROMETHEUS, PROMTOOL] = [find("prometheus"), find("promtool")];
const MISSING = PROMETHEUS && PROMTOOL ? undefined : "prometheus is not installed";

function promtool(args: readonly string[], input?: string): string {
  return execFileSync(PROMTOOL, args, { cwd: EXAMPLES, encoding: "utf8", input });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The expressions of the dashboard. The data source fills in their variables. */
function dashboardExpressions(): string[] {
  const { panels } = JSON.parse(readFileSync(`${EXAMPLES}grafana/dpool.json`, "utf8")) as {
    panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  };
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) =>
      expr.replaceAll("$__rate_interval", "1m").replaceAll("$pool", "pipeline"),
    ),
  );
}

const WORDS = /\b(?:dpool|process|nodejs)_\w+/g;
const nameOf = (word: string) => word.replace(/_(bucket|sum|count)$/, "");

test("the dashboard and the alert rules ask for metrics that there are", () => {
  const listed = listedMetrics();
  const rules = readFileSync(`${EXAMPLES}alerts.yml`, "utf8");
  const asked = [...dashboardExpressions(), rules].flatMap((text) => text.match(WORDS) ?? []);
  expect(asked.length).toBeGreaterThan(30);
  expect(asked.map(nameOf).filter((name) => !listed.includes(name))).toEqual([]);
});

test.skipIf(MISSING)(`promtool takes the alert rules, and their tests pass`, () => {
  expect(promtool(["check", "rules", "alerts.yml"])).toContain("SUCCESS");
  expect(promtool(["test", "rules", "alerts.test.yml"])).toContain("SUCCESS");
});

test.skipIf(MISSING || consulMissing)("Prometheus scrapes a member, with a token", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dpool-prometheus-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { line, token } = newToken("prometheus", ["call", "observe"], ["*"]);
  writeFileSync(join(folder, "tokens"), `${line}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "token"), token);
  const agent = await startConsul();
  onTestFinished(() => agent.stop());
  const member = await startMember({
    pools: { pipeline: 2 },
    name: "watched",
    port: 0,
    drainMs: 0,
    sandbox: SANDBOX_OPTION,
    tokenFile: join(folder, "tokens"),
    consul: { address: agent.httpAddress },
  });
  onTestFinished(() => within("the member's stop", member.stop()));
  await within("the member to join", member.joined);
  const authorization = `Bearer ${token}`;
  const scraped = await fetch(`${member.url}/metrics`, { headers: { authorization } });
  expect(promtool(["check", "metrics"], await scraped.text())).toBe("");
  await callEvents(member.url, "/call", { pool: "pipeline", command: ["true"] }, { authorization });

  const query = await startPrometheus(folder, agent.httpAddress, member.url);
  const placed = 'dpool_children_placed_total{pool="pipeline"}';
  await until("a scrape", async () => (await query(placed))[0]?.value[1] === "1");
  for (const expression of dashboardExpressions()) await query(expression);
  expect((await query("dpool_registry_up"))[0]?.value[1]).toBe("1");
});

type Query = (expression: string) => Promise<{ readonly value: [number, string] }[]>;

/** Starts Prometheus with the example's configuration, and the targets that Consul knows. */
async function startPrometheus(folder: string, consul: string, member: string): Promise<Query> {
  const port = await freePort();
  const services = await fetch(`${consul}/v1/health/service/distributed-pool?passing`);
  const [{ Service: found } = { Service: undefined }] = (await services.json()) as {
    Service?: { Address: string; Port: number };
  }[];
  const target = `${found?.Address}:${found?.Port}`;
  expect(member).toBe(`http://${target}`);
  // Debian's Prometheus is built without Consul, so the test asks Consul itself.
  const configuration = readFileSync(`${EXAMPLES}prometheus.yml`, "utf8")
    .replace(/consul_sd_configs:\n.*\n.*\n/, `static_configs: [{targets: ["${target}"]}]\n`)
    .replace(/# (authorization:\n) {4}# {3}(credentials_file:).*/, `$1      $2 ${folder}/token`)
    .replace("alerts.yml", `${EXAMPLES}alerts.yml`)
    .replaceAll("5s", "500ms");
  writeFileSync(join(folder, "prometheus.yml"), configuration);
  promtool(["check", "config", join(folder, "prometheus.yml")]);
  const server = spawn(
    PROMETHEUS,
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  const exited = new Promise((resolve) => server.once("exit", resolve));
  onTestFinished(async () => {
    server.kill("SIGKILL");
    await within("the end of Prometheus", exited);
  });
  const url = `http://127.0.0.1:${port}`;
  await until(
    "Prometheus",
    async () => (await fetch(`${url}/-/ready`).catch(() => null))?.ok === true,
  );
  return async (expression) => {
    const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: expression })}`);
    const { data, error } = (await answer.json()) as {
      data?: { result: { value: [number, string] }[] };
      error?: string;
    };
    if (!data) throw new Error(`${expression}: ${error}`);
    return data.result;
  };
}
