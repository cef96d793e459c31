/** Machines that are gone without a word: they neither end nor reset their connections. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import { farMissing, startFarMachine } from "../helpers/far.ts";
import { ask, connectTo } from "../helpers/http2.ts";
import {
  collect,
  getJson,
  lastOf,
  post,
  startMembers,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";
import { cuttingProxy } from "../helpers/proxy.ts";
import { eventually } from "../helpers/wait.ts";

/** 30 seconds: members notice within 15, the SDK retries for some 6, this machine is busy. */
const NOTICED_MS = 30_000;
const MIB = 1024 * 1024;
const missing = farMissing ?? (hasOpenssl ? undefined : "openssl is not installed");

/** Sends the requests `[protocol, url, body, accept]`, and reads all answers. */
const CALLERS = `
import { connect } from "node:http2";
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
for (const [protocol, url, body, accept] of JSON.parse(process.argv[1])) {
  const headers = { "content-type": "application/json", accept };
  if (protocol === "HTTP/1.1") {
    fetch(url, { method: "POST", headers, body })
      .then((answer) => answer.body.pipeTo(new WritableStream()))
      .catch(() => {});
  } else {
    const head = { ":path": new URL(url).pathname, ":method": body ? "POST" : "GET", ...headers };
    const stream = connect(url).on("error", () => {}).request(head);
    stream.on("error", () => {}).resume().end(body);
  }
}`;

/**
 * A program with the SDK. It follows a child that writes little, reads the raw form of a call, and
 * feeds two children, one of them rarely. It prints the output it reads, and how the rest ends.
 */
const SDK = `
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
const { DistributedPool } = await import(process.argv[1] + "node.ts");
const { NodeTransport } = await import(process.argv[1] + "node/transport.ts");
const { Client } = await import(process.argv[1] + "http/client.ts");
const [url, followed, fed, idle] = process.argv.slice(2);
const pools = new DistributedPool({ url });
const client = new Client(new NodeTransport());
const say = console.log;
const lost = (what) => (error) => say(what, "lost:", error.cause?.code ?? error.code);
async function* typed(pauseMs) {
  for (;;) {
    yield Buffer.from("x");
    await pause(pauseMs);
  }
}
pools.child(fed).write(Readable.from(typed(100), { objectMode: false })).catch(lost("fed"));
pools.child(idle).write(Readable.from(typed(3600_000), { objectMode: false })).catch(lost("idle"));
const body = { pool: "raw", command: ["sh", "-c", "echo raw; sleep 300"], link: true };
const accept = "application/octet-stream";
const answer = await client.send(url + "/call", { method: "POST", accept, body });
(async () => {
  for await (const bytes of answer.body) say("raw", String(bytes).trim());
})().catch(lost("raw"));
let after;
for (let cuts = 0; ; cuts++) {
  try {
    for await (const event of pools.child(followed).events({ after })) {
      after = event.id;
      if (event.type === "stdout") say("followed", event.text.trim());
    }
    break;
  } catch (error) {
    if (cuts === 0) say("followed lost:", error.code);
  }
}
say("followed to the end");
`;
const SDK_FOLDER = new URL("../../sdk/typescript/", import.meta.url).href;

const SSE = "text/event-stream";
const CHATTY = ["sh", "-c", "while :; do echo x; sleep 0.1; done"];
const SLEEP = ["sleep", "300"];

