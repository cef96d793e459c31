/**
 * Examples of requests and answers, by the id of their operation. A test runs every one of them.
 * Parameters have their examples beside their schemas.
 */

/** Examples of one media type, by their names. */
type Examples = Readonly<Record<string, unknown>>;

interface OperationExamples {
  /** The bodies by their media types. */
  readonly request?: Readonly<Record<string, Examples>>;
  /** The bodies of answers by their status, each with its media type. */
  readonly answers: Readonly<Record<number, Readonly<Record<string, Examples>>>>;
}

const ID = "m1.5f0c2c8d4b1e4f2f9a3f6f0f2d6c1b7e";
const reference = {
  id: ID,
  pool: "pipeline",
  member: "m1",
  url: `http://127.0.0.1:7400/children/${ID}`,
};
const child = {
  ...reference,
  owner: "ci",
  status: "running",
  kind: "command",
  startedAt: "2026-01-05T09:00:00.000Z",
  deadlineAt: null,
  endedAt: null,
  exitCode: null,
  code: null,
  labels: { job: "nightly" },
  sandbox: "full",
};
const ended = { ...child, status: "ended", endedAt: "2026-01-05T09:00:01.250Z", exitCode: 0 };
const usage = { wallMs: 41.5, cpuMs: 12.25, maxRssBytes: 7_340_032 };
const load = { active: 2, max: 5, queued: 0 };
const health = { status: "ok", member: "m1", sandbox: "full" };

const json = (examples: Examples) => ({ "application/json": examples });
const bytes = (text: string) => ({ "application/octet-stream": { text } });

const command = { command: ["uname", "-a"] };
const sum = { function: { source: "(a, b) => a + b", args: [1211, 1] } };
const placed = { command: ["sleep", "1"], labels: { job: "nightly" } };

const events = {
  "text/event-stream": {
    placed: { type: "placed", child: reference },
    stdout: { type: "stdout", text: "Linux\n" },
    result: { type: "result", exitCode: 0, usage, artifacts: [] },
    handedOver: {
      type: "failed",
      problem: {
        type: "urn:distributed-pool:problem:draining",
        title: "This member is draining",
        status: 503,
        detail: `this member drains; child ${ID} runs on at member m1`,
        code: "draining",
        admitted: true,
      },
      child: reference,
    },
  },
};
const results = json({
  command: {
    child: reference,
    exitCode: 0,
    stdout: "Linux\n",
    stderr: "",
    truncated: false,
    usage,
    artifacts: [],
  },
  function: {
    child: reference,
    value: 1212,
    stdout: "",
    stderr: "",
    truncated: false,
    usage,
    artifacts: [],
  },
});
const slot = {
  id: "m1.0b7d5f3d9a534c7fb1bb7a4d6e2f8a10",
  pool: "pipeline",
  member: "m1",
  heldUntil: "2026-01-05T09:00:05.000Z",
};

const inPool = json({ command, function: sum });
const here = json({
  command: { pool: "pipeline", ...command },
  function: { pool: "pipeline", ...sum },
});
const called = { 200: events };
const ran = { 200: results };
const piped = { request: bytes("one\ntwo\n"), answers: { 200: bytes("ONE\nTWO\n") } };
const created = { 201: json({ child }) };
const count = json({ load: { member: "m1", pools: { pipeline: load } } });

export const EXAMPLES: Readonly<Record<string, OperationExamples>> = {
  callInPool: { request: inPool, answers: called },
  runInPool: { request: inPool, answers: ran },
  pipeInPool: piped,
  placeChildInPool: { request: json({ command: placed }), answers: created },
  listPools: {
    answers: { 200: json({ pools: { pools: [{ pool: "pipeline", members: 3, max: 15 }] } }) },
  },
  getPool: {
    answers: {
      200: json({
        pool: {
          pool: "pipeline",
          members: [
            {
              member: "m1",
              url: "http://127.0.0.1:7400",
              version: "0.2.0",
              sandbox: "full",
              load,
            },
          ],
          tasks: ["thumbnails"],
          runtimes: ["node", "python"],
        },
      }),
    },
  },
  listPoolChildren: {
    answers: { 200: json({ children: { children: [child], unreachable: [] } }) },
  },
  feed: {
    answers: {
      200: {
        "text/event-stream": {
          reset: { type: "reset" },
          load: { type: "load", member: "m1", pool: "pipeline", load },
          placed: { type: "child", change: "placed", child, waitedMs: 0.1 },
          synced: { type: "synced" },
        },
      },
    },
  },
  history: {
    answers: {
      200: json({
        history: {
          stepMs: 10_000,
          firstAt: "2026-01-05T09:00:00.000Z",
          boundsMs: [1, 3],
          pools: {
            pipeline: {
              placed: [3],
              ended: [2],
              failed: { cancelled: [1] },
              refused: [0],
              queued: [1],
              waits: [[3, 0, 0]],
              runs: [[0, 1, 1]],
            },
          },
          unreachable: [],
        },
      }),
    },
  },
  call: { request: here, answers: called },
  run: { request: here, answers: ran },
  pipe: piped,
  placeChild: { request: json({ command: { pool: "pipeline", ...placed } }), answers: created },
  listChildren: { answers: { 200: json({ children: { children: [child] } }) } },
  countChildren: { answers: { 200: count } },
  requestSlot: {
    request: json({ slot: { pool: "pipeline", waitMs: 1_000 } }),
    answers: {
      200: {
        "text/event-stream": {
          queued: { type: "queued", position: 1 },
          granted: { type: "granted", slot },
        },
      },
      201: json({ slot }),
    },
  },
  changeSlotRequest: {
    request: json({ more: { count: 20 } }),
    answers: { 200: json({ agreed: { count: 20 } }) },
  },
  releaseSlot: { answers: { 204: {} } },
  listTasks: {
    answers: {
      200: json({ tasks: { member: "m1", tasks: ["thumbnails"], runtimes: ["node", "python"] } }),
    },
  },
  getChild: { answers: { 200: json({ running: child, ended }) } },
  stopChild: { answers: { 202: json({ child: { ...child, status: "stopping" } }) } },
  childEvents: { answers: { 200: { ...events, ...bytes("Linux\n") }, 206: bytes("inux\n") } },
  childResult: {
    answers: { 200: json({ ended: { child: reference, exitCode: 0, usage, artifacts: [] } }) },
  },
  writeStdin: { request: bytes("one\ntwo\n"), answers: { 200: json({ written: { bytes: 8 } }) } },
  signalChild: {
    request: json({ signal: { signal: "SIGUSR1" } }),
    answers: { 202: json({ child }) },
  },
  resizeTty: {
    request: json({ size: { rows: 24, columns: 80 } }),
    answers: { 202: json({ child }) },
  },
  getChildFile: { answers: { 200: bytes("a film\n") } },
  drain: { answers: { 202: count } },
  caller: { answers: { 200: json({ ci: { name: "ci", scopes: ["call"], pools: ["pipeline"] } }) } },
  livez: { answers: { 200: json({ ok: health }) } },
  readyz: {
    answers: {
      200: json({ ok: health }),
      503: json({
        draining: { ...health, status: "unavailable", detail: "the member drains" },
      }),
    },
  },
  metrics: {
    answers: {
      200: {
        "text/plain": {
          slots: '# TYPE dpool_slots gauge\ndpool_slots{pool="pipeline"} 5\n',
        },
      },
    },
  },
};
