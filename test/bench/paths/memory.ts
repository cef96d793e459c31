/** The memory of a member: at rest, and for each idle warm process, stream and queued call. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { startServe } from "../../helpers/processes.ts";
import type { Context, Outcome } from "../benchmark.ts";
import { postBytes } from "../load/http-connection.ts";
import { descendantsOf, memoryOf } from "../measure/processes.ts";
import { untilQuiet } from "../measure/quiet.ts";
import { median } from "../measure/statistics.ts";
import { stopMember } from "../setting/cluster.ts";
import { type Observed, startObserved } from "../setting/observed.ts";

const MB = 1e6;
const KIB = 1024;
const AT_A_TIME = 32;

/** The memory of the member once it is quiet and has no garbage. */
async function settled({ member, look }: Observed, runners = 0) {
  await untilQuiet(member.pid, runners);
  await look();
  return memoryOf(member.pid);
}

/** The memory of a member as it is started, without anything that observes it. */
async function restOf(consul: string) {
  const member = await startServe({ member: "rest", consul });
  try {
    await untilQuiet(member.pid);
    return memoryOf(member.pid);
  } finally {
    await stopMember(member);
  }
}

/** Opens connections, each with one request, and resolves once each has begun to be answered. */
async function openAll(url: URL, request: Buffer, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  const open = async () => {
    while (sockets.length < count) {
      const socket = connect(Number(url.port), url.hostname);
      sockets.push(socket);
      socket.write(request);
      const [head] = (await once(socket, "data")) as [Buffer];
      if (!head.toString("latin1").startsWith("HTTP/1.1 20"))
        throw new Error(head.toString("latin1"));
      socket.resume();
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, open));
  return sockets;
}

/** The bytes that each of so many open requests costs the member. */
async function costOf(observed: Observed, request: Buffer, count: number): Promise<number> {
  const before = await settled(observed);
  const sockets = await openAll(new URL(observed.member.url), request, count);
  const after = await settled(observed);
  for (const socket of sockets) socket.destroy();
  return (after.rss - before.rss) / count;
}

async function place(url: string, pool: string): Promise<string> {
  const answer = await fetch(`${url}/children`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ pool, command: ["sleep", "600"] }),
  });
  if (answer.status !== 201) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
  return ((await answer.json()) as { id: string }).id;
}

export async function run(context: Context): Promise<Outcome> {
  const { quick, log } = context;
  const [warm, open] = quick ? [2, 20] : [40, 1_000];
  const pools = { pipeline: { maxChildren: 1, maxQueue: 10_000 } };
  const observed = await startObserved(context, "memory", { ...pools, idle: { maxChildren: 5 } });
  const { url, pid } = observed.member;
  try {
    const rest = await restOf(observed.consul.httpAddress);
    log(`memory: ${warm} warm processes`);
    const before = await settled(observed);
    const old = new Set(descendantsOf(pid));
    observed.reload({ ...pools, idle: { maxChildren: 5, warm: { node: warm } } });
    const after = await settled(observed, warm);
    const added = descendantsOf(pid).filter((each) => !old.has(each));
    const each = added.map((process) => memoryOf(process).pss).filter(Number.isFinite);
    const children = each.reduce((sum, bytes) => sum + bytes, 0) / warm;
    observed.reload({ ...pools, idle: { maxChildren: 5 } });
    log(`memory: ${open} streams, and as many queued calls`);
    const id = await place(url, "pipeline");
    const target = new URL(url);
    const get = `GET /children/${id}/events HTTP/1.1\r\nhost: ${target.host}\r\n\r\n`;
    const stream = await costOf(observed, Buffer.from(get), open);
    const body = { pool: "pipeline", command: ["true"], waitMs: 600_000 };
    const queued = await costOf(
      observed,
      postBytes(target, "/call", body, "text/event-stream"),
      open,
    );
    const own = (after.rss - before.rss) / warm;
    return {
      tables: [
        {
          title: "Memory",
          columns: ["what", "resident", "proportional (PSS)"],
          rows: [
            ["member at rest, MB", rest.rss / MB, rest.pss / MB],
            ["idle warm node process: on the member's side, KiB", own / KIB, ""],
            ["idle warm node process: its own processes together, MB", "", children / MB],
            ["open stream, KiB", stream / KIB, ""],
            ["queued call, KiB", queued / KIB, ""],
          ],
        },
      ],
      figures: {
        "memory/rest": rest.rss / MB,
        "memory/warm": own / KIB,
        "memory/stream": stream / KIB,
        "memory/queued": queued / KIB,
      },
      notes: [
        `${each.length} processes belong to ${warm} warm ones; the median has ` +
          `${(median(each) / MB).toFixed(1)} MB`,
      ],
    };
  } finally {
    await observed.end();
  }
}
