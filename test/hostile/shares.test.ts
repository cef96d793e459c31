/** A caller tries to fill a pool that others need: by placed children, by waits and by slots. */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { tokenFor } from "../../server/access/tokens.ts";
import { type Options, post, problemOf, startMembers, until } from "../helpers/member.ts";

const grant = { scopes: ["call"], pools: ["pipeline"] };
const GREEDY = tokenFor("greedy", { ...grant, quotas: {} });
const MODEST = tokenFor("modest", { ...grant, quotas: {} });
const headers = { authorization: `Bearer ${GREEDY.token}` };
const SLEEP = { command: ["sleep", "60"] };

async function start(options: Options, ...lines: string[]) {
  const folder = await mkdtemp(join(tmpdir(), "dpool-shares-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, "tokens");
  const write = (text: readonly string[]) =>
    writeFileSync(tokenFile, text.map((line) => `${line}\n`).join(""), { mode: 0o600 });
  write([...lines, MODEST.line]);
  const [gate, far] = await startMembers(
    { pools: { gate: 1 }, tokenFile },
    { tokenFile, ...options },
  );
  if (!gate || !far) throw new Error("expected two members");
  return { gate, far, write };
}

test("another caller's calls succeed while one tries to fill the pool", async () => {
  const pools = { pipeline: { maxChildren: 4, maxChildrenPerCaller: "50%", maxQueue: 20 } };
  const { gate, far } = await start({ pools }, GREEDY.line);
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const attack = (url: string, path: string, body: object) =>
    post(url, path, body, headers, leaving.signal).catch(() => undefined);
  const placed = await Promise.all(
    Array.from({ length: 10 }, () => attack(gate.url, "/pools/pipeline/children", SLEEP)),
  );
  expect(placed.filter((answer) => answer?.status === 201)).toHaveLength(2);
  const refused = placed.find((answer) => answer?.status !== 201) as Response;
  expect(await problemOf(refused)).toMatchObject({
    code: "too_many_requests",
    detail: expect.stringContaining("its quota maxSlots is 2"),
  });
  // The attacker also waits, more often than the queue has places, and asks for slots.
  for (let count = 0; count < 30; count++) {
    void attack(far.url, "/children", { pool: "pipeline", waitMs: 60_000, ...SLEEP });
    void attack(far.url, "/slots", { pool: "pipeline", waitMs: 60_000 });
  }
  const own = { authorization: `Bearer ${MODEST.token}` };
  await until("the queue to be full", async () => {
    const answer = await fetch(`${far.url}/children/count`, { headers: own });
    return (
      ((await answer.json()) as { pools: { pipeline: { queued: number } } }).pools.pipeline
        .queued === 20
    );
  });
  const modest = new DistributedPool({ url: gate.url, token: MODEST.token }, { waitMs: 20_000 });
  onTestFinished(() => modest.close());
  const numbers = await Promise.all(
    Array.from({ length: 8 }, (_, index) => modest.call("pipeline", (n: number) => n * 2, index)),
  );
  expect(numbers).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
});

test("a quota holds over all pools, and a raised one lets waiting calls go on", async () => {
  const line = `${GREEDY.line.replace("pools=pipeline", "pools=*")} maxRate=1000`;
  const { far, write } = await start({ pools: { pipeline: 3, gpu: 3 } }, `${line} maxChildren=1`);
  const place = (pool: string, more = {}) =>
    post(far.url, "/children", { pool, ...SLEEP, ...more }, headers);
  expect((await place("pipeline")).status).toBe(201);
  expect(await problemOf(await place("gpu"))).toMatchObject({
    code: "too_many_requests",
    detail: "member m2: greedy has 1 children and slots; its quota maxChildren is 1",
  });
  const waiting = place("gpu", { waitMs: 20_000 });
  write([`${line} maxChildren=2`, MODEST.line]);
  expect((await waiting).status).toBe(201);
});

test("a token's rate and streams are its own", async () => {
  const line = `${GREEDY.line} maxRate=2 maxStreams=1`;
  const { far } = await start({ pools: { pipeline: 3 } }, line);
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => fetch(`${far.url}/children`, { headers })),
  );
  expect(answers.filter(({ status }) => status === 200).length).toBeLessThan(8);
  const own = { authorization: `Bearer ${MODEST.token}` };
  for (let count = 0; count < 8; count++)
    expect((await fetch(`${far.url}/children`, { headers: own })).status).toBe(200);
});
