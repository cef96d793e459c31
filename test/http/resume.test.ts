/**
 * Streams over a network that cuts them: the SDK goes on where it was, and nothing is run or read
 * twice.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Problem } from "../../openapi/errors.ts";
import type { RunResult } from "../../openapi/schemas/endings.ts";
import { DistributedPool, outputBytes, PoolError } from "../../sdk/typescript/node.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import {
  eventsOf,
  idle,
  lastOf,
  type Options,
  post,
  startMembers,
  startOne,
  streamOf,
  until,
  within,
} from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

/** In all forms several times as much as a connection brings. */
const LINES = 80_000;
const PRINTS = {
  command: [
    "sh",
    "-c",
    `n=0; while [ $n -lt ${LINES} ]; do n=$((n+1)); echo "line $n"; ` +
      "[ $((n % 400)) = 0 ] && sleep 0.005; done; true",
  ],
};
const EXPECTED = Array.from({ length: LINES }, (_, index) => `line ${index + 1}\n`).join("");

/**
 * A connection brings at least one event, however slowly the member reads the output: a batch has
 * less than 128 KiB, and its frame a tenth more. A frame that never fits would never pass.
 */
const cutAfter = () => 160_000 + Math.floor(Math.random() * 40_000);

function open(url: string): DistributedPool {
  const pools = new DistributedPool({ url }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  return pools;
}

async function read(
  events: AsyncIterable<{ type: string; id?: number; text?: string | undefined }>,
) {
  const ids: number[] = [];
  let text = "";
  for await (const event of events) {
    if (event.id !== undefined) ids.push(event.id);
    text += event.type === "stdout" ? event.text : "";
  }
  return { ids, text };
}

test.each(["its own member", "another member"])(
  "a call through %s that is cut again and again gives each byte once, and is sent once",
  async (place) => {
    const [m1, m2] = (await startMembers({}, { pools: { other: 1 } })) as [
      RunningMember,
      RunningMember,
    ];
    const proxy = await cuttingProxy(place === "its own member" ? m1.url : m2.url, cutAfter);
    const { ids, text } = await within(
      "the call",
      read(open(proxy.url).stream("pipeline", PRINTS)),
      60_000,
    );
    expect(text).toBe(EXPECTED);
    expect(ids).toEqual(ids.map((_, index) => index + 1));
    expect(proxy.cuts).toBeGreaterThan(3);
    expect(proxy.requests("POST")).toBe(1);
    await idle(m1);
  },
);

test("a child that is followed through a network that cuts: each byte once", async () => {
  const member = await startOne();
  const proxy = await cuttingProxy(member.url, cutAfter);
  const placed = await open(member.url).placeChild("pipeline", { ...PRINTS, stdin: "" });
  const { text } = await within(
    "the events",
    read(open(proxy.url).child(placed.id).events()),
    60_000,
  );
  expect(text).toBe(EXPECTED);
  expect(proxy.cuts).toBeGreaterThan(3);
});

test("gives up with member_lost after a few tries when nothing comes through", async () => {
  const member = await startOne();
  let requests = 0;
  const proxy = await cuttingProxy(member.url, () => (requests++ === 0 ? 600 : 1));
  const call = read(open(proxy.url).stream("pipeline", PRINTS));
  const error = await within(
    "the call",
    call.then(() => undefined).catch((thrown: unknown) => thrown),
    60_000,
  );
  expect(error).toBeInstanceOf(PoolError);
  expect(error).toMatchObject({ code: "member_lost" });
  expect(requests).toBe(7);
});

test.each(["its own member", "another member"])(
  "behind the terminal event there is nothing, at %s, and nobody is lost",
  async (place) => {
    const [m1, m2] = (await startMembers({}, { pools: { other: 1 } })) as [
      RunningMember,
      RunningMember,
    ];
    const child = await open(m1.url).placeChild("pipeline", { command: ["true"] });
    const { ids } = await within("the end", read(child.events()));
    const { url } = place === "its own member" ? m1 : m2;
    const answer = await fetch(`${url}/children/${child.id}/events`, {
      headers: { "last-event-id": String(ids.at(-1)) },
    });
    expect(answer.status).toBe(204);
    const after = ids.at(-1) as number;
    expect(
      await within("the SDK's end", read(open(url).child(child.id).events({ after }))),
    ).toEqual({ ids: [], text: "" });
  },
);

/** A member and a gateway to it, between which the network cuts. */
async function behindCuts(cutAfter: () => number | undefined, lost = 0, options: Options = {}) {
  const registry = new EmbeddedRegistry();
  const [own, gateway] = (await startMembers(
    { registry, ...options },
    { registry, pools: { other: 1 } },
  )) as [RunningMember, RunningMember];
  const proxy = await cuttingProxy(own.url, cutAfter, lost);
  registry.move(own.name, proxy.url);
  return { own, gateway, proxy };
}

describe("a gateway whose connections to the member are cut again and again", () => {
  test("gives each byte of a call once, in each form", async () => {
    const { own, gateway, proxy } = await behindCuts(cutAfter);
    const { ids, text } = await within(
      "the call",
      read(open(gateway.url).stream("pipeline", PRINTS)),
      60_000,
    );
    expect(text).toBe(EXPECTED);
    expect(ids).toEqual(ids.map((_, index) => index + 1));
    const { cuts } = proxy;
    expect(cuts).toBeGreaterThan(1);
    const forms = await Promise.all(
      ["application/json", "application/octet-stream"].map((accept) =>
        post(gateway.url, "/pools/pipeline/call", PRINTS, { accept }),
      ),
    );
    const [json, raw] = await within(
      "the answers",
      Promise.all(forms.map((answer) => answer.text())),
      60_000,
    );
    expect(JSON.parse(json as string)).toMatchObject({ stdout: EXPECTED, exitCode: 0 });
    expect(raw).toBe(EXPECTED);
    expect(proxy.cuts).toBeGreaterThan(cuts + 1);
    expect(proxy.requests("POST")).toBe(3);
    await idle(own);
  });

  test("gives each byte of a child that is attached to once", async () => {
    const { own, gateway, proxy } = await behindCuts(cutAfter);
    const { id } = await open(own.url).placeChild("pipeline", { ...PRINTS, stdin: "" });
    const answer = (accept: string) =>
      within("the answer", fetch(`${gateway.url}/children/${id}/events`, { headers: { accept } }));
    const [events, raw] = await Promise.all([
      answer("text/event-stream"),
      answer("application/octet-stream"),
    ]);
    const { text } = await within("the events", read(streamOf(events)), 60_000);
    expect(text).toBe(EXPECTED);
    expect(await within("the bytes", raw.text(), 60_000)).toBe(EXPECTED);
    expect(proxy.cuts).toBeGreaterThan(3);
    await idle(own);
  });

  test("adds nothing to a stream whose connection breaks behind the terminal event", async () => {
    const registry = new EmbeddedRegistry();
    const gateway = await startOne({ registry });
    const frame = 'event: result\nid: 1\ndata: {"type":"result"}\n\n';
    const owner = createServer((_, answer) => {
      owner.close();
      answer.writeHead(200, { "content-type": "text/event-stream" });
      answer.write(frame, () => answer.destroy());
    }).listen(0, "127.0.0.1");
    await once(owner, "listening");
    const { port } = owner.address() as AddressInfo;
    const membership = registry.membership();
    const [listed] = await membership.all();
    await membership.join({
      ...(listed as Member),
      name: "owner",
      url: `http://127.0.0.1:${port}`,
    });
    const answer = await fetch(`${gateway.url}/children/owner.${"0".repeat(32)}/events`);
    expect(await within("the events", answer.text())).toBe(frame);
  });

  test("goes on behind the event that was asked for, where none has come yet", async () => {
    const { own, gateway, proxy } = await behindCuts(() => undefined);
    const child = await open(own.url).placeChild("pipeline", {
      command: ["sh", "-c", "echo one; read line; echo two"],
    });
    for await (const event of child.events()) if (event.type === "stdout") break;
    const answer = await within(
      "the answer",
      fetch(`${gateway.url}/children/${child.id}/events`, { headers: { "last-event-id": "2" } }),
    );
    proxy.cut();
    await post(own.url, `/children/${child.id}/stdin?end=true`, "\n");
    expect(await within("the events", read(streamOf(answer)))).toEqual({
      ids: [3, 4],
      text: "two\n",
    });
  });

  test("opens raw bytes again although what it asks first is cut too", async () => {
    let requests = 0;
    // The load, the call, and how the child is.
    const { own, gateway } = await behindCuts(() => [undefined, 3_000, 1][requests++]);
    const answer = await post(gateway.url, "/pools/pipeline/call", PRINTS, {
      accept: "application/octet-stream",
    });
    expect(await within("the bytes", answer.text())).toBe(EXPECTED);
    await idle(own);
  });

  test("answers with no part for the whole where output was lost", async () => {
    let requests = 0;
    // The load, and the call.
    const { own, gateway } = await behindCuts(
      () => [undefined, 10_000][requests++],
      40 * 1024 * 1024,
    );
    const spec = {
      command: ["head", "-c", String(60 * 1024 * 1024), "/dev/zero"],
      outputEncoding: "base64",
    };
    const answer = await post(gateway.url, "/pools/pipeline/call", spec, {
      accept: "application/json",
    });
    // The head may have been sent before the loss: it depends on how long that takes.
    const { problem, ...body } = (await answer.json()) as RunResult & Problem;
    expect(problem ?? body).toMatchObject({
      code: "events_expired",
      detail: expect.stringMatching(/\d+ bytes of its output were lost/),
    });
    await idle(own);
  });

  test("ends with child_forgotten when the child was forgotten meanwhile", async () => {
    let passes = true;
    const { own, gateway, proxy } = await behindCuts(() => (passes ? undefined : 1), 0, {
      rememberMs: 1,
    });
    const { id } = await open(own.url).placeChild("pipeline", { command: ["cat"] });
    const answer = await within("the answer", fetch(`${gateway.url}/children/${id}/events`));
    const events = eventsOf(answer);
    passes = false;
    proxy.cut();
    await post(own.url, `/children/${id}/stdin?end=true`, "");
    await until(
      "it to be forgotten",
      async () => (await fetch(`${own.url}/children/${id}`)).status === 410,
    );
    passes = true;
    expect(lastOf(await events, "failed").problem).toMatchObject({ code: "child_forgotten" });
  });

  test("breaks off raw bytes behind an event, as it cannot know which they are", async () => {
    const { own, gateway } = await behindCuts(cutAfter);
    const child = await open(own.url).placeChild("pipeline", { ...PRINTS, stdin: "" });
    const { id } = child;
    // Up to the first output.
    for await (const event of child.events()) if (event.type === "stdout") break;
    const headers = { accept: "application/octet-stream", "last-event-id": "2" };
    const answer = await within(
      "the answer",
      fetch(`${gateway.url}/children/${id}/events`, { headers }),
    );
    await expect(within("the bytes", answer.text())).rejects.toThrow();
    await idle(own);
  });

  test("says that the member was lost where nothing comes through any more", async () => {
    let requests = 0;
    // The load, and the call.
    const { own, gateway } = await behindCuts(() => (requests++ < 2 ? 4_000 : 1));
    const events = await eventsOf(
      await post(gateway.url, "/pools/pipeline/call", PRINTS),
      "the stream's end",
    );
    expect(lastOf(events, "failed").problem).toMatchObject({
      code: "member_lost",
      detail: expect.stringContaining(own.name),
    });
    await idle(own);
  });
});

test("lost output: stream yields the gap, call rejects unless it ignores output", async () => {
  const member = await startOne();
  const bytes = 60 * 1024 * 1024;
  const spec = {
    command: ["head", "-c", String(bytes), "/dev/zero"],
    outputEncoding: "base64" as const,
  };
  const behind = async () => {
    let requests = 0;
    return open(
      (
        await cuttingProxy(
          member.url,
          () => (requests++ === 0 ? 10_000 : undefined),
          40 * 1024 * 1024,
        )
      ).url,
    );
  };
  let received = 0;
  let dropped = 0;
  for await (const event of (await behind()).stream("pipeline", spec)) {
    if (event.type === "stdout") received += outputBytes(event).length;
    if (event.type === "gap") dropped += event.droppedBytes;
  }
  expect(dropped).toBeGreaterThan(0);
  expect(received + dropped).toBe(bytes);
  const wanted = (await behind()).call("pipeline", spec, { stdout: new PassThrough().resume() });
  await expect(within("the call", wanted)).rejects.toMatchObject({
    code: "events_expired",
    message: expect.stringMatching(/\d+ bytes of its output were lost/),
  });
  expect(await within("the call", (await behind()).call("pipeline", spec))).toMatchObject({
    exitCode: 0,
  });
  await idle(member);
});

test.each(["its own member", "another member"])(
  "a fast child whose caller, through %s, is cut 20 times gives each byte once, without a gap",
  async (place) => {
    const [m1, m2] = (await startMembers({}, { pools: { other: 1 } })) as [
      RunningMember,
      RunningMember,
    ];
    const bytes = 64 * 1024 * 1024;
    let cuts = 0;
    const proxy = await cuttingProxy(place === "its own member" ? m1.url : m2.url, () =>
      cuts++ < 20 ? 1_000_000 + Math.floor(Math.random() * 4_000_000) : undefined,
    );
    const command = [
      "sh",
      "-c",
      `head -c ${bytes} /dev/urandom | tee copy | cat; sha256sum copy >&2`,
    ];
    const hash = createHash("sha256");
    let stderr = "";
    let received = 0;
    const reading = (async () => {
      for await (const event of open(proxy.url).stream("pipeline", {
        command,
        outputEncoding: "base64",
      })) {
        if (event.type === "gap") throw new Error(`a gap of ${event.droppedBytes} bytes`);
        if (event.type === "stdout") {
          const chunk = outputBytes(event);
          received += chunk.length;
          hash.update(chunk);
        } else if (event.type === "stderr") stderr += outputBytes(event).toString();
      }
    })();
    await within("the call", reading, 60_000);
    expect(received).toBe(bytes);
    expect(stderr.slice(0, 64)).toBe(hash.digest("hex"));
    expect(proxy.cuts).toBeGreaterThanOrEqual(15);
    expect(proxy.requests("POST")).toBe(1);
    await idle(m1);
  },
);
