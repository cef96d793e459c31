/** The driver of curl: each operation is one command line, such as a shell would run. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

interface Args {
  readonly pool: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly child: string;
  readonly [name: string]: unknown;
}

interface PoolEvent {
  readonly type: string;
  readonly [name: string]: unknown;
}

const CAPABILITIES =
  "function command stream run place stdin files cancel token tls signal key members".split(" ");

/** What is wrong with an operation, as the protocol has it. */
class Fault extends Error {
  readonly error: object;
  constructor(error: object) {
    super(JSON.stringify(error));
    this.error = error;
  }
}

let base = "";
/** The options of every command line. */
let common: string[] = [];

interface Request {
  readonly method?: string;
  readonly json?: unknown;
  readonly bytes?: string;
  readonly accept?: string;
  readonly headers?: readonly string[];
  /** Called with each line as it arrives. */
  readonly onLine?: (line: string, curl: ChildProcess) => void;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** Runs curl. The status comes on its stderr, behind what it complains about. */
async function curl(path: string, request: Request = {}): Promise<Answer> {
  const { json, bytes, accept, headers = [], onLine } = request;
  const body = json === undefined ? bytes : JSON.stringify(json);
  const type = `content-type: application/${json === undefined ? "octet-stream" : "json"}`;
  const args = [
    ...["-sS", "-N", "-w", "%{stderr}\n%{http_code}", "-X", request.method ?? "GET"],
    ...common,
    ...(accept ? ["-H", `accept: ${accept}`] : []),
    ...headers.flatMap((header) => ["-H", header]),
    ...(body === undefined ? [] : ["-H", type, "--data-binary", "@-"]),
    `${base}${path}`,
  ];
  const child = spawn("curl", args, { stdio: "pipe" });
  cancel?.(child);
  child.stdin.on("error", () => {});
  child.stdin.end(body ?? "");
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const parts: Buffer[] = [];
  const decoder = new TextDecoder();
  let text = "";
  child.stdout.on("data", (part: Buffer) => {
    parts.push(part);
    if (!onLine) return;
    const lines = `${text}${decoder.decode(part, { stream: true })}`.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) onLine(line, child);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("close", (...how) => resolve(how)),
  );
  if (signal !== null && isCancelled) throw new Fault({ code: "cancelled" });
  if (code !== 0 && signal === null) throw new Fault({ code: "crash", detail: complaint });
  return { status: Number(complaint.trim().split("\n").at(-1)), body: Buffer.concat(parts) };
}

/** The JSON of an answer. */
async function json<T>(path: string, request: Request = {}): Promise<T> {
  const { status, body } = await curl(path, { accept: "application/json", ...request });
  const value = body.length === 0 ? undefined : JSON.parse(String(body));
  if (status >= 400) throw new Fault(faultOf(value));
  return value as T;
}

function faultOf(problem: Readonly<Record<string, unknown>>): object {
  const { code, detail, status, error, admitted, child } = problem;
  return { code, detail, status, error, admitted, child: (child as { id: string })?.id };
}

/** The events of a stream: the lines that begin with `data:`. */
async function events(path: string, request: Request, { limit, seen }: Args): Promise<PoolEvent[]> {
  const list: PoolEvent[] = [];
  const most = (limit as number | undefined) ?? Number.POSITIVE_INFINITY;
  let id: number | undefined;
  const onLine = (line: string, child: ChildProcess) => {
    if (line.startsWith("id:")) id = Number(line.slice(3));
    if (!line.startsWith("data:") || list.length >= most) return;
    const event = JSON.parse(line.slice(5)) as PoolEvent;
    list.push(id === undefined ? event : { ...event, id });
    id = undefined;
    (seen as (() => void) | undefined)?.();
    if (list.length >= most) child.kill("SIGTERM");
  };
  const accept = "text/event-stream;lines=long";
  const { status, body } = await curl(path, { accept, ...request, onLine });
  if (status >= 400) throw new Fault(faultOf(JSON.parse(String(body))));
  return list;
}

const stream = (args: Args) =>
  events(`/pools/${args.pool}/call`, { method: "POST", json: args.spec }, args);
const run = async ({ pool, spec }: Args) => {
  const answer = await json<{ child: { id: string }; problem?: Record<string, unknown> }>(
    `/pools/${pool}/run`,
    { method: "POST", json: spec },
  );
  if (answer.problem) throw new Fault(faultOf(answer.problem));
  return { ...answer, child: answer.child.id };
};

const OPERATIONS: Record<string, (args: Args) => unknown> = {
  capabilities: () => CAPABILITIES,
  open({ url, token, ca }) {
    base = url as string;
    common = [
      ...(token === undefined ? [] : ["-H", `authorization: Bearer ${token}`]),
      ...(ca === undefined ? [] : ["--cacert", ca as string]),
    ];
    return null;
  },
  close: () => null,
  call: run,
  run,
  stream,
  async place({ pool, spec }) {
    const request = { method: "POST", json: spec };
    return { child: (await json<{ id: string }>(`/pools/${pool}/children`, request)).id };
  },
  events({ after, ...args }) {
    const headers = after === undefined ? [] : [`last-event-id: ${after}`];
    return events(`/children/${args.child}/events`, { headers }, args as unknown as Args);
  },
  info: ({ child }) => json(`/children/${child}`),
  async result({ child, waitMs = 0 }) {
    const found = await json<{ problem?: Record<string, unknown> }>(
      `/children/${child}/result?waitMs=${waitMs}`,
    );
    if (found?.problem) throw new Fault(faultOf(found.problem));
    return found ?? null;
  },
  stop: ({ child, graceMs }) =>
    json(`/children/${child}${graceMs === undefined ? "" : `?graceMs=${graceMs}`}`, {
      method: "DELETE",
    }),
  signal: ({ child, signal }) =>
    json(`/children/${child}/signal`, { method: "POST", json: { signal } }),
  async stdin({ child, text, end = false }) {
    const request = { method: "POST", bytes: text as string };
    return (await json<{ bytes: number }>(`/children/${child}/stdin?end=${end}`, request)).bytes;
  },
  async file({ child, path }) {
    const names = (path as string).split("/").map(encodeURIComponent);
    const { status, body } = await curl(`/children/${child}/files/${names.join("/")}`);
    if (status >= 400) throw new Fault(faultOf(JSON.parse(String(body))));
    return { base64: body.toString("base64") };
  },
  async members({ pool }) {
    const { members } = await json<{ members: { member: string }[] }>(`/pools/${pool}`);
    return members.map(({ member }) => member);
  },
  async cancel({ op, args, afterEvents, afterMs }) {
    let running: ChildProcess | undefined;
    const stop = () => {
      isCancelled = true;
      running?.kill("SIGINT");
    };
    cancel = (child) => {
      running = child;
    };
    let left = (afterEvents as number | undefined) ?? Number.POSITIVE_INFINITY;
    const seen = () => {
      if (--left === 0) stop();
    };
    if (afterMs !== undefined) setTimeout(stop, afterMs as number);
    try {
      return await OPERATIONS[op as string]?.({ ...(args as Args), seen });
    } finally {
      cancel = undefined;
      isCancelled = false;
    }
  },
};

/** Hears of the process while an operation is to be cancelled. */
let cancel: ((child: ChildProcess) => void) | undefined;
let isCancelled = false;

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, args } = JSON.parse(line) as { id: number; op: string; args: Args };
  let outcome: object;
  try {
    const operation = OPERATIONS[op];
    outcome = operation
      ? { value: (await operation(args)) ?? null }
      : { error: { code: "unsupported" } };
  } catch (thrown) {
    const crash = { code: "crash", detail: (thrown as Error).stack };
    outcome = { error: thrown instanceof Fault ? thrown.error : crash };
  }
  process.stdout.write(`${JSON.stringify({ id, ...outcome })}\n`);
}
