/**
 * Callers that never read from a child that never stops writing. The benchmark prints the memory
 * that each costs the member, and a gateway before it, beside the promised limit, and whether the
 * child waits. Then a caller leaves its child: the bytes that a late reader finds are compared with
 * the bytes that the child wrote. Members and callers are processes of their own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { readEvents } from "../../../sdk/typescript/http/read-events.ts";
import { outputBytes } from "../../../sdk/typescript/node.ts";
import { startConsul } from "../../helpers/consul.ts";
import { Pki } from "../../helpers/pki.ts";
import { type MemberProcess, startServe } from "../../helpers/processes.ts";
import { eventually, within } from "../../helpers/wait.ts";

const MIB = 1024 * 1024;
const PROMISED_BYTES = 16 * MIB;
const SETTLE_MS = 4_000;
const WATCH_MS = 2_000;

/** A program that opens calls, says so, and reads none of them. */
const CALLERS = `
const [protocol, url, path, accept, body, count, connections] = JSON.parse(process.argv[1]);
const { hostname, port } = new URL(url);
const headers = { "content-type": "application/json", accept };
const request = { method: "POST", host: hostname, port, path, headers };
const heads = [];
const opened = (status) => {
  if (status !== 200) throw new Error("HTTP " + status);
};
const WIDE = 2 ** 31 - 1;
let session;
for (let index = 0; index < count; index++) {
  if (protocol === "HTTP/1.1") {
    const head = new Promise((resolve) =>
      require("node:http").request({ ...request, agent: false }, resolve).end(body));
    heads.push(head.then((answer) => opened(answer.statusCode)));
    continue;
  }
  if (index < connections) {
    const settings = connections > 1 ? { initialWindowSize: WIDE } : {};
    const made = require("node:http2").connect(url, { rejectUnauthorized: false, settings });
    if (connections > 1) made.once("connect", () => made.setLocalWindowSize(WIDE));
    session = made;
  }
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  stream.end(body);
  const head = new Promise((resolve) => stream.once("response", resolve));
  heads.push(head.then((head) => opened(head[":status"])));
}
Promise.all(heads).then(() => console.log("open"));`;

const ticksOf = (stat: string) => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
};

/** Processor time of all descendants of a process, in milliseconds. */
function usedBelow(pid: number): number {
  const all = new Map<number, { parent: number; ticks: number }>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      all.set(Number(name), ticksOf(readFileSync(`/proc/${name}/stat`, "latin1")));
    } catch {
      // The process has ended.
    }
  }
  const isBelow = (each: number): boolean => {
    const parent = all.get(each)?.parent;
    return parent !== undefined && (parent === pid || isBelow(parent));
  };
  return [...all].reduce((sum, [each, { ticks }]) => sum + (isBelow(each) ? ticks * 10 : 0), 0);
}

/**
 * Resident bytes of a member after a garbage collection, which its debugger starts: a process
 * gathers tens of MiB of garbage before it collects by itself.
 */
async function heldBytes({ pid, log }: MemberProcess): Promise<number> {
  const address = /ws:\/\/\S+/.exec(log)?.[0];
  if (!address) throw new Error("expected the address of its debugger in its log");
  const socket = new WebSocket(address);
  await within("its debugger", 10_000, once(socket, "open"));
  socket.send(JSON.stringify({ id: 1, method: "HeapProfiler.collectGarbage" }));
  await within("the collection", 10_000, once(socket, "message"));
  socket.close();
  return (
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024
  );
}

const pki = new Pki();
pki.authority("ours");
pki.certificate("member", "ours");
const consul = await startConsul();
const TLS = [
  "--tls-cert",
  pki.at("member.pem"),
  "--tls-key",
  pki.at("member.key"),
  "--tls-ca",
  pki.at("ours.pem"),
];

/** A new member with a pool: a process does not give back the memory that it once had. */
const start = (member: string, pool: string, args: readonly string[] = []) =>
  startServe({
    member,
    pool,
    consul: consul.httpAddress,
    args,
    nodeArgs: ["--inspect=127.0.0.1:0"],
  });

/** Lets a member leave, so that no other member asks it. */
async function stop(member: MemberProcess): Promise<void> {
  member.kill("SIGTERM");
  await within(`the end of member ${member.name}`, 20_000, member.exited);
}

