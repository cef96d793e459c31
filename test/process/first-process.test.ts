/** A member that is the first process of a container leaves no zombies, and ends as told. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import { getJson, post, until, within } from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { onPath, pythonMissing } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const NAMESPACE = ["--pid", "--fork", "--mount-proc", "--kill-child"];

function missing(): string | undefined {
  try {
    execFileSync("unshare", [...NAMESPACE, "true"], { stdio: "ignore" });
    return undefined;
  } catch {
    return " (skipped: this machine gives no process namespace)";
  }
}

const SPAWNS =
  "() => void require('node:child_process').spawn('sleep', ['0.05'], { detached: true }).unref()";
/** Work in several languages. Each leaves a process of its own behind. */
const LEAVERS: readonly (readonly [boolean, object])[] = [
  [true, { command: ["sh", "-c", "(exec sleep 0.05) & exit 0"] }],
  [
    !pythonMissing,
    { command: ["python3", "-c", "import os; os.fork() or os.execlp('sleep', 'sleep', '0.05')"] },
  ],
  [true, { function: { source: SPAWNS } }],
  [
    onPath("git"),
    { command: ["git", "daemon", "--detach", "--listen=127.0.0.1", "--base-path=/work"] },
  ],
  [onPath("perl"), { command: ["perl", "-e", "fork or exec 'sleep', '0.05'"] }],
];

/** The parent, state and pid of each process. */
function processes() {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const [state, parent] =
        readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return [{ pid: Number(pid), state, parent: Number(parent) }];
    } catch {
      return [];
    }
  });
}
const childrenOf = (parent: number) => processes().filter((each) => each.parent === parent);

async function start(args: readonly string[]) {
  const all = [
    ...NAMESPACE,
    process.execPath,
    CLI,
    "dev",
    "--members",
    "1",
    "--port",
    "0",
    ...args,
  ];
  const outer = spawn("unshare", all, {
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void outer.kill("SIGKILL"));
  const exited = once(outer, "exit");
  let output = "";
  for (const stream of [outer.stdout, outer.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const init = () => childrenOf(outer.pid as number)[0]?.pid ?? expect.fail("it has ended");
  return { init, exited, output: () => output };
}

const reason = missing();
describe.skipIf(reason !== undefined)(`as the first process${reason ?? ""}`, () => {
  test("50 children leave no zombie, and TERM drains", { timeout: 60_000 }, async () => {
    const { init, exited, output } = await start([
      ...["--pool", "pipeline=5", "--sandbox", SANDBOX_OPTION, "--drain-ms", "20000"],
    ]);
    const ready = /^ready (\S+)/m;
    await until("the member to be ready", async () => ready.test(output()));
    const url = ready.exec(output())?.[1] ?? "";
    const first = init();
    // A process that a child leaves behind becomes a child of the first process.
    const leavers = LEAVERS.filter(([isThere]) => isThere).map(([, work]) => work);
    for (let round = 0; round < 10; round++)
      await Promise.all(
        leavers.map(async (work) => {
          const answer = await (await post(url, "/pools/pipeline/run", work)).json();
          expect(answer, JSON.stringify(work)).toMatchObject({ stderr: "", artifacts: [] });
          expect(answer, JSON.stringify(work)).not.toHaveProperty("code");
        }),
      );
    await until("no zombies", async () => childrenOf(first).every(({ state }) => state !== "Z"));
    const last = post(url, "/pools/pipeline/run", { command: ["sh", "-c", "sleep 1; echo done"] });
    await until("the last child", async () => {
      const count = await getJson<Count>(`${url}/children/count`);
      return count.pools.pipeline?.active === 1;
    });
    process.kill(first, "SIGTERM");
    expect(await (await last).text()).toContain("done");
    expect(await within("the end", exited, 30_000)).toEqual([0, null]);
    expect(output()).not.toContain("first process of its container");
  });

  test("the exit code is the member's", async () => {
    const { exited } = await start(["--host", "192.0.2.1", "--insecure", "--sandbox", "off"]);
    const [code] = await within("the end", exited);
    expect(code).toBeGreaterThan(1);
  });
});
