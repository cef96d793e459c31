/** The feed over members in Consul: one is lost, returns, and leaves. */
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { watch } from "../helpers/feed.ts";
import { post } from "../helpers/member.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { within } from "../helpers/wait.ts";

const EXIT_MS = 30_000;

describe.skipIf(consulMissing !== undefined)(
  `the feed of a cluster${consulMissing ? ` (${consulMissing})` : ""}`,
  () => {
    test("shows a member that is lost, returns and leaves", { timeout: 120_000 }, async () => {
      const consul = await startConsul();
      onTestFinished(() => consul.stop());
      const start = async (member: string) => {
        const args = ["--grace-ms", "100", "--drain-ms", "1000", "--sandbox", SANDBOX_OPTION];
        const wish = { member, pool: "pipeline=2", consul: consul.httpAddress, args };
        const process = await startServe(wish);
        onTestFinished(() => process.end());
        return process;
      };
      const [gateway, lost] = (await Promise.all(["gateway", "m1"].map(start))) as [
        MemberProcess,
        MemberProcess,
      ];
      const feed = await watch(gateway.url);
      const place = async ({ url }: MemberProcess) => {
        const answer = await post(url, "/children", { pool: "pipeline", command: ["sleep", "60"] });
        return (await answer.json()) as ChildInfo;
      };
      const first = await place(lost);
      await feed.event("child", ({ child }) => child.id === first.id);

      lost.kill("SIGKILL");
      await within("the member's end", EXIT_MS, lost.exited);
      const gone = await feed.event("member", ({ state }) => state === "lost");
      expect(gone).toMatchObject({
        member: "m1",
        pools: { pipeline: 2 },
        detail: expect.any(String),
      });

      const seen = feed.events.length;
      const again = await start("m1");
      const isNew = (event: object) => feed.events.indexOf(event as never) >= seen;
      await feed.event("reset", (event) => event.member === "m1" && isNew(event));
      await feed.event("member", (event) => event.state === "up" && isNew(event));
      await feed.event("synced", (event) => event.member === "m1" && isNew(event));
      const second = await place(again);
      await feed.event("child", ({ child }) => child.id === second.id);

      again.kill("SIGTERM");
      const draining = await feed.event("member", ({ state }) => state === "draining");
      await feed.event(
        "child",
        ({ change, child }) => change === "ended" && child.id === second.id,
      );
      await feed.event("member", ({ state }) => state === "left");
      const last = feed.events.slice(feed.events.indexOf(draining));
      const states = last.flatMap((event) => (event.type === "member" ? event.state : []));
      expect(states).toEqual(["draining", "left"]);
      expect((await within("the member's end", EXIT_MS, again.exited)).code).toBe(0);
    });
  },
);
