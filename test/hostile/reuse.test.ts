/** Work that a call leaves behind in a process that is reused: it would run without a slot. */
import { describe, expect, test } from "vitest";
import { hostileMissing, startAttacked, survivors } from "../helpers/hostile.ts";
import { callEvents, lastOf, startOne } from "../helpers/member.ts";
import { bunMissing, pythonMissing } from "../helpers/programs.ts";
import { eventually } from "../helpers/wait.ts";

const NODE_MARK = "() => { globalThis.mark = (globalThis.mark ?? 0) + 1; return globalThis.mark; }";
const PYTHON_MARK = `import os
def mark():
    os.environ["MARK"] = str(int(os.environ.get("MARK", "0")) + 1)
    return int(os.environ["MARK"])`;

const NODE: readonly (readonly [how: string, source: string])[] = [
  [
    "by setsid",
    "() => { require('child_process').execSync('setsid sleep 60 </dev/null >/dev/null 2>&1 &'); }",
  ],
  [
    "detached and unreferenced",
    `() => {
      const options = { detached: true, stdio: "ignore" };
      require("child_process").spawn("sleep", ["60"], options).unref();
    }`,
  ],
  [
    "in a thread, and says that it is clean",
    `() => {
      process.getActiveResourcesInfo = () => [];
      const { Worker } = require("worker_threads");
      new Worker("for (;;);", { eval: true }).unref();
    }`,
  ],
];
const PYTHON: readonly (readonly [how: string, source: string])[] = [
  [
    "in a session of its own",
    `import subprocess
def leave():
    nothing = subprocess.DEVNULL
    subprocess.Popen(["sleep", "60"], start_new_session=True, stdin=nothing, stdout=nothing,
                     stderr=nothing)`,
  ],
  [
    "by a double fork",
    `import os, time
def leave():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            time.sleep(60)
        os._exit(0)
    os.wait()`,
  ],
];

/** Waiting processes are checked twice a second. */
const GONE_MS = 10_000;

async function attacked(runtime: string) {
  const { attack } = await startAttacked({
    pools: { pipeline: { maxChildren: 2, reuse: true }, sibling: 1 },
  });
  // After a child of its own, all processes of the sibling are there.
  await attack({ command: ["true"] });
  const before = survivors().length;
  return {
    call: async (source: string) =>
      lastOf(await attack({ function: { source, runtime } }), "result").value,
    /** Waits until the processes of the attack are gone. One process may wait for a call. */
    gone: () =>
      eventually(
        "the work to be ended",
        () => expect(survivors().length).toBeLessThanOrEqual(before),
        GONE_MS,
      ),
  };
}
const title = (why: string | undefined) => (why ? ` (skipped: ${why})` : "");

describe.skipIf(hostileMissing)(`work left in a node process${title(hostileMissing)}`, () => {
  test.each(NODE)("%s ends with the call", async (_, source) => {
    const { call, gone } = await attacked("node");
    await call(source);
    await gone();
    expect(await call(NODE_MARK)).toBe(1);
  });
});

const noPython = hostileMissing ?? pythonMissing;
describe.skipIf(noPython)(`work left in a python process${title(noPython)}`, () => {
  test.each(PYTHON)("%s ends with the call", async (_, source) => {
    const { call, gone } = await attacked("python");
    await call(source);
    await gone();
    expect(await call(PYTHON_MARK)).toBe(1);
  });
});

const JAVASCRIPT_LEAK = `(kept, used) => {
  Buffer.alloc(used, 1);
  globalThis.kept ??= [];
  globalThis.kept.push(Buffer.alloc(kept, 1));
  return globalThis.kept.length;
}`;
const PYTHON_LEAK = `import sys
def leak(kept, used):
    b"1" * used
    sys.kept = [*getattr(sys, "kept", []), b"1" * kept]
    return len(sys.kept)`;
const CALLS = 200;
const MIB = 1024 * 1024;

describe.each([
  ["node", JAVASCRIPT_LEAK, hostileMissing],
  ["bun", JAVASCRIPT_LEAK, hostileMissing ?? bunMissing],
  ["python", PYTHON_LEAK, noPython],
])("memory that calls leave in a process of %s", (runtime, source, missing) => {
  test.skipIf(missing)(`ends none of ${CALLS} calls${title(missing)}`, async () => {
    const limits = { memoryBytes: 192 * MIB };
    const { url } = await startOne({
      path: process.env.PATH,
      pools: { pipeline: { maxChildren: 1, reuse: true, limits } },
    });
    const fn = { runtime, source, args: [4 * MIB, 10 * MIB] };
    const uses: unknown[] = [];
    for (let call = 0; call < CALLS; call++)
      uses.push(
        lastOf(await callEvents(url, "/pools/pipeline/call", { function: fn }), "result").value,
      );
    // Each process served several calls, and was replaced before one of them could die.
    const mostUses = Math.max(...(uses as number[]));
    expect([mostUses > 2, mostUses * 4 < 192]).toEqual([true, true]);
  });
});
