/** Attacks by functions on the runner, with which they share a process, and on its report. */
import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../openapi/errors.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { eventsOf, lastOf, post, textOf } from "../helpers/member.ts";
import { pythonMissing } from "../helpers/programs.ts";

/** The expected ending of a function: a value, or a failure of one of these codes. */
type Ending =
  | { readonly value: unknown }
  | { readonly code: ErrorCode | readonly ErrorCode[]; readonly detail?: RegExp };

const FORGED =
  'const { writeSync } = require("node:fs"); const send = (text) => { for ' +
  "(let at = 0; at < text.length; ) try { at += writeSync(3, text.slice(at)) " +
  '} catch (e) { if (e.code !== "EAGAIN") throw e } };';
const usage = '"cpuMs":1,"maxRssBytes":1';
/** Writes a report and ends before the runner can write its own. */
const forged = (line: string, then = "process.exit(0)") =>
  `() => { ${FORGED} send(${JSON.stringify(line)}); ${then} }`;
const CRASHED: Ending = { code: "worker_crashed" };
const HANG = "for (;;) {}";

const ENDINGS: Readonly<
  Record<string, readonly [source: string, ending: Ending, deadlineMs?: number]>
> = {
  "exits before it returns": [
    "() => process.exit(0)",
    { code: "worker_crashed", detail: /exited with code 0/ },
  ],
  aborts: ["() => process.abort()", { code: "worker_crashed", detail: /SIGABRT/ }],
  "never ends": [`() => { ${HANG} }`, { code: "deadline_exceeded" }, 1_000],
  "never ends, a microtask at a time": [
    "async () => { for (;;) await null }",
    { code: "deadline_exceeded" },
    1_000,
  ],
  "never ends, and hears no signal": [
    `() => { process.on("SIGTERM", () => {}); ${HANG} }`,
    { code: "deadline_exceeded" },
    1_000,
  ],
  "closes the parenthesis that it is in": [
    "0) ; process.exit(7); (0",
    { code: "worker_crashed", detail: /code 7/ },
  ],
  "closes it and opens another": ["0), process.on('exit', () => {}), (() => 1212", { value: 1212 }],
  "is a comment that swallows what follows": ["() => 1212 //", { value: 1212 }],
  "is a comment that is never closed": ["() => 1212 /*", { code: "invalid_request" }],
  "is a module": ["import fs from 'node:fs'; export default () => 1", { code: "invalid_request" }],
  "begins with a byte order mark": ["\ufeff() => 1212", { value: 1212 }],
  "has a NUL in it": ["() => '\0'.length", { value: 1 }],
  "is a NUL": ["\0", { code: "invalid_request" }],
  "has line separators in it": ["() =>\u2028'a\u2028b'.length\u2029", { value: 3 }],
  "is four megabytes long": [`() => "${"x".repeat(4_000_000)}".length`, { value: 4_000_000 }],
  "is nested deeper than its parser goes": [
    `() => ${"(".repeat(200_000)}1${")".repeat(200_000)}`,
    { code: ["invalid_request", "function_threw", "worker_crashed"] },
  ],
  "imports, and finds what the sandbox shows": [
    "async () => (await import('node:fs')).readdirSync('/work')",
    { value: [] },
  ],
  "imports from elsewhere": ["async () => import('/etc/passwd')", { code: "function_threw" }],
  "kills its parent": [
    "() => { process.kill(process.ppid, 'SIGKILL'); return 'alive' }",
    { value: "alive" },
  ],
  "kills itself": [
    "() => { process.kill(process.pid, 'SIGKILL'); for (;;) {} }",
    { code: "worker_crashed", detail: /SIGKILL/ },
  ],
  "kills everything": [
    "() => { try { process.kill(-1, 'SIGKILL') } catch {} return 'alive' }",
    { value: "alive" },
  ],
  "throws nothing": ["() => { throw undefined }", { code: "function_threw" }],
  "throws what cannot be told": [
    "() => { throw Object.create(null) }",
    { code: ["function_threw", "worker_crashed"] },
  ],
  "throws what throws when told": [
    "() => { throw { toString() { throw this } } }",
    { code: ["function_threw", "worker_crashed"] },
  ],
  "throws an error with traps in it": [
    "() => { const e = new Error('x'); for (const k of ['name', 'message', " +
      "'stack']) Object.defineProperty(e, k, { get() { throw e } }); throw e }",
    { code: ["function_threw", "worker_crashed"] },
  ],
  "throws an error whose parts are no strings": [
    "() => { throw Object.assign(new Error('x'), { name: {}, message: 5n, " + "stack: [] }) }",
    { code: "function_threw" },
  ],
  "throws an error with a huge message": [
    "() => { throw new Error('x'.repeat(20_000_000)) }",
    { code: "function_threw" },
  ],
  "throws later": [
    "() => new Promise(() => setTimeout(() => { throw new Error('later') }, 10))",
    { code: "function_threw", detail: /later/ },
  ],
  "rejects what nobody awaits": [
    "() => { Promise.reject(new Error('nobody')); return new Promise(() => " +
      "setTimeout(() => {}, 5_000)) }",
    { code: "function_threw", detail: /nobody/ },
  ],
  "returns a getter that throws": [
    "() => ({ get a() { throw new Error('got') } })",
    { code: "function_threw" },
  ],
  "returns a getter that never ends": [
    `() => ({ get a() { ${HANG} } })`,
    { code: "deadline_exceeded" },
    1_000,
  ],
  "returns a proxy that throws": [
    "() => new Proxy({}, { ownKeys() { throw new Error('keys') } })",
    { code: "function_threw" },
  ],
  "returns a proxy of everything": [
    "() => new Proxy({}, { get: () => () => { throw new Error('called') } })",
    { code: "function_threw" },
  ],
  "returns a revoked proxy": [
    "() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); " + "return [proxy] }",
    { code: "function_threw" },
  ],
  "returns an array with holes without end": [
    "() => { const a = []; a.length = 2 ** 32 - 1; return a }",
    { code: "function_threw" },
    3_000,
  ],
  "returns a thenable that never resolves": [
    "() => ({ then() {} })",
    { code: "worker_crashed", detail: /code 0/ },
  ],
  "returns a thenable that resolves with itself": [
    "() => ({ then(resolve) { resolve(this) } })",
    { code: "deadline_exceeded" },
    1_000,
  ],
  "returns a promise of itself": [
    "() => { const p = new Promise((r) => setTimeout(() => r(p))); return p }",
    { code: "function_threw" },
  ],
  "returns a thenable that throws": [
    "() => ({ then() { throw new RangeError('then') } })",
    { code: "function_threw", detail: /then/ },
  ],
  "returns by toJSON what has no JSON": [
    "() => ({ toJSON: () => undefined })",
    { code: "function_threw" },
  ],
  "returns by toJSON what throws": [
    "() => [{ toJSON() { throw new Error('json') } }]",
    { code: "function_threw" },
  ],
  "returns by toJSON another value": [
    "() => ({ toJSON: () => 1212 })",
    { code: "function_threw", detail: /an object whose toJSON would replace it/ },
  ],
  "returns by toJSON a large integer": ["() => ({ toJSON: () => 1n })", { code: "function_threw" }],
  "returns a large integer": ["() => 1n", { code: "function_threw", detail: /bigint/ }],
  "returns a symbol": ["() => Symbol('x')", { code: "function_threw" }],
  "returns a cycle": [
    "() => { const a = {}; a.a = a; return a }",
    { code: "function_threw", detail: /cycle/ },
  ],
  "returns what is nested too deep": [
    "() => { let a = 1; for (let n = 0; n < 3_000; n++) a = [a]; return a }",
    { code: "function_threw" },
  ],
  "returns far too deep": [
    "() => { let a = 1; for (let n = 0; n < 1e6; n++) a = { a }; return a }",
    { code: "function_threw" },
  ],
  "returns more than is taken": [
    "() => 'x'.repeat(17 * 1024 * 1024)",
    { code: "function_threw", detail: /at most 16777216 bytes/ },
  ],
  "returns more than a string holds": [
    "() => Array(600).fill('x'.repeat(1024 * 1024))",
    { code: ["function_threw", "worker_crashed"] },
  ],
  "returns an own __proto__": [
    '() => JSON.parse(\'{"__proto__":{"polluted":1}}\')',
    { value: JSON.parse('{"__proto__":{"polluted":1}}') },
  ],
  "returns the field of an ending": [
    "() => ({ kind: 'exited', type: 'result', exitCode: 0, problem: null })",
    { value: { kind: "exited", type: "result", exitCode: 0, problem: null } },
  ],
};

