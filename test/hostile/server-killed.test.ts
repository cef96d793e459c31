/** The server is killed, and cannot stop its children: no trace of them stays. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import { groupsOf, hostileMissing, survivors } from "../helpers/hostile.ts";
import { post, streamOf, until, within } from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { eventually } from "../helpers/wait.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const missing = hostileMissing ?? (existsSync(CLI) ? undefined : "dist/ has not been built");
/** The janitor gives up earlier by itself. */
const CLEAN_MS = 15_000;
const READY_MS = 30_000;

/** A member in its own process, with its own temporary folder. `ready` resolves with its URL. */
async function spawnDev(args: readonly string[] = ["--pool", "pipeline=40"], shared?: string) {
  const folder = shared ?? (await mkdtemp(join(tmpdir(), "dpool-killed-")));
  // A member does not use a temporary folder that its children's user cannot enter.
  await chmod(folder, 0o755);
  const child = spawn(process.execPath, [CLI, "dev", "--members", "1", "--port", "0", ...args], {
    env: { ...cleanEnvironment(), TMPDIR: folder },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await within("the member's end", exited);
    await rm(folder, { recursive: true, force: true });
  });
  const ready = async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /^ready (\S+)/.exec(line)?.[1];
      if (url) return url;
    }
    throw new Error("the member ended before it was ready");
  };
  return {
    folder,
    prefix: `distributed-pool-${child.pid}-`,
    kill: () => child.kill("SIGKILL"),
    exited,
    ready,
  };
}

/** @param shared the temporary folder of another member. Default: a new one. */
async function startDev(args?: readonly string[], shared?: string) {
  const dev = await spawnDev(args, shared);
  return { ...dev, url: await within("the member to be ready", dev.ready(), READY_MS) };
}

type Dev = Awaited<ReturnType<typeof spawnDev>>;

/**
 * The member's processes: its janitor, by the folder in its command line, and those of children.
 */
async function helpersOf({ folder }: Dev): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (line.includes(folder)) found.push(`${pid} ${line.replaceAll("\0", " ").slice(0, 80)}`);
  }
  return found;
}

const commandOf = (pid: string) => readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");

/** The member's private folders. */
const foldersOf = async ({ folder, prefix }: Pick<Dev, "folder" | "prefix">) =>
  (await readdir(folder))
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(folder, name));

/** Expects no trace of the member: no process, no group or folder of groups, and no file. */
async function nothingLeft(dev: Dev): Promise<void> {
  await within("the member's end", dev.exited);
  await eventually(
    "nothing to be left of the member that was killed",
    async () => {
      expect({
        processes: survivors(dev.prefix),
        groups: groupsOf(dev.prefix),
        helpers: await helpersOf(dev),
        files: await readdir(dev.folder),
      }).toEqual({ processes: [], groups: [], helpers: [], files: [] });
    },
    CLEAN_MS,
  );
}

const ATTACKS: readonly (readonly [how: string, spec: ChildSpecInput])[] = [
  ["waits", { command: ["sh", "-c", "echo up; exec sleep 300"] }],
  [
    "ignores TERM",
    { command: ["sh", "-c", "trap '' TERM INT HUP; echo up; while :; do sleep 0.05; done"] },
  ],
  [
    "is a fork bomb",
    {
      command: ["sh", "-c", "bomb() { bomb | bomb & }; echo up; bomb & exec sleep 300"],
      limits: { processes: 64 },
    },
  ],
  [
    "has daemons that hold its output",
    {
      command: [
        "sh",
        "-c",
        "setsid sh -c '(trap \"\" TERM HUP; while :; do sleep 0.05; done) &' & " +
          "echo up; exec sleep 300",
      ],
    },
  ],
  [
    "has daemons that hold nothing",
    {
      command: [
        "sh",
        "-c",
        "setsid sh -c '(while :; do sleep 0.05; done) &' <&- >&- 2>&- & echo up; " +
          "exec sleep 300",
      ],
    },
  ],
  ["has stopped itself", { command: ["sh", "-c", "sh -c 'sleep 0.1; echo up' & kill -STOP $$"] }],
  [
    "is a function",
    {
      function: {
        source:
          "() => { console.log('up'); return new Promise(() => setInterval(() => {}, " +
          "1000)); }",
      },
    },
  ],
];

