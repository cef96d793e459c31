/** Fences around real processes of this test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { Fence } from "../../server/sandbox/fence.ts";
import { within } from "../helpers/wait.ts";

const KILLED_MS = 20_000;

function open(ms: number, onUp: () => void = () => {}) {
  const parent = mkdtempSync(join(tmpdir(), "fence-test-"));
  const folder = join(parent, "held");
  const fence = new Fence(ms, folder, onUp);
  onTestFinished(() => {
    fence.close();
    rmSync(parent, { recursive: true, force: true });
  });
  return { fence, folder };
}

/** A process that leads a group of its own, and ends with the test. */
function started(...argv: [string, ...string[]]): ChildProcess & { readonly pid: number } {
  const [file, ...args] = argv;
  const child = spawn(file, args, { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(() => void (child.exitCode ?? child.signalCode ?? child.kill("SIGKILL")));
  return child as ChildProcess & { readonly pid: number };
}

/** Has the fence hold a process. Returns how to let it go. */
async function hold(fence: Fence, pid: number): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await fence.held(async () => ({ process: { pid, exited: promise } }));
  return resolve;
}

test("a fence is up until it is renewed, and does not report that", () => {
  const onUp = vi.fn();
  const { fence } = open(60_000, onUp);
  expect(fence.isUp).toBe(true);
  fence.renew(performance.now());
  expect(fence.isUp).toBe(false);
  expect(onUp).not.toHaveBeenCalled();
});

test("a renewal that comes too late reports once, and the next ones do not", () => {
  const onUp = vi.fn();
  const { fence } = open(60_000, onUp);
  fence.renew(performance.now() - 60_000);
  expect(fence.isUp).toBe(true);
  fence.renew(performance.now());
  fence.renew(performance.now());
  expect(onUp).toHaveBeenCalledTimes(1);
});

test("it reports by itself when no renewal comes", async () => {
  const up = Promise.withResolvers<void>();
  const { fence } = open(50, up.resolve);
  fence.renew(performance.now());
  await within("the fence", KILLED_MS, up.promise);
  expect(fence.isUp).toBe(true);
});

test("it kills the whole group of a held process, although nothing else does", async () => {
  const { fence } = open(50);
  const shell = started("sh", "-c", "sleep 60 & echo ready; wait");
  await once(shell.stdout as NodeJS.ReadableStream, "data");
  await hold(fence, shell.pid);
  fence.renew(performance.now());
  const [, signal] = await within("the end of the process", KILLED_MS, once(shell, "close"));
  expect(signal).toBe("SIGKILL");
});

test("it spares a process that was let go, and one that is not a child of the server", async () => {
  const { fence, folder } = open(50);
  const free = started("sleep", "60");
  const parent = started("sh", "-c", "setsid sleep 60 & echo $!; wait");
  const [text] = (await once(parent.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  const foreign = Number(String(text));
  onTestFinished(() => void process.kill(foreign, "SIGKILL"));
  const marked = started("sleep", "60");
  (await hold(fence, free.pid))();
  await hold(fence, foreign);
  await hold(fence, marked.pid);
  expect(readdirSync(folder).sort()).toEqual([String(foreign), String(marked.pid)].sort());
  fence.renew(performance.now());
  await within("the end of the held process", KILLED_MS, once(marked, "exit"));
  expect(free.signalCode).toBeNull();
  expect(() => process.kill(foreign, 0)).not.toThrow();
});

test("a closed fence leaves no folder", () => {
  const { fence, folder } = open(60_000);
  fence.renew(performance.now());
  fence.close();
  expect(existsSync(folder)).toBe(false);
});

test("nothing starts where it could not be held, and a failed start is not held", async () => {
  const { fence, folder } = open(60_000);
  await expect(fence.held(() => Promise.reject(new Error("no start")))).rejects.toThrow("no start");
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
  const start = vi.fn();
  await expect(fence.held(start)).rejects.toThrow("ENOENT");
  expect(start).not.toHaveBeenCalled();
});
