/**
 * Readers that leave, drip, or come with what is not theirs; and output that would be taken for
 * events.
 */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { outputBytes } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  callEvents,
  collect,
  eventsOf,
  heldBytes,
  idle,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";
import { eventually } from "../helpers/wait.ts";

const MIB = 1024 * 1024;

async function place(url: string, command: string[]): Promise<ChildInfo> {
  return (await (await post(url, "/children", { pool: "pipeline", command })).json()) as ChildInfo;
}

/** Two members; the pool is served by the first. */
const pair = async () =>
  (await startMembers({}, { pools: { other: 1 } })) as [RunningMember, RunningMember];

async function socketTo({ url }: { url: string }): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await within("the connection", once(socket, "connect"));
  return socket;
}

/** The types of events of a command that prints to stdout. */
const TYPE = "(placed|stdout|result)";

test("a Last-Event-ID beyond the child's events is refused; an earlier one resumes", async () => {
  const [m1, m2] = await pair();
  const events = await callEvents(m1.url, "/call", {
    pool: "pipeline",
    command: ["sh", "-c", "for n in 1 2 3 4 5 6; do echo $n; sleep 0.02; done"],
  });
  const child = await place(m1.url, ["sleep", "600"]);
  for (const { url } of [m1, m2]) {
    const attach = (after: number) =>
      fetch(`${url}/children/${child.id}/events`, { headers: { "last-event-id": String(after) } });
    const { detail } = await problemOf(
      await within("the answer", attach(lastOf(events, "result").id ?? 0)),
    );
    expect(detail).toMatch(/expected the id of an event up to 1; got \d+/);
    const stream = await within("the answer", attach(1));
    expect(stream.status).toBe(200);
    await stream.body?.cancel();
  }
});

test.each([
  ["LF", "\n"],
  ["CR", "\r"],
  ["CR LF", "\r\n"],
  ["line and paragraph separators", "\u2028\u2029"],
])(
  "output that looks like events with %s is output, through another member too",
  async (_, newline) => {
    const forged =
      "\n\nevent: result\ndata: {}\n\nevent: failed\nid: 99\n" +
      'data: {"type":"failed"}\n\n: comment\nretry: 1\n'.replaceAll("\n", newline).repeat(3);
    const [m1, m2] = await pair();
    for (const [url, path, own] of [
      [m1.url, "/call", { pool: "pipeline" }],
      [m2.url, "/pools/pipeline/call", {}],
    ] as const) {
      // A byte at a time, so that frames begin and end anywhere in it.
      for (const outputEncoding of ["text", "base64"])
        for (const command of [["cat"], ["dd", "bs=1", "status=none"]]) {
          const answer = await post(url, path, { ...own, command, stdin: forged, outputEncoding });
          const [text, events] = await within(
            "the answer",
            Promise.all([answer.clone().text(), eventsOf(answer)]),
          );
          expect(
            Buffer.concat(
              events.map((event) =>
                event.type === "stdout" ? outputBytes(event) : Buffer.alloc(0),
              ),
            ).toString(),
          ).toBe(forged);
          expect(events.map(({ id }) => id)).toEqual(events.map((__, index) => index + 1));
          expect(lastOf(events, "result").exitCode).toBe(0);
          for (const line of text.split(/[\r\n]+/))
            expect(line).toMatch(
              new RegExp(`^(|:.*|event: ${TYPE}|id: \\d+|data: \\{"type":"${TYPE}",.*\\})$`, "s"),
            );
        }
    }
    await idle(m1);
  },
);

test("a client that sends a byte now and then has no more time than any other", async () => {
  const member = await startOne({ requestTimeoutMs: 400 });
  const HEAD =
    "POST /pools/pipeline/call HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n";
  for (const [start, rest] of [
    ["", HEAD],
    [`${HEAD}content-length: 1000\r\n\r\n`, " ".repeat(1000)],
  ] as const) {
    const socket = await socketTo(member);
    let answer = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      answer += chunk;
    });
    socket.write(start);
    let sent = 0;
    const drip = setInterval(
      () => socket.writable && socket.write(rest[sent++ % rest.length] as string),
      20,
    );
    onTestFinished(() => clearInterval(drip));
    await within("the connection to be closed", once(socket, "close"));
    expect(answer).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
  }
  await idle(member);
});

