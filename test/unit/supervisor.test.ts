/** Admission by a supervisor whose children are played by the test. */
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import { HeldBytes } from "../../server/http/bodies/held-bytes.ts";
import type { RuntimeRegistry } from "../../server/runtimes/registry/runtime-registry.ts";
import { startProblem } from "../../server/sandbox/process.ts";
import type { Exit, SandboxedProcess } from "../../server/sandbox/sandbox.ts";
import { Notifier } from "../../server/supervisor/notify/notifier.ts";
import { Supervisor } from "../../server/supervisor/supervisor.ts";
import { fetchRulesOf } from "../../server/workspace/fetching/fetch-rules.ts";
import { confinement } from "../helpers/sandbox.ts";

const SPEC: ChildSpec = { command: ["x"], outputEncoding: "text", waitMs: 0, link: false };
const EXIT: Exit = {
  exitCode: 0,
  signal: null,
  started: true,
  exceeded: undefined,
  usage: undefined,
};

/** A supervisor with one slot, the ends of its children, and how often it has checked a spec. */
function open() {
  const ends: (() => void)[] = [];
  let checks = 0;
  const runtimes = {
    callOf: () => {
      checks += 1;
      return undefined;
    },
    command: {
      start: async () => {
        const [stdout, stderr] = [new PassThrough(), new PassThrough()];
        const { promise, resolve } = Promise.withResolvers<Exit>();
        ends.push(() => {
          stdout.end();
          stderr.end();
          resolve(EXIT);
        });
        const process: SandboxedProcess = {
          stdout,
          stderr,
          stdin: null,
          channel: null,
          pid: 0,
          progress: null,
          artifacts: null,
          exited: promise,
          usedMs: () => undefined,
          tasks: () => undefined,
          isAlone: () => true,
          holds: () => false,
          signal: async () => {},
          kill: () => ends.at(-1)?.(),
        };
        return { process, outcome: promise.then((exit) => ({ kind: "exited" as const, exit })) };
      },
    },
  } as Partial<RuntimeRegistry> as RuntimeRegistry;
  const changeable = {
    maxChildren: 1,
    maxQueue: 10,
    confinement: confinement(),
    maxDeadlineMs: undefined as number | undefined,
    poolDeadlineMs: undefined as number | undefined,
    defaultDeadlineMs: 60_000,
    runtimes,
    heldBytes: new HeldBytes({ what: "requests", maxBytes: () => 1e9, shared: false }),
    graceMs: 0,
    rememberMs: 1_000,
    fetchRules: fetchRulesOf({ fetch: [], fetchAddresses: [] }),
    notifyRules: fetchRulesOf({ fetch: [], fetchAddresses: [] }),
  };
  const sandbox = {
    level: "none" as const,
    folder: "/nowhere",
    startProblem: (cause: unknown) => startProblem(cause),
    launch: () => Promise.reject(new Error("not used")),
    close: async () => {},
  };
  const supervisor = new Supervisor({
    ...changeable,
    notifier: new Notifier({ secret: undefined, log: () => {} }),
    pool: "p",
    member: "m",
    url: "http://m",
    sandbox,
    folder: "/nowhere",
  });
  const admit = (spec: Partial<ChildSpec> = {}, slot?: string, waitedMs?: number) =>
    supervisor.admitWhenFree({ ...SPEC, ...spec }, "call", { client: "a", slot, waitedMs });
  return { supervisor, changeable, admit, ends, checks: () => checks };
}