const REPORTS: Readonly<
  Record<string, readonly [source: string, ending: Ending, deadlineMs?: number]>
> = {
  "a value, as the runner would": [
    forged(`{${usage},"kind":"returned","value":"own"}\n`),
    { value: "own" },
  ],
  "a value, and another one after it": [
    forged(`{${usage},"kind":"returned","value":1}\n{${usage},"kind":"returned","value":2}\n`),
    { value: 1 },
  ],
  "an error, as the runner would": [
    forged(`{${usage},"kind":"threw","error":{"name":"A","message":"b"},"detail":"c"}\n`),
    { code: "function_threw" },
  ],
  "a source that would be at fault": [
    forged(`{${usage},"kind":"invalid","detail":"c"}\n`),
    { code: "invalid_request" },
  ],
  "a command's exit": [forged(`{${usage},"kind":"exited","exit":{"exitCode":0}}\n`), CRASHED],
  "a command's exit without a code": [forged(`{${usage},"kind":"exited"}\n`), CRASHED],
  "a sandbox at fault": [forged(`{${usage},"kind":"unavailable","detail":"forged"}\n`), CRASHED],
  "a crash": [forged(`{${usage},"kind":"crashed","detail":"forged","exitCode":"x"}\n`), CRASHED],
  "an ending that there is not": [forged(`{${usage},"kind":"won"}\n`), CRASHED],
  "no ending": [forged(`{${usage}}\n`), CRASHED],
  "a value that is not there": [forged(`{${usage},"kind":"returned"}\n`), CRASHED],
  "an error that is none": [forged(`{${usage},"kind":"threw","error":7,"detail":"x"}\n`), CRASHED],
  "details that are none": [
    forged(`{${usage},"kind":"threw","error":{"name":"A","message":"b"},"detail":{}}\n`),
    CRASHED,
  ],
  "use of what it did not use": [
    forged('{"cpuMs":-1e99,"maxRssBytes":"all","kind":"returned","value":1}\n'),
    CRASHED,
  ],
  "keys of a prototype": [
    forged(
      `{${usage},"kind":"returned","value":1,"__proto__":{"kind":"exited"},"constructor":1}\n`,
    ),
    { value: 1 },
  ],
  "a value, and garbage after it": [
    forged(`{${usage},"kind":"returned","value":1}\nno JSON\0`),
    { value: 1 },
  ],
  "a list": [forged("[]\n"), CRASHED],
  "a number": [forged("1\n"), CRASHED],
  null: [forged("null\n"), CRASHED],
  "an empty line": [forged("\n"), CRASHED],
  "no JSON": [forged("returned 1\n"), CRASHED],
  garbage: [
    `() => { ${FORGED} writeSync(3, require("node:crypto").randomBytes(4096)); ` +
      `writeSync(3, "\\n") }`,
    CRASHED,
  ],
  "a value nested without end": [
    `() => { ${FORGED} send('{${usage},"kind":"returned","value":' + ` +
      `'{"0":'.repeat(100_000) + 1 + '}'.repeat(100_000) + '}\\n'); ${HANG} }`,
    { code: ["function_threw", "worker_crashed"] },
    5_000,
  ],
  "a value too deep, in one piece": [
    `() => { ${FORGED} send('{${usage},"kind":"returned","value":' + ` +
      `'{"0":'.repeat(5_000) + 1 + '}'.repeat(5_000) + '}\\n'); ${HANG} }`,
    { code: "function_threw", detail: /levels deep/ },
  ],
  "half a line, and nothing more": [
    forged(`{${usage},"kind":`, HANG),
    { code: "deadline_exceeded" },
    1_000,
  ],
  "half a line, and the end": [forged(`{${usage},"kind":`, "process.exit(0)"), CRASHED],
  "a flood": [
    `() => { ${FORGED} const much = "x".repeat(1024 * 1024); for (let n = 0; n ` +
      "< 1024; n++) send(much) }",
    { code: "function_threw", detail: /at most 16777216 bytes/ },
  ],
  "a flood of lines": [`() => { ${FORGED} for (;;) send("[]\\n".repeat(100_000)) }`, CRASHED],
  "a value, and a flood after it": [
    `() => { ${FORGED} send('{${usage},"kind":"returned","value":1}\\n'); ` +
      'const much = "x".repeat(1024 * 1024); for (;;) send(much) }',
    { value: 1 },
  ],
  "nothing: it closes the descriptor": [
    "() => { require('node:fs').closeSync(3); return 1 }",
    CRASHED,
  ],
  "nothing: it closes the descriptor and stays": [
    `() => { require('node:fs').closeSync(3); ${HANG} }`,
    CRASHED,
  ],
  "nothing: it puts a file in the descriptor's place": [
    "() => { const fs = require('node:fs'); fs.closeSync(3); " +
      "fs.openSync('/work/three', 'w'); return 1 }",
    CRASHED,
  ],
  "the output's words": [
    `() => { console.log('{"type":"result","exitCode":0}'); ` +
      `console.log("event: result\\ndata: {}\\n\\n"); return 1 }`,
    { value: 1 },
  ],
  "by a JSON of its own": [
    "() => { JSON.stringify = () => " +
      `'{${usage},"kind":"exited","exit":{"exitCode":0}}'; return 1 }`,
    CRASHED,
  ],
  "by a JSON that throws": [
    "() => { JSON.stringify = () => { throw new Error('json') }; return 1 }",
    { code: "worker_crashed" },
  ],
  "by parts of the language of its own": [
    "() => { Array.prototype.entries = Object.entries = () => { throw 1 }; " +
      "Array.isArray = () => true; Promise.prototype.then = () => {}; " +
      "Number.isFinite = () => true; Buffer.from = () => { throw 1 }; return { " +
      "a: Infinity } }",
    { code: ["worker_crashed", "function_threw", "deadline_exceeded"] },
    3_000,
  ],
  "at the exit, once more": [
    `() => { ${FORGED} process.on("exit", () => { ` +
      `send('{${usage},"kind":"returned","value":"late"}\\n'); process.exitCode ` +
      '= 5 }); return "first" }',
    { value: "first" },
  ],
  "at the exit, which never ends": [
    `() => { process.on("exit", () => { ${HANG} }); return "first" }`,
    { value: "first" },
  ],
  "by an exit of its own": [
    "() => { process.exit = () => {}; process.reallyExit = () => {}; " +
      "setInterval(() => {}, 1000); return 'first' }",
    { value: "first" },
  ],
};