describe.skipIf(missing !== undefined)(
  `a machine that is gone${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    let pki: Pki;
    beforeAll(() => {
      pki = new Pki();
      pki.authority("ours");
    });
    afterAll(() => pki.remove());

    const placeChild = async (member: RunningMember, pool: string, command: string[]) =>
      (await (await post(member.url, "/children", { pool, command })).json()) as ChildInfo;
    /** The number of slots in use and of waiters, over all pools. */
    const busy = ({ pools }: Count) =>
      Object.values(pools).reduce((sum, { active, queued }) => sum + active + queued, 0);

    test("is noticed by the member that it called", async () => {
      const far = await startFarMachine();
      pki.certificate("member", "ours", { address: far.near });
      const tls = { certFile: pki.at("member.pem"), keyFile: pki.at("member.key") };
      const one = (...names: string[]) => Object.fromEntries(names.map((name) => [name, 1]));
      const [plain, secure] = (await startMembers(
        {
          pools: one("silent", "chatty", "full", "raw", "waiting", "queue", "slow"),
          host: far.near,
          insecure: true,
        },
        { pools: one("silent", "chatty", "h1", "kept"), host: far.near, insecure: true, tls },
      )) as [RunningMember, RunningMember];
      const session = await connectTo(secure.url, { ca: pki.pem("ours.pem") });
      const countPlain = () => getJson<Count>(`${plain.url}/children/count`);
      const countSecure = async () =>
        JSON.parse((await ask(session, "/children/count")).text) as Count;

      // Two things must outlast the dead machine: a child, and a reader that takes nothing.
      await placeChild(plain, "queue", SLEEP);
      const slow = connect(Number(new URL(plain.url).port), far.near).pause();
      onTestFinished(() => void slow.destroy());
      const spec = JSON.stringify({
        pool: "slow",
        command: ["head", "-c", `${50 * MIB}`, "/dev/zero"],
        outputEncoding: "base64",
        link: true,
      });
      slow.write(
        `POST /call HTTP/1.0\r\nhost: ${far.near}\r\ncontent-type: application/json\r\n` +
          `content-length: ${spec.length}\r\n\r\n${spec}`,
      );

      const call = (
        protocol: string,
        { url }: RunningMember,
        pool: string,
        command: string[],
        accept = SSE,
      ) => [protocol, `${url}/call`, JSON.stringify({ pool, command, link: true }), accept];
      const kept = await ask(session, "/children", { pool: "kept", command: SLEEP });
      far.run(
        CALLERS,
        JSON.stringify([
          call("HTTP/1.1", plain, "silent", SLEEP),
          call("HTTP/1.1", plain, "chatty", CHATTY),
          call("HTTP/1.1", plain, "full", ["yes"]),
          call("HTTP/1.1", plain, "raw", SLEEP, "application/octet-stream"),
          call("HTTP/1.1", plain, "waiting", SLEEP, "application/json"),
          [
            "HTTP/1.1",
            `${plain.url}/slots`,
            JSON.stringify({ pool: "queue", waitMs: 300_000 }),
            SSE,
          ],
          call("HTTP/1.1", secure, "h1", SLEEP),
          call("HTTP/2", secure, "silent", SLEEP),
          call("HTTP/2", secure, "chatty", CHATTY),
          [
            "HTTP/2",
            `${secure.url}${new URL((JSON.parse(kept.text) as ChildInfo).url).pathname}/events`,
            null,
            SSE,
          ],
        ]),
      );
      await eventually(
        "all to be there",
        async () => expect([busy(await countPlain()), busy(await countSecure())]).toEqual([8, 4]),
        20_000,
      );
      far.pull();
      await eventually(
        "the dead to be noticed",
        async () => expect([busy(await countPlain()), busy(await countSecure())]).toEqual([2, 1]),
        NOTICED_MS,
      );
      expect(
        (await getJson<{ children: ChildInfo[] }>(`${plain.url}/children?status=ended`)).children
          .length,
      ).toBe(5);

      let received = "";
      slow.setEncoding("latin1").on("data", (text: string) => {
        received = (received + text).slice(-1_000);
      });
      slow.resume();
      await within("the slow reader's end", once(slow, "end"));
      expect(received).toMatch(/event: result/);
    });

    test("is noticed by its callers, and a reader resumes when it is back", async () => {
      const far = await startFarMachine();
      const [member] = (await startMembers({
        pools: { pipeline: 3, raw: 1 },
        host: far.near,
        insecure: true,
      })) as [RunningMember];
      const [followed, fed, idle] = await Promise.all(
        [["cat"], ["cat"], ["cat"]].map((command) => placeChild(member, "pipeline", command)),
      );
      if (!followed || !fed || !idle) throw new Error("expected three children");
      const feed = (text: string, end: boolean) =>
        post(member.url, `/children/${followed.id}/stdin?end=${end}`, text, {
          "content-type": "application/octet-stream",
        });
      await feed("before\n", false);
      const said: string[] = [];
      const lines = far.run(SDK, SDK_FOLDER, member.url, followed.id, fed.id, idle.id);
      const hear = async (count: number) => {
        while (said.length < count) said.push((await lines.next()).value as string);
        return said.splice(0).sort();
      };
      expect(await within("what is read", hear(2))).toEqual(["followed before", "raw raw"]);
      far.pull();
      expect(await within("the loss", hear(4), NOTICED_MS)).toEqual([
        "fed lost: ETIMEDOUT",
        "followed lost: member_lost",
        "idle lost: ETIMEDOUT",
        "raw lost: ETIMEDOUT",
      ]);
      far.plug();
      await feed("after\n", true);
      expect(await within("the rest", hear(2))).toEqual(["followed after", "followed to the end"]);
    });
  },
);

test("a gateway notices a member that goes silent, and resumes on another connection", async () => {
  const [owner] = (await startMembers({})) as [RunningMember];
  const proxy = await cuttingProxy(owner.url, () => undefined);
  const registry = new EmbeddedRegistry();
  const { name, pools, sandbox, version } = owner;
  await registry.membership().join({ name, url: proxy.url, pools, sandbox, version });
  const [gateway] = (await startMembers({ name: "gateway", registry, pools: { other: 1 } })) as [
    RunningMember,
  ];
  const child = (await (
    await post(owner.url, "/children", { pool: "pipeline", command: ["cat"] })
  ).json()) as ChildInfo;
  const events = streamOf(
    await within("the answer", fetch(`${gateway.url}/children/${child.id}/events`)),
  );
  expect((await within("the first event", events.next())).value).toMatchObject({ type: "placed" });
  proxy.freeze();
  await post(owner.url, `/children/${child.id}/stdin?end=true`, "on", {
    "content-type": "application/octet-stream",
  });
  const rest = await within("the rest", collect(events), NOTICED_MS);
  expect(textOf(rest)).toBe("on");
  expect(lastOf(rest, "result").exitCode).toBe(0);
  expect(proxy.requests("GET")).toBe(2);
});
