/** A child whose process was started and cannot be followed. */
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import type { Runtime } from "../../server/runtimes/runtime.ts";
import { fetchRulesOf } from "../../server/sandbox/fetch-rules.ts";
import type { Exit, SandboxedProcess } from "../../server/sandbox/sandbox.ts";
import { Child } from "../../server/supervisor/child.ts";
import { within } from "../helpers/member.ts";
import { confinement } from "../helpers/sandbox.ts";

test("its process is ended before its slot is free", async () => {
  let end: (exit: Exit) => void = () => {};
  let killed = false;
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const process: SandboxedProcess = {
    stdout,
    stderr,
    stdin: null,
    channel: null,
    artifacts: null,
    exited: new Promise((resolve) => {
      end = resolve;
    }),
    usedMs: () => undefined,
    signal: async () => {},
    kill() {
      killed = true;
      stdout.end();
      stderr.end();
      end({ exitCode: 137, signal: "SIGKILL", started: true, exceeded: undefined, usage: undefined });
    },
  };
  const runtime: Runtime = {
    start: async () => ({ process, outcome: Promise.reject(new RangeError("cannot be followed")) }),
  };
  const child = new Child({
    reference: { id: `m.${"0".repeat(32)}`, pool: "p", member: "m", url: "http://m" },
    spec: { command: ["true"], outputEncoding: "text", waitMs: 0, link: false },
    runtime,
    call: undefined,
    client: "127.0.0.1",
    sandbox: { level: "none", folder: "/nowhere", launch: async () => process, close: async () => {} },
    confinement: confinement(),
    fetchRules: fetchRulesOf({ fetch: [], fetchAddresses: [] }),
    folder: "/nowhere",
    deadlineMs: undefined,
    graceMs: 0,
  });
  await within("the slot to be free", child.gone);
  expect(killed).toBe(true);
  await within("the terminal event", child.ended);
  const events = [];
  for await (const { data } of child.log.read()) events.push(JSON.parse(data));
  expect(events.at(-1)).toMatchObject({ type: "failed", problem: { code: "sandbox_unavailable", detail: expect.stringContaining("cannot be followed") } });
});
