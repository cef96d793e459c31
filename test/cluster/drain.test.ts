/** A rolling restart of every member of a pool under load. */
import { describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually, within } from "../helpers/wait.ts";

const CALLS = 200;
/** 12 callers at a time for 9 slots, so that some wait. */
const CALLERS = 12;
const SLOTS = 3;

describe.skipIf(consulMissing !== undefined)(
  `a rolling restart${consulMissing ? ` (${consulMissing})` : ""}`,
  () => {
    test("of three members under 200 calls: 200 results", { timeout: 180_000 }, async () => {
      const consul = await startConsul();
      onTestFinished(() => consul.stop());
      const running = new Map<string, MemberProcess>();
      onTestFinished(async () => {
        await Promise.all([...running.values()].map((member) => member.end()));
      });
      const start = async (member: string, pool: string) => {
        const args = ["--grace-ms", "100", "--drain-ms", "20000", "--sandbox", SANDBOX_OPTION];
        running.set(member, await startServe({ member, pool, consul: consul.httpAddress, args }));
      };
      await Promise.all([
        start("gateway", "other=1"),
        ...["m1", "m2", "m3"].map((name) => start(name, `pipeline=${SLOTS}`)),
      ]);
      const gateway = running.get("gateway") as MemberProcess;
      await eventually(
        "the gateway to see the pool",
        async () => {
          const { members } = (await (await fetch(`${gateway.url}/pools/pipeline`)).json()) as {
            members: unknown[];
          };
          expect(members).toHaveLength(3);
        },
        15_000,
      );

      // Half of the callers place directly, half through a gateway that stays.
      const defaults = { stdout: null, stderr: null, waitMs: 60_000 };
      const pools = [
        new DistributedPool({ consul: consul.httpAddress }, defaults),
        new DistributedPool({ url: gateway.url }, defaults),
      ];
      onTestFinished(async () => {
        await Promise.all(pools.map((each) => each.close()));
      });
      let made = 0;
      let restarted = false;
      const codes: number[] = [];
      const onMembers = new Set<string>();
      const caller = async (index: number) => {
        // The callers go on until the last restart, and make at least this many calls.
        while (made < CALLS || !restarted) {
          made += 1;
          for await (const event of (pools[index % 2] as DistributedPool).stream("pipeline", {
            command: ["sleep", "0.05"],
          })) {
            if (event.type === "placed")
              onMembers.add(event.child.url.slice(0, event.child.url.indexOf("/children")));
            if (event.type === "failed")
              throw new Error(`${event.problem.code}: ${event.problem.detail}`);
            if (event.type === "result") codes.push(event.exitCode as number);
          }
        }
      };
      const callers = Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)));
      const restarts = (async () => {
        for (const name of ["m1", "m2", "m3"]) {
          const leaving = running.get(name) as MemberProcess;
          leaving.kill("SIGTERM");
          expect(await within(`${name} to leave`, 60_000, leaving.exited)).toEqual({
            code: 0,
            signal: null,
          });
          await start(name, `pipeline=${SLOTS}`);
        }
        restarted = true;
      })();
      await within("all calls", 150_000, Promise.all([callers, restarts]));
      expect(codes.length).toBe(made);
      expect(codes.length).toBeGreaterThanOrEqual(CALLS);
      expect(new Set(codes)).toEqual(new Set([0]));
      // Children ran on members from before and after their restarts.
      expect(onMembers.size).toBeGreaterThan(3);
    });
  },
);
