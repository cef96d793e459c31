/** A thousand children, stopped in every way at every moment: they leave the server as it was. */
import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { collect, heldBytes, streamOf, within } from "../helpers/member.ts";
import { eventually } from "../helpers/wait.ts";

const STARTS = 500;
const AT_A_TIME = 8;
const CHURN_MS = 150_000;
const MIB = 1024 * 1024;
/**
 * The connections that the test's own requests keep alive, counted at both ends, a batch of pipes
 * for the next children, and two sandboxes that wait.
 */
const DESCRIPTORS = 8 + 32 + 16;
/** The client closes idle connections after 1 s; the member would keep them for longer. */
const KEEP_ALIVE_MS = 1_000;
const SETTLE_MS = 15_000;
const THREADS = 2;

/** Random numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const COMMANDS: readonly (readonly string[])[] = [
  ["true"],
  ["no-such-program"],
  ["sleep", "30"],
  ["sh", "-c", "echo a; sleep 0.02; echo b"],
  ["sh", "-c", "trap '' TERM; while :; do sleep 0.01; done"],
  ["sh", "-c", "setsid sleep 30 & setsid sleep 30 >&- 2>&- & exit 3"],
  ["sh", "-c", "kill -STOP $$"],
  ["head", "-c", "300000", "/dev/zero"],
  ["sh", "-c", "exec >&- 2>&-; sleep 30"],
];

const openNow = () => ({
  descriptors: readdirSync("/proc/self/fd").length,
  threads: readdirSync("/proc/self/task").length,
});

describe.skipIf(hostileMissing)(
  `churn${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test(`${STARTS} starts with disconnects, stops and deadlines leave nothing`, {
      timeout: CHURN_MS + 30_000,
    }, async () => {
      const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
      console.info(`seed ${seed}: SEED=${seed} repeats it`);
      const random = randomFrom(seed);
      const dispatcher = getGlobalDispatcher();
      setGlobalDispatcher(
        new Agent({ keepAliveTimeout: KEEP_ALIVE_MS, keepAliveMaxTimeout: KEEP_ALIVE_MS }),
      );
      onTestFinished(() => setGlobalDispatcher(dispatcher));
      const { member, script, contained } = await startAttacked({
        pools: { pipeline: AT_A_TIME * 4, sibling: 1 },
        graceMs: 30,
      });
      // After its first children, a server keeps some pipes, connections and threads.
      for (let round = 0; round < 3; round++) await script("echo warm");
      const before = { ...openNow(), bytes: await heldBytes() };
      const endings: Record<string, number> = {};

      const once = async () => {
        const command = [...(COMMANDS[Math.floor(random() * COMMANDS.length)] as string[])];
        const way = ["deadline", "stop", "leave", "abort", "place"][
          Math.floor(random() * 5)
        ] as string;
        const ms = Math.floor(random() * 60);
        const spec: ChildSpecInput & { pool: string } = {
          pool: "pipeline",
          command,
          deadlineMs: way === "deadline" ? ms + 1 : 200,
          link: way === "leave",
        };
        const caller = new AbortController();
        const ask = (path: string, init: RequestInit = {}) =>
          fetch(`${member.url}${path}`, {
            headers: { "content-type": "application/json" },
            ...init,
          });
        const body = JSON.stringify(spec);
        if (way === "abort") {
          // The connection closes while the request is on its way, or a moment later.
          const answer = ask("/call", { method: "POST", body, signal: caller.signal }).then(
            (response) => response.text(),
          );
          await delay(ms / 4);
          caller.abort();
          return answer.then(
            () => "ended",
            () => "aborted",
          );
        }
        const response = await ask(way === "place" ? "/children" : "/call", {
          method: "POST",
          body,
          signal: caller.signal,
        });
        if (response.status === 429 || response.status === 503)
          return `refused ${response.status} ${(await response.text()).length > 0}`;
        if (way === "place")
          return `placed ${response.status} ${(await response.text()).length > 0}`;
        const stream = streamOf(response);
        const { value: placed } = await stream.next();
        if (placed?.type !== "placed")
          throw new Error(`expected placed; got ${JSON.stringify(placed)}`);
        if (way === "leave") {
          await delay(ms);
          caller.abort();
          return collect(stream).then(
            () => "ended",
            () => "left",
          );
        }
        if (way === "stop") {
          await delay(ms);
          await (await ask(`/children/${placed.child.id}`, { method: "DELETE" })).text();
        }
        const last = (await collect(stream)).at(-1);
        return last?.type === "failed" ? last.problem.code : (last?.type ?? "nothing");
      };

      let started = 0;
      const worker = async () => {
        while (started < STARTS) {
          started += 1;
          const ending = await within("the end of a child", once(), 30_000);
          endings[ending] = (endings[ending] ?? 0) + 1;
        }
      };
      await within("the churn", Promise.all(Array.from({ length: AT_A_TIME }, worker)), CHURN_MS);
      console.info(JSON.stringify(endings));
      await contained();

      expect(Object.keys(endings)).not.toContain("sandbox_unavailable");
      expect(Object.keys(endings)).not.toContain("nothing");
      await eventually(
        "descriptors and threads to be as before",
        () => {
          expect(openNow().descriptors).toBeLessThanOrEqual(before.descriptors + DESCRIPTORS);
          expect(openNow().threads).toBeLessThanOrEqual(before.threads + THREADS);
        },
        SETTLE_MS,
      );
      // The last hundred children and their logs are remembered.
      expect((await heldBytes()) - before.bytes).toBeLessThan(48 * MIB);
    });
  },
);