const remainingMs = ({ info }: { info: { startedAt: string; deadlineAt: string | null } }) =>
  Date.parse(info.deadlineAt ?? "") - Date.parse(info.startedAt);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a spec", () => {
  test("is checked once, whether its caller waits or not", async () => {
    const { admit, ends, checks } = open();
    await admit();
    expect(checks()).toBe(1);
    const waiting = admit({ waitMs: 60_000 });
    await vi.advanceTimersByTimeAsync(1_000);
    ends[0]?.();
    await waiting;
    expect(checks()).toBe(2);
  });

  test("is checked again after a reload during its wait: a tightened limit holds", async () => {
    const { supervisor, changeable, admit, ends } = open();
    await admit();
    const waiting = admit({ waitMs: 60_000, limits: { openFiles: 100 } }).catch((error) => error);
    await vi.advanceTimersByTimeAsync(1_000);
    const { limits, grants } = changeable.confinement;
    supervisor.update({
      ...changeable,
      confinement: { grants, limits: { ...limits, openFiles: 50 } },
    });
    ends[0]?.();
    expect(await waiting).toMatchObject({ code: "invalid_request" });
    expect(supervisor.count()).toEqual({ active: 0, max: 1, queued: 0 });
  });

  test("has what remains of its deadline checked after a reload", async () => {
    const { supervisor, changeable, admit, ends } = open();
    await admit();
    const waiting = admit({ waitMs: 60_000, deadlineMs: 10_000 });
    await vi.advanceTimersByTimeAsync(4_000);
    supervisor.update({ ...changeable, maxDeadlineMs: 7_000 });
    ends[0]?.();
    expect(remainingMs(await waiting)).toBe(6_000);
  });
});

describe("a deadline", () => {
  test.each([
    ["of the caller", { deadlineMs: 10_000 }, 6_000],
    ["of the pool", {}, 56_000],
  ])("%s counts from the request, the wait included", async (_, spec, remaining) => {
    const { admit, ends } = open();
    expect(remainingMs(await admit(spec))).toBe(remaining + 4_000);
    const waiting = admit({ waitMs: 60_000, ...spec });
    await vi.advanceTimersByTimeAsync(4_000);
    ends[0]?.();
    expect(remainingMs(await waiting)).toBe(remaining);
  });

  test.each([
    ["of the caller counts from its claim", { deadlineMs: 10_000 }, 10_000],
    ["of the pool counts from the request for the slot", {}, 56_000],
  ])("%s", async (_, spec, remaining) => {
    const { supervisor, admit } = open();
    const { id } = await supervisor.request("a", { waitMs: 0 }).granted;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(remainingMs(await admit(spec, id))).toBe(remaining);
  });

  test("by default counts from where the caller began to wait for a slot", async () => {
    const { supervisor, admit } = open();
    const { id } = await supervisor.request("a", { waitMs: 0 }).granted;
    const child = await admit({}, id, 20_000);
    expect(remainingMs(child)).toBe(40_000);
  });

  test("that passes during the wait is deadline_exceeded", async () => {
    const { admit } = open();
    await admit();
    const waiting = admit({ waitMs: 60_000, deadlineMs: 1_000 }).catch((error) => error);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await waiting).toMatchObject({ code: "deadline_exceeded" });
  });
});

test("a child that cannot be started leaves no memory behind", async () => {
  const { supervisor, changeable, admit } = open();
  const start = () => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
  const command = { ...changeable.runtimes.command, start };
  supervisor.update({ ...changeable, runtimes: Object.assign(changeable.runtimes, { command }) });
  const refused = admit().catch((error) => error);
  await vi.advanceTimersByTimeAsync(1);
  expect(await refused).toMatchObject({ code: "sandbox_unavailable", admitted: false });
  expect(supervisor.which()).toEqual([]);
  expect(supervisor.count()).toMatchObject({ active: 0 });
  expect(changeable.heldBytes.bytes).toBe(0);
});

test("an ended child is remembered for its time, then its id is known as forgotten", async () => {
  const { supervisor, admit, ends } = open();
  const { id, finished } = await admit();
  await vi.advanceTimersByTimeAsync(0);
  ends[0]?.();
  await finished;
  expect(supervisor.find(id)?.info.status).toBe("ended");
  expect(supervisor.ownerOfForgotten(id)).toBeUndefined();
  const forgotten = supervisor.forgotten();
  await vi.advanceTimersByTimeAsync(1_000);
  await forgotten;
  expect(supervisor.find(id)).toBeUndefined();
  expect(supervisor.ownerOfForgotten(id)).toBe("a");
});
