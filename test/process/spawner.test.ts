/** Children that the spawner starts have no more than those that the chain of programs starts. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Chain } from "../../server/sandbox/chain-arguments.ts";
import { DEFAULT_LIMITS } from "../../server/sandbox/confinement.ts";
import { Spawner } from "../../server/sandbox/spawner.ts";
import { PERL } from "../../server/sandbox/spawner-script.ts";
import { startTree, type TreeOptions } from "../../server/sandbox/start-tree.ts";
import type { Tree } from "../../server/sandbox/tree.ts";
import { onPath } from "../helpers/programs.ts";
import { within } from "../helpers/wait.ts";

const PATH = "/usr/local/bin:/usr/bin:/bin";
const WAIT_MS = 10_000;
const missing =
  (!existsSync(PERL) && `${PERL} is missing`) ||
  (!(onPath("setpriv") && onPath("prlimit")) && "setpriv or prlimit is missing");

const RIGHTS: Chain = {
  joinFiles: [],
  uid: process.getuid?.() === 0 ? 1_900_000_001 : undefined,
  cores: [0],
};

async function openSpawner(): Promise<Spawner> {
  const spawner = new Spawner(PATH);
  onTestFinished(() => spawner.close());
  expect(await within("the spawner", WAIT_MS, spawner.isReady)).toBe(true);
  return spawner;
}

const outputOf = (tree: Tree, fd: number) => text(tree.sockets.get(fd) ?? Readable.from([]));

/** Runs a shell script; answers its output and its end. */
async function run(script: string, spawner?: Spawner, more: Partial<TreeOptions> = {}) {
  const tree = await startTree({
    argv: ["sh", "-c", script],
    env: { PATH },
    chain: [RIGHTS, { ...DEFAULT_LIMITS, cpuMs: 7_000 }],
    spawner,
    stdio: ["ignore", "pipe", "pipe"],
    ...more,
  });
  const output = [1, 2].map((fd) => outputOf(tree, fd));
  const [stdout, stderr] = await within("the output", WAIT_MS, Promise.all(output));
  return { stdout, stderr, pid: tree.pid, ...(await within("the end", WAIT_MS, tree.ended)) };
}

describe.skipIf(missing)(`the spawner${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("gives a child the user, rights, limits and variables of the chain", async () => {
    const spawner = await openSpawner();
    const script = `
      grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Sig(Blk|Ign)|Cpus_allowed)' /proc/self/status
      cat /proc/self/limits
      env | grep -v ^_= | sort
      pwd
      read -r _ _ _ _ group session _ </proc/self/stat
      [ "$group" = $$ ] && [ "$session" = $$ ] && echo leads
      for fd in /proc/self/fd/*; do [ -e "$fd" ] && echo "\${fd##*/}"; done
      :`;
    const [forked, spawned] = await Promise.all([run(script), run(script, spawner)]);
    expect(forked).toMatchObject({ code: 0, signal: null, stderr: "" });
    expect(spawned.stdout).toContain("leads");
    expect({ ...spawned, pid: 0 }).toEqual({ ...forked, pid: 0 });
  });

  test("tells exit codes, signals, and a program that is not there", async () => {
    const spawner = await openSpawner();
    expect(await run("exit 3", spawner)).toMatchObject({ code: 3, signal: null });
    expect(await run("kill -SEGV $$", spawner)).toMatchObject({ code: null, signal: "SIGSEGV" });
    const absent = await run("", spawner, { argv: ["/nowhere/at-all"] });
    expect(absent.stderr).toBe("/nowhere/at-all: not found: No such file or directory\n");
    expect(absent.code).toBe(97);
  });

  test("hands inputs and sockets over, and refuses a pipe that is not there", async () => {
    const spawner = await openSpawner();
    const data = Buffer.alloc(1024 * 1024, "0123456789abcdef");
    const tree = await startTree({
      argv: ["sh", "-c", "cat <&4; cat <&3"],
      env: { PATH },
      chain: [RIGHTS, DEFAULT_LIMITS],
      spawner,
      inputs: new Map([[4, data]]),
      stdio: ["ignore", "pipe", "ignore", "pipe", "pipe"],
    });
    tree.sockets.get(3)?.end("by socket");
    const output = outputOf(tree, 1);
    expect(await within("the output", WAIT_MS, output)).toBe(`${data}by socket`);
    await expect(run("", spawner, { stdio: [1_000_000, "pipe", "pipe"] })).rejects.toMatchObject({
      code: "ENOENT",
    });
    expect(await run("echo on", spawner)).toMatchObject({ stdout: "on\n" });
  });

  test("ends, and the server forks children itself", async () => {
    const spawner = await openSpawner();
    const tree = await startTree({
      argv: ["sh", "-c", "echo $PPID; read -r _ <&3"],
      env: { PATH },
      chain: [RIGHTS, DEFAULT_LIMITS],
      spawner,
      stdio: ["ignore", "pipe", "ignore", "pipe"],
    });
    const stdout = tree.sockets.get(1);
    const [line] = stdout ? await within("the line", WAIT_MS, once(stdout, "data")) : [];
    process.kill(Number(line), "SIGKILL");
    expect(await within("the child's end", WAIT_MS, tree.ended)).toEqual({
      code: null,
      signal: "SIGKILL",
    });
    tree.sockets.get(3)?.end("\n");
    expect(await run("echo $PPID", spawner)).toMatchObject({ stdout: `${process.pid}\n` });
  });
});