async function startGateway(): Promise<MemberProcess> {
  const gateway = await start("gateway", "other=1");
  await eventually(
    "the gateway to see the owner",
    async () => {
      if ((await fetch(`${gateway.url}/pools/pipeline`)).status !== 200)
        throw new Error("it does not yet");
    },
    15_000,
  );
  return gateway;
}

const SSE = "text/event-stream";
const RAW = "application/octet-stream";
const PAUSED = { pool: "pipeline", command: ["yes"], link: true, deadlineMs: 60_000 };

// The last number is the most connections that the callers share.
for (const [name, protocol, hops, accept, connections] of [
  ["events, HTTP/1.1", "HTTP/1.1", 1, SSE, 1_000],
  ["events, HTTP/2, a connection each", "HTTP/2", 1, SSE, 1_000],
  ["events, HTTP/2, one connection", "HTTP/2", 1, SSE, 1],
  ["raw, HTTP/1.1", "HTTP/1.1", 1, RAW, 1_000],
  ["events, through a gateway", "HTTP/1.1", 2, SSE, 1_000],
  ["raw, through a gateway", "HTTP/1.1", 2, RAW, 1_000],
] as const) {
  for (const count of [1, 20]) {
    const owner = await start("owner", "pipeline=64", protocol === "HTTP/2" ? TLS : []);
    const members = hops === 2 ? [owner, await startGateway()] : [owner];
    const before = await Promise.all(members.map(heldBytes));
    const { pool, ...spec } = PAUSED;
    const url = members.at(-1)?.url;
    const path = hops === 2 ? `/pools/${pool}/call` : "/call";
    const body = JSON.stringify(hops === 2 ? spec : PAUSED);
    const given = [protocol, url, path, accept, body, count, connections];
    const callers = spawn(process.execPath, ["-e", CALLERS, JSON.stringify(given)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await within("the calls to be open", 20_000, once(callers.stdout, "data"));
      callers.kill("SIGSTOP");
      await pause(SETTLE_MS);
      const used = usedBelow(owner.pid);
      await pause(WATCH_MS);
      const share = (usedBelow(owner.pid) - used) / WATCH_MS;
      const after = await Promise.all(members.map(heldBytes));
      const costs = members.map(({ name: member }, index) => {
        const each = ((after[index] as number) - (before[index] as number)) / count;
        return (
          `${member} ${(each / MIB).toFixed(1)} MiB each, ` +
          `${(each / PROMISED_BYTES).toFixed(2)} x what is promised`
        );
      });
      console.log(
        `${name}, ${count} at once: ${costs.join("; ")}; ` +
          `the children use ${(share * 100).toFixed(0)} % of a processor`,
      );
    } finally {
      callers.kill("SIGKILL");
    }
    await Promise.all(members.map(stop));
  }
}

/**
 * A program that writes blocks as fast as its reader takes them, for 8 s, and prints at the end how
 * many bytes it wrote.
 */
const COUNTS = [
  "perl",
  "-e",
  '$block = "x" x 65536; $end = time + 8; ' +
    "while (time < $end) { $n += syswrite STDOUT, $block } print STDERR $n",
];

const owner = await start("owner", "pipeline=1");
const left = new AbortController();
const headers = { "content-type": "application/json", accept: SSE };
const call = await fetch(`${owner.url}/call`, {
  method: "POST",
  headers,
  body: JSON.stringify({ pool: "pipeline", command: COUNTS, outputEncoding: "base64" }),
  signal: left.signal,
});
const id = call.headers.get("pool-child-id");
await pause(1_000);
left.abort();
await eventually(
  "the child to end by itself",
  async () => {
    const { status } = (await (await fetch(`${owner.url}/children/${id}`)).json()) as {
      status: string;
    };
    if (status !== "ended") throw new Error(`it is ${status}`);
  },
  15_000,
);
const late = await fetch(`${owner.url}/children/${id}/events`);
if (!late.body) throw new Error("expected a stream");
const found = { dropped: 0, received: 0, written: "" };
for await (const event of readEvents(late.body)) {
  if (event.type === "gap") found.dropped += event.droppedBytes;
  else if (event.type === "stdout") found.received += outputBytes(event).length;
  else if (event.type === "stderr") found.written += outputBytes(event).toString();
}
const { dropped, received, written } = found;
console.log(
  `its caller left: the child wrote ${written} bytes; a late reader finds ` +
    `${dropped} missing and ${received} there, together ${dropped + received}`,
);

await stop(owner);
await consul.stop();
pki.remove();