const PYTHON: typeof ENDINGS = {
  exits: [
    "import os\ndef f(): os._exit(0)",
    { code: "worker_crashed", detail: /exited with code 0/ },
  ],
  "kills itself": [
    "import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGKILL)",
    { code: "worker_crashed", detail: /SIGKILL/ },
  ],
  "kills everything": [
    "import os, signal\ndef f():\n  try: os.kill(-1, signal.SIGKILL)\n  except " +
      "OSError: pass\n  return 'alive'",
    { value: "alive" },
  ],
  "never ends": ["def f():\n  while True: pass", { code: "deadline_exceeded" }, 1_000],
  "never ends, and hears no signal": [
    "import signal\ndef f():\n  signal.signal(signal.SIGTERM, " +
      "signal.SIG_IGN)\n  while True: pass",
    { code: "deadline_exceeded" },
    1_000,
  ],
  "recurses without end": [
    "def f(): return f()",
    { code: "function_threw", detail: /RecursionError/ },
  ],
  "leaves a thread and a child": [
    "import os, threading, time\ndef f():\n  " +
      "threading.Thread(target=time.sleep, args=(60,)).start()\n  if os.fork() " +
      "== 0: time.sleep(60)\n  return 1",
    { value: 1 },
  ],
  "raises what cannot be told": [
    "class E(Exception):\n  def __str__(self): raise self\ndef f(): raise E()",
    { code: ["function_threw", "worker_crashed"] },
  ],
  "returns what is nested too deep": [
    "def f():\n  a = 1\n  for n in range(100000): a = [a]\n  return a",
    { code: "function_threw" },
  ],
  "returns more than is taken": [
    "lambda: 'x' * (17 * 1024 * 1024)",
    { code: "function_threw", detail: /at most 16777216 bytes/ },
  ],
  "reports itself, as the runner would": [
    `import os\ndef f():\n  os.write(3, ` +
      `b'{${usage},"kind":"returned","value":"own"}\\n')\n  os._exit(0)`,
    { value: "own" },
  ],
  "reports nonsense": ["import os\ndef f():\n  os.write(3, b'nonsense\\n')\n  return 1", CRASHED],
  "closes the channel": ["import os\ndef f():\n  os.close(3)\n  return 1", CRASHED],
  "closes its output": [
    "import os\ndef f():\n  os.close(1)\n  os.close(2)\n  return 1",
    { value: 1 },
  ],
  "is nested deeper than its parser goes": [
    `f = ${"(".repeat(5_000)}1${")".repeat(5_000)}`,
    { code: "invalid_request" },
  ],
};