describe.skipIf(missing)(
  `a server that is killed${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    test("takes its children along, of any kind", async () => {
      const dev = await startDev();
      const up = async ([how, spec]: (typeof ATTACKS)[number]) => {
        const stream = streamOf(await post(dev.url, "/call", { pool: "pipeline", ...spec }));
        const started = async () => {
          for (;;) {
            const { value, done } = await stream.next();
            if (done || value.type === "failed" || value.type === "result")
              throw new Error(`${how}: expected up; got ${JSON.stringify(value)}`);
            if (value.type === "stdout") return;
          }
        };
        await within(`the child that ${how} to be up`, started());
        return stream;
      };
      const streams = await Promise.all(ATTACKS.map(up));
      expect(groupsOf(dev.prefix).length).toBeGreaterThanOrEqual(ATTACKS.length);
      expect(survivors(dev.prefix).length).toBeGreaterThan(ATTACKS.length);
      expect(await helpersOf(dev)).not.toEqual([]);
      dev.kill();
      await nothingLeft(dev);
      await Promise.allSettled(streams.map((stream) => stream.return()));
    });

    test("takes along waiting and reused processes", async () => {
      const folder = await mkdtemp(join(tmpdir(), "dpool-config-"));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const config = join(folder, "dpool.yaml");
      await writeFile(config, "pools: {pipeline: {maxChildren: 5, warm: {node: 2}, reuse: true}}");
      const dev = await startDev(["--config", config]);
      const waiting = () =>
        new Set(
          groupsOf(dev.prefix)
            .map((group) => basename(group))
            .filter((name) => /^\d+$/.test(name)),
        ).size;
      await until("two to wait", () => waiting() === 2);
      const answer = await post(
        dev.url,
        "/call",
        { pool: "pipeline", function: { source: "() => 1" } },
        { accept: "application/json" },
      );
      expect(await answer.json()).toMatchObject({ value: 1 });
      await until("two to wait, and one to be kept", () => waiting() === 3);
      dev.kill();
      await nothingLeft(dev);
    });

    // From before the start of the first child until some run.
    test.each([0, 10, 25, 60])(
      "in the middle of starting children, after %i ms, leaves none",
      async (ms) => {
        const dev = await startDev();
        const posts = Array.from({ length: 20 }, (_, index) =>
          fetch(`${dev.url}/call`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({
              pool: "pipeline",
              ...(index % 4 === 0
                ? { function: { source: "() => new Promise(() => {})" } }
                : { command: ["sleep", "300"] }),
            }),
          }).then((answer) => answer.text()),
        );
        const settled = Promise.allSettled(posts);
        await delay(ms);
        dev.kill();
        await nothingLeft(dev);
        await within("the callers to hear of it", settled);
      },
    );

    test("together with its janitor: the next server sweeps what they left", async () => {
      const dev = await startDev();
      const living = await startDev(undefined, dev.folder);
      const stream = streamOf(
        await post(dev.url, "/call", { pool: "pipeline", command: ["sleep", "300"] }),
      );
      await until("the child's group", () => groupsOf(dev.prefix).length > 1);
      for (const line of await helpersOf(dev)) {
        const [pid = "", name = ""] = line.split(" ");
        const isOwn = line.includes(dev.prefix) || (await commandOf(pid)).includes(dev.prefix);
        if (name === "sh" && isOwn) process.kill(Number(pid), "SIGKILL");
      }
      dev.kill();
      await within("the member's end", dev.exited);
      await Promise.allSettled([stream.return()]);
      const left = [...groupsOf(dev.prefix), ...(await foldersOf(dev))];
      expect(left).not.toEqual([]);
      const old = new Date(Date.now() - 3_600_000);
      for (const { prefix, folder } of [dev, living])
        for (const path of [...groupsOf(prefix), ...(await foldersOf({ prefix, folder }))])
          utimesSync(path, old, old);
      const before = [...groupsOf(living.prefix), ...(await foldersOf(living))];
      await startDev(undefined, dev.folder);
      await eventually(
        "nothing to be left of the member that was killed",
        async () => expect([...groupsOf(dev.prefix), ...(await foldersOf(dev))]).toEqual([]),
        CLEAN_MS,
      );
      // A living member keeps its own, however old they are.
      const after = [...groupsOf(living.prefix), ...(await foldersOf(living))];
      expect(after).toEqual(expect.arrayContaining(before));
    });

    test("as soon as it has left a trace, leaves none", async () => {
      for (let time = 0; time < 5; time++) {
        const dev = await spawnDev();
        await until("the member's first file", () => readdirSync(dev.folder).length > 0);
        dev.kill();
        await nothingLeft(dev);
      }
    });
  },
);
