/** Calls a member by the client of hey-api's openapi-ts. Prints a line for each check. */
import { deepEqual, equal } from "node:assert/strict";
import {
  type ChildSpec,
  callInPool,
  getChild,
  placeChildInPool,
  runInPool,
  stopChild,
} from "./client";
import { client } from "./client/client.gen";

client.setConfig({ baseUrl: process.env.POOL_URL ?? "" });

const run = (pool: string, body: ChildSpec) => runInPool({ path: { pool }, body });

async function resultOf(body: ChildSpec) {
  const { data, error } = await run("pipeline", body);
  if (!data) throw new Error(JSON.stringify(error));
  return data;
}

async function hold(pool: string) {
  const body = { command: ["sleep", "60"] };
  const { data, error } = await placeChildInPool({ path: { pool }, body });
  if (!data) throw new Error(JSON.stringify(error));
  return data.id;
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
    equal((await getChild({ path: { id } })).data?.status, "running");
    equal((await stopChild({ path: { id } })).data?.id, id);
  },
  async errors() {
    equal((await run("nobody", { command: ["true"] })).error?.code, "pool_not_found");
    equal((await run("pipeline", { command: [] })).error?.code, "invalid_request");
    const id = await hold("single");
    const full = (await run("single", { command: ["true"] })).error?.code;
    await stopChild({ path: { id } });
    equal(full, "all_members_at_capacity");
  },
  async stream() {
    const { stream } = await callInPool({
      path: { pool: "pipeline" },
      body: { command: ["echo", "hi"] },
      // By default the client posts again after a cut. A call must not be sent twice.
      sseMaxRetryAttempts: 1,
    });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    deepEqual(types, ["placed", "stdout", "result"]);
  },
};

for (const [name, check] of Object.entries(CHECKS))
  console.log(
    `${name}: ${await check().then(
      () => "ok",
      (error) => JSON.stringify(String(error)),
    )}`,
  );