describe.skipIf(hostileMissing)(
  `functions${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    /** The difference between the ending and the expected one; undefined for none. */
    const fault = (events: readonly NumberedEvent[], ending: Ending): string | undefined => {
      const last = events.at(-1);
      // The child is placed once and ends once, with only output in between.
      const kinds = events
        .map(({ type }) => type)
        .filter((type) => type !== "stdout" && type !== "stderr");
      if (kinds.join() !== `placed,${last?.type}`) return `the events ${kinds}`;
      if (
        last?.type === "result" &&
        "value" in ending &&
        isDeepStrictEqual(last.value, ending.value)
      )
        return undefined;
      const event = last?.type === "failed" ? last.problem : last;
      const got = `got ${JSON.stringify(event)?.slice(0, 400)}`;
      if (last?.type !== "failed" || "value" in ending) return got;
      return [ending.code].flat().some((code) => code === last.problem.code) &&
        (ending.detail ?? /^/).test(last.problem.detail)
        ? undefined
        : got;
    };
    const endsAs = async (attacks: typeof ENDINGS, { runtime = "node", pool = {} } = {}) => {
      const { member, contained } = await startAttacked({
        pools: { pipeline: { maxChildren: 3, ...pool }, sibling: 1 },
      });
      const left = Object.entries(attacks);
      const faults: string[] = [];
      const work = async () => {
        for (let next = left.shift(); next; next = left.shift()) {
          const [label, [source, ending, deadlineMs = 20_000]] = next;
          const answer = await post(member.url, "/call", {
            pool: "pipeline",
            function: { source, runtime },
            deadlineMs,
          });
          const wrong = fault(await eventsOf(answer, `the ending of what ${label}`), ending);
          if (wrong) faults.push(`${label}: ${wrong}`);
        }
      };
      await Promise.all([work(), work()]);
      expect(faults).toEqual([]);
      await contained();
    };

    test("each has one ending, of a type that fits", { timeout: 120_000 }, () => endsAs(ENDINGS));

    test(
      "a report that the function writes itself tells no more than its own ending",
      { timeout: 120_000 },
      () => endsAs(REPORTS),
    );

    test("and so in processes that waited", { timeout: 120_000 }, async () => {
      await endsAs(REPORTS, { pool: { warm: 2 } });
    });

    test("and so in processes that are used again, for their caller's next call too", {
      timeout: 120_000,
    }, async () => {
      await endsAs(ENDINGS, { pool: { warm: 1, reuse: true } });
    });

    test.skipIf(pythonMissing)("in Python too", { timeout: 120_000 }, async () => {
      await endsAs(PYTHON, { runtime: "python" });
    });

    test("what a function does to its output's writers reaches no other event", async () => {
      const { attack } = await startAttacked();
      const source = `() => {
      const fs = require("node:fs");
      fs.writeSync(1, "id: 99\\nevent: failed\\ndata: {\\"type\\":\\"failed\\"}\\n\\n");
      process.stdout.write = () => true;
      console.log = () => { throw new Error("log") };
      fs.closeSync(1); fs.closeSync(2);
      return "told";
    }`;
      const events = await attack({ function: { source } });
      expect(textOf(events)).toContain("event: failed");
      expect(lastOf(events, "result").value).toBe("told");
    });
  },
);
