/** A member on a machine that does not allow the whole sandbox. */
import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type OpenCheckout, openCheckout } from "../helpers/checkout.ts";
import {
  callEvents,
  getJson,
  idle,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  within,
} from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

const COMMAND_MS = 30_000;
/** A user who is not root and has no delegated control group. */
const USER = 61_000;

describe.skipIf(!HAS_BUBBLEWRAP)(
  "without control groups (skipped where bubblewrap is missing or not allowed)",
  () => {
    test("commands and functions run when the operator opts in, and report the level", async () => {
      const member = await startOne({ sandbox: "no-cgroup" });
      expect(member.sandbox).toBe("no-cgroup");
      expect(await getJson(`${member.url}/readyz`)).toMatchObject({
        status: "ok",
        sandbox: "no-cgroup",
      });
      const command = lastOf(
        await callEvents(member.url, "/call", {
          pool: "pipeline",
          command: ["sh", "-c", "exit 3"],
        }),
        "result",
      );
      expect(command).toMatchObject({ exitCode: 3, usage: { cpuMs: null, maxRssBytes: null } });
      const fn = lastOf(
        await callEvents(member.url, "/call", {
          pool: "pipeline",
          function: { source: "(a) => a + 1", args: [1] },
        }),
        "result",
      );
      expect(fn).toMatchObject({ value: 2, usage: { cpuMs: expect.any(Number) } });
      const { children } = await getJson<{ children: { sandbox: string }[] }>(
        `${member.url}/children`,
      );
      expect(children.map(({ sandbox }) => sandbox)).toEqual(["no-cgroup", "no-cgroup"]);
      await idle(member);
    });

    test("each process still has a limit on memory, and a fork bomb one on processes", async () => {
      const member = await startOne({ sandbox: "no-cgroup" });
      const limits = { memoryBytes: 64 * 1024 * 1024, processes: 32 };
      const hog = await callEvents(member.url, "/call", {
        pool: "pipeline",
        command: ["tail", "/dev/zero"],
        limits,
      });
      expect(lastOf(hog, "result").exitCode).not.toBe(0);
      const bomb = "n=0; while [ $n -lt 64 ]; do sleep 20 & n=$((n + 1)); done; echo all";
      const forked = await callEvents(member.url, "/call", {
        pool: "pipeline",
        command: ["sh", "-c", bomb],
        limits,
      });
      expect(lastOf(forked, "result").exitCode).not.toBe(0);
      await idle(member);
    });

    test("the member itself refuses a caller who demands more", async () => {
      const member = await startOne({ sandbox: "no-cgroup" });
      const refused = await problemOf(
        await post(member.url, "/call", { pool: "pipeline", command: ["true"], sandbox: "full" }),
      );
      expect(refused).toMatchObject({
        code: "sandbox_unavailable",
        detail: expect.stringContaining("no-cgroup"),
      });
      expect(
        lastOf(
          await callEvents(member.url, "/call", {
            pool: "pipeline",
            command: ["true"],
            sandbox: "no-cgroup",
          }),
          "result",
        ).exitCode,
      ).toBe(0);
      await idle(member);
    });

    test("such a call is placed on the members that suffice", async () => {
      const [weak, strong] = await startMembers({ sandbox: "off" }, { sandbox: "no-cgroup" });
      if (!weak || !strong) throw new Error("expected two members");
      for (let round = 0; round < 5; round++) {
        const [placed] = await callEvents(weak.url, "/pools/pipeline/call", {
          command: ["true"],
          sandbox: "no-cgroup",
        });
        expect(placed).toMatchObject({ child: { member: strong.name } });
      }
      const nobody = await problemOf(
        await post(weak.url, "/pools/pipeline/call", { command: ["true"], sandbox: "full" }),
      );
      expect(nobody.code).toBe("no_members_available");
      await Promise.all([idle(weak), idle(strong)]);
    });
  },
);

const unlessRoot =
  process.getuid?.() === 0
    ? ""
    : " (skipped: only root can become somebody to whom no control group is delegated)";

describe.skipIf(!HAS_BUBBLEWRAP || unlessRoot !== "")(
  `an ordinary user without a control group of its own${unlessRoot}`,
  () => {
    let checkout: OpenCheckout;
    beforeAll(() => {
      checkout = openCheckout();
    });
    afterAll(() => checkout.remove());

    const argv = (...args: string[]) => [
      "--reuid",
      String(USER),
      "--regid",
      String(USER),
      "--clear-groups",
      checkout.node,
      join(checkout.root, "dist/cli.js"),
      ...args,
    ];
    const env = { ...cleanEnvironment(), HOME: "/tmp" };

    test("the member refuses to start, and prints the remedies", async () => {
      const ran = new Promise<{ code: number | null; stdout: string; stderr: string }>(
        (resolve) => {
          const child = execFile(
            "setpriv",
            argv("dev", "--members", "1", "--port", "0"),
            { timeout: COMMAND_MS, env },
            (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
          );
        },
      );
      const { code, stdout, stderr } = await ran;
      expect(code).toBe(125);
      expect(stdout).toBe("");
      expect(stderr).toMatch(/^dpool: sandbox_unavailable: cgroup v[12]: /);
      for (const way of [
        "Delegate=yes",
        "systemd-run --user --scope -p Delegate=yes",
        "--sandbox no-cgroup",
      ])
        expect(stderr).toContain(way);
    });

    test("with --sandbox no-cgroup it serves", async () => {
      const member = spawn(
        "setpriv",
        argv("dev", "--members", "1", "--port", "0", "--sandbox", "no-cgroup"),
        { env, stdio: ["ignore", "pipe", "ignore"] },
      );
      onTestFinished(() => {
        member.kill("SIGKILL");
      });
      const ready = new Promise<string>((resolve, reject) => {
        createInterface({ input: member.stdout }).once("line", resolve);
        member.once("exit", () => reject(new Error("it ended before it was ready")));
      });
      const url = (await within("the ready line", ready)).split(" ")[1] ?? "";
      const events = await callEvents(url, "/call", {
        pool: "pipeline",
        function: { source: "() => process.getuid()", args: [] },
      });
      expect(lastOf(events, "result").value).toBe(65_534);
      const over = new Promise((resolve) => member.once("exit", resolve));
      member.kill("SIGTERM");
      expect(await within("the member's end", over)).toBe(0);
    });
  },
);
