/** Calls a member by the client of openapi-generator's `typescript-fetch`. */
import { deepEqual, equal } from "node:assert/strict";
import {
  ChildrenApi,
  type ChildSpec,
  Configuration,
  PoolEventFromJSON,
  PoolsApi,
  ResponseError,
  RunProblemFromJSON,
} from "./client/index";

const configuration = new Configuration({ basePath: process.env.POOL_URL ?? "" });
const pools = new PoolsApi(configuration);
const children = new ChildrenApi(configuration);

const run = (pool: string, childSpec: ChildSpec) => pools.runInPool({ pool, childSpec });
const hold = (pool: string) =>
  pools.placeChildInPool({ pool, childSpec: { command: ["sleep", "60"] } });

async function codeOf(pool: string, command: string[]): Promise<string> {
  try {
    return `no problem but ${JSON.stringify(await run(pool, { command }))}`;
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    return RunProblemFromJSON(await error.response.json()).code;
  }
}

const CHECKS: Record<string, () => Promise<void>> = {
  async call() {
    const work = { source: "(a, b) => a + b", args: [1211, 1] };
    equal((await run("pipeline", { _function: work })).value, 1212);
    const result = await run("pipeline", { command: ["echo", "hi"] });
    deepEqual([result.stdout, result.exitCode], ["hi\n", 0]);
  },
  async place() {
    const { id } = await hold("pipeline");
    equal((await children.getChild({ id })).status, "running");
    equal((await children.stopChild({ id })).id, id);
  },
  async errors() {
    equal(await codeOf("nobody", ["true"]), "pool_not_found");
    equal(await codeOf("pipeline", []), "invalid_request");
    const { id } = await hold("single");
    const full = await codeOf("single", ["true"]);
    await children.stopChild({ id });
    equal(full, "all_members_at_capacity");
  },
  async stream() {
    const childSpec = { command: ["echo", "hi"] };
    const { raw } = await pools.callInPoolRaw({ pool: "pipeline", childSpec });
    const lines = (await raw.text()).split("\n").filter((line) => line.startsWith("data: "));
    const events = lines.map((line) => PoolEventFromJSON(JSON.parse(line.slice(6))));
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