test.each(["its own member", "another member"])(
  "a thousand readers at %s that come and leave, one after the other, leave nothing behind",
  async (where) => {
    // Sandboxes that come to wait would count.
    const pool = { maxChildren: 2, warm: { command: 0 } };
    const options = { maxStreams: 5, maxRate: 100_000 };
    const [m1, m2] = (await startMembers(
      { ...options, pools: { pipeline: pool } },
      { ...options, pools: { other: pool } },
    )) as [RunningMember, RunningMember];
    const { url } = where === "its own member" ? m1 : m2;
    const child = await place(m1.url, [
      "sh",
      "-c",
      "n=0; while [ $n -lt 20000 ]; do echo $n; n=$((n+1)); sleep 0.05; done",
    ]);
    // Another reader, from the first event to the end.
    const other = streamOf(
      await within("the answer", fetch(`${m1.url}/children/${child.id}/events`)),
    );
    const seen: NumberedEvent[] = [];
    const reading = (async () => {
      for await (const event of other) seen.push(event);
    })();
    const head = `GET /children/${child.id}/events HTTP/1.1\r\nhost: ${new URL(url).host}\r\n\r\n`;
    const visit = async (patient: boolean) => {
      const socket = await socketTo({ url });
      socket.write(head);
      // Some leave before there is an answer.
      if (patient)
        expect(String((await within("the answer", once(socket, "data")))[0])).toMatch(
          /^HTTP\/1\.1 (200|429)/,
        );
      const closed = once(socket, "close");
      socket.resetAndDestroy();
      await closed;
    };
    const descriptors = () => readdirSync("/proc/self/fd").length;
    for (let count = 0; count < 20; count++) await visit(true);
    const before = { descriptors: descriptors(), bytes: await heldBytes() };
    for (let count = 0; count < 1_000; count++) await visit(count % 3 > 0);
    await eventually(
      "the descriptors to be closed",
      () => expect(descriptors()).toBeLessThanOrEqual(before.descriptors + 8),
      10_000,
    );
    // The child's log fills meanwhile. What readers held is free soon after they have left.
    await eventually(
      "the memory to be free",
      async () => expect((await heldBytes()) - before.bytes).toBeLessThan(16 * MIB),
      10_000,
    );
    // All have been counted off.
    await eventually(
      "places for as many readers as there may be",
      async () => {
        const answers = await Promise.all(
          Array.from({ length: 4 }, () => fetch(`${url}/children/${child.id}/events`)),
        );
        for (const answer of answers) await answer.body?.cancel();
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      },
      10_000,
    );
    await (await fetch(`${m1.url}/children/${child.id}`, { method: "DELETE" })).text();
    await within("the other reader's end", reading);
    expect(seen.map(({ id }) => id)).toEqual(seen.map((_, index) => index + 1));
    const numbers = textOf(seen).trim().split("\n").map(Number);
    expect(numbers).toEqual(numbers.map((_, index) => index));
    lastOf(seen, "failed");
    await idle(m1);
  },
);

test("readers of an ended child are answered from its log; the connection stays open", async () => {
  const member = await startOne();
  const events = await callEvents(member.url, "/call", {
    pool: "pipeline",
    command: ["echo", "once"],
  });
  const [placed] = events;
  if (placed?.type !== "placed") throw new Error("expected placed");
  const readers = await Promise.all(
    Array.from({ length: 50 }, async () =>
      collect(streamOf(await fetch(`${member.url}/children/${placed.child.id}/events`))),
    ),
  );
  for (const read of readers) expect(read).toEqual(events);
});
