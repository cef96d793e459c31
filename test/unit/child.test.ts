/** A child whose process is played by the test. */
import { PassThrough, type Readable } from "node:stream";
import { expect, test } from "vitest";
import { HeldBytes } from "../../server/http/bodies/held-bytes.ts";
import type { Outcome, Work } from "../../server/runtimes/runtime.ts";
import { startProblem } from "../../server/sandbox/process.ts";
import type { Exit, SandboxedProcess } from "../../server/sandbox/sandbox.ts";
import { Child } from "../../server/supervisor/child.ts";
import { RING_BYTES } from "../../server/supervisor/output/event-log.ts";
import { fetchRulesOf } from "../../server/workspace/fetching/fetch-rules.ts";
import { collect, until, within } from "../helpers/member.ts";
import { confinement } from "../helpers/sandbox.ts";

function play(outcome: Promise<Outcome>, artifacts: Readable | null = null) {
  let end: (exit: Exit) => void = () => {};
  let killed = false;
  let onProgress: Work["onProgress"] = () => {};
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const process: SandboxedProcess = {
    stdout,
    stderr,
    stdin: null,
    channel: null,
    pid: 0,
    progress: null,
    artifacts,
    exited: new Promise((resolve) => {
      end = resolve;
    }),
    usedMs: () => undefined,
    tasks: () => undefined,
    isAlone: () => true,
    holds: () => false,
    signal: async () => {},
    kill() {
      killed = true;
      stdout.end();
      stderr.end();
      end({
        exitCode: 137,
        signal: "SIGKILL",
        started: true,
        exceeded: undefined,
        usage: undefined,
      });
    },
  };
  const child = new Child({
    reference: { id: `m.${"0".repeat(32)}`, pool: "p", member: "m", url: "http://m" },
    spec: { command: ["true"], outputEncoding: "text", waitMs: 0, link: false },
    runtime: {
      start: async (work) => {
        onProgress = work.onProgress;
        return { process, outcome };
      },
    },
    call: undefined,
    client: "127.0.0.1",
    rules: {
      sandbox: {
        level: "none",
        folder: "/nowhere",
        startProblem: (cause: unknown) => startProblem(cause),
        launch: async () => process,
        close: async () => {},
      },
      fetchRules: fetchRulesOf({ fetch: [], fetchAddresses: [] }),
    },
    confinement: confinement(),
    folder: "/nowhere",
    deadlineMs: undefined,
    heldBytes: new HeldBytes({ what: "requests", maxBytes: () => 1e9, shared: false }),
    graceMs: 0,
  });
  return {
    child,
    process,
    stdout,
    isKilled: () => killed,
    onProgress: (done: number) => onProgress({ done }),
  };
}

test("a process that cannot be followed is killed before its slot is free", async () => {
  const { child, isKilled } = play(Promise.reject(new RangeError("cannot be followed")));
  await within("the slot to be free", child.exited);
  expect(isKilled()).toBe(true);
  await within("the terminal event", child.finished);
  const events = (await collect(child.log.read())).map(({ event }) => event);
  expect(events.at(-1)).toMatchObject({
    type: "failed",
    problem: { code: "sandbox_unavailable", detail: expect.stringContaining("the sandbox failed") },
  });
});

test(
  "progress does not fill a log whose reader is a ring behind, but the last report " + "arrives",
  async () => {
    const { child, process, stdout, onProgress } = play(
      new Promise<Outcome>((resolve) => setImmediate(resolve, { kind: "returned", value: 1 })),
    );
    const reader = child.log.read({ lossless: true });
    stdout.write(Buffer.alloc(RING_BYTES));
    await until("the log to be full", () => !child.log.writable);
    for (const done of [1, 2, 3]) onProgress(done);
    process.kill();
    const events = (await within("the events", collect(reader))).map(({ event }) => event);
    expect(events.flatMap((event) => (event.type === "progress" ? [event.done] : []))).toEqual([3]);
    expect(events.at(-1)).toMatchObject({ type: "result", value: 1 });
  },
);

test("a child has ended once its artifacts are there, and its slot is free before", async () => {
  const artifacts = new PassThrough();
  const returned: Outcome = { kind: "returned", value: 1 };
  const { child, process, stdout } = play(Promise.resolve(returned), artifacts);
  // Its reader never reads, so the rest of the output stays in its pipe.
  child.log.read({ lossless: true });
  stdout.write(Buffer.alloc(RING_BYTES));
  await until("the log to be full", () => !child.log.writable);
  process.kill();
  await within("the slot to be free", child.exited);
  expect(child.info).toMatchObject({ status: "running", endedAt: null });
  expect(child.artifacts).toBeUndefined();
  child.stop("cancelled", "a child without a process stays as it is");
  expect(child.info.status).toBe("running");
  artifacts.end(Buffer.alloc(1024));
  await until("the child to have ended", () => child.info.status === "ended");
  expect(child.info).toMatchObject({ code: null, endedAt: expect.any(String) });
  expect(child.artifacts?.list()).toEqual([]);
});
