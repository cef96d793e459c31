/** Calls a member by the client of orval. Prints a line for each check. */
import { deepEqual, equal } from "node:assert/strict";
import {
  type ChildSpec,
  callInPool,
  getChild,
  type PoolEvent,
  placeChildInPool,
  runInPool,
  stopChild,
} from "./client";

async function resultOf(spec: ChildSpec) {
  const answer = await runInPool("pipeline", spec);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.data));
  return answer.data;
}

async function hold(pool: string) {
  const answer = await placeChildInPool(pool, { command: ["sleep", "60"] });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.data));
  return answer.data.id;
}

async function codeOf(pool: string, command: string[]): Promise<string> {
  const answer = await runInPool(pool, { command });
  return answer.status === 200 ? "no problem" : answer.data.code;
}

const CHECKS: Record<string, () => Promise<void>> = {
  async call() {
    const work = { source: "(a, b) => a + b", args: [1211, 1] };
    equal((await resultOf({ function: work })).value, 1212);
    const result = await resultOf({ command: ["echo", "hi"] });
    deepEqual([result.stdout, result.exitCode], ["hi\n", 0]);
  },
  async place() {
    const id = await hold("pipeline");
    const child = await getChild(id);
    equal(child.status === 200 && child.data.status, "running");
    equal((await stopChild(id)).status, 202);
  },
  async errors() {
    equal(await codeOf("nobody", ["true"]), "pool_not_found");
    equal(await codeOf("pipeline", []), "invalid_request");
    const id = await hold("single");
    const full = await codeOf("single", ["true"]);
    await stopChild(id);
    equal(full, "all_members_at_capacity");
  },
  async stream() {
    // The client promises one event, and gives the text of all when the stream has ended.
    const { data } = await callInPool("pipeline", { command: ["echo", "hi"] });
    const lines = String(data)
      .split("\n")
      .filter((line) => line.startsWith("data: "));
    const events = lines.map((line) => JSON.parse(line.slice(6)) as PoolEvent);
    deepEqual(
      events.map(({ type }) => type),
      ["placed", "stdout", "result"],
    );
  },
};

for (const [name, check] of Object.entries(CHECKS))
  console.log(
    `${name}: ${await check().then(
      () => "ok",
      (error) => JSON.stringify(String(error)),
    )}`,
  );
