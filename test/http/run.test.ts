/** A call whose output is returned, and the handle in every result. */
import { describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { startMembers, within } from "../helpers/member.ts";

async function connected() {
  const [gateway] = await startMembers({}, {});
  const pools = new DistributedPool({ url: gateway?.url ?? "" });
  onTestFinished(() => pools.close());
  return pools;
}
const sh = (script: string) => ({ command: ["sh", "-c", script] });
const USAGE = { wallMs: expect.any(Number) };

describe("run", () => {
  test("returns a command's output, its exit code, and the way to its artifacts", async () => {
    const pools = await connected();
    const spec = {
      ...sh("echo out; echo err >&2; echo kept > a.txt; exit 3"),
      artifacts: ["*.txt"],
    };
    const { child, file, ...rest } = await within("the result", pools.run("pipeline", spec));
    expect(rest).toMatchObject({
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
      truncated: false,
      usage: USAGE,
      artifacts: [{ path: "a.txt", bytes: 5 }],
    });
    expect(rest).not.toHaveProperty("id");
    expect((await child.info()).status).toBe("ended");
    expect(await new Response((await file("a.txt")) as never).text()).toBe("kept\n");
  });

  test("returns a function's value beside what it prints", async () => {
    const pools = await connected();
    const add = (a: number, b: number) => {
      console.log("adding");
      return a + b;
    };
    const result = await within("the result", pools.run("pipeline", add, 1211, 1));
    expect(result).toMatchObject({ value: 1212, stdout: "adding\n", stderr: "" });
    expect(result.child.id).toMatch(/^m[12]\./);
  });

  test("keeps the start of a long output, in whole characters", async () => {
    const pools = await connected();
    const spec = sh("printf 'aéé'; printf 12345 >&2");
    const result = pools.with({ maxOutputBytes: 4 }).run("pipeline", spec);
    expect(await within("the result", result)).toMatchObject({
      stdout: "aé\ufffd",
      stderr: "1234",
      truncated: true,
    });
  });

  test("tells progress, and writes to no stream", async () => {
    const pools = await connected();
    const progress: number[] = [];
    const options = { onProgress: ({ done }: { done: number }) => progress.push(done) };
    const spec = sh(`printf '{"done":1,"total":2}\\n' >&3`);
    await within("the result", pools.run("pipeline", spec, options));
    expect(progress).toEqual([1]);
  });

  test("fails as a call does", async () => {
    const pools = await connected();
    const failing = () => {
      throw new RangeError("no foo");
    };
    await expect(within("the failure", pools.run("pipeline", failing))).rejects.toMatchObject({
      code: "function_threw",
      error: { name: "RangeError" },
    });
  });

  test("has what a failed child left in the problem, as HTTP has it", async () => {
    const pools = await connected();
    const spec = { ...sh("echo ü; echo err >&2; echo 1 > out.txt; kill -9 $$"), artifacts: ["*"] };
    await expect(within("the failure", pools.run("pipeline", spec))).rejects.toMatchObject({
      code: "worker_crashed",
      problem: {
        child: { pool: "pipeline", member: "m1" },
        stdout: "ü\n",
        stderr: "err\n",
        truncated: false,
        exitCode: 137,
        usage: { wallMs: expect.any(Number) },
      },
    });
    const refused = within("the refusal", pools.run("nowhere", spec));
    await expect(refused).rejects.not.toHaveProperty("problem.stdout");
  });
});

describe("the result", () => {
  test("of a call with a command has the child and its artifacts", async () => {
    const pools = await connected();
    const spec = { ...sh("echo kept > a.txt"), artifacts: ["a.txt"] };
    const result = await within("the result", pools.call("pipeline", spec));
    expect(Object.keys(result).toSorted()).toEqual([
      "artifacts",
      "child",
      "exitCode",
      "file",
      "usage",
    ]);
    expect(await new Response((await result.file("a.txt")) as never).text()).toBe("kept\n");
  });

  test("of a placed child has the same shape", async () => {
    const pools = await connected();
    const child = await within("the child", pools.placeChild("pipeline", sh("exit 2")));
    const exit = await within("its exit", child.exit);
    expect(exit).toMatchObject({ exitCode: 2, usage: USAGE, artifacts: [] });
    expect(exit.child).toBe(child);
    expect(exit).not.toHaveProperty("id");
  });
});

describe("retries", () => {
  const full = async (pools: DistributedPool) => {
    const holders = await Promise.all(
      [1, 2, 3, 4].map(() => pools.placeChild("pipeline", { command: ["sleep", "60"] })),
    );
    return () => Promise.all(holders.map((child) => child.stop({ graceMs: 0 })));
  };

  test("place a call and a child once the pool has room", async () => {
    const pools = await connected();
    const release = await full(pools);
    await expect(pools.run("pipeline", sh("true"))).rejects.toMatchObject({
      code: "all_members_at_capacity",
    });
    const patient = pools.with({ retries: 20 });
    const calls = Promise.all([
      patient.run("pipeline", sh("echo ran")),
      patient.placeChild("pipeline", sh("exit 4")),
    ]);
    await release();
    const [ran, placed] = await within("the calls", calls);
    expect(ran).toMatchObject({ stdout: "ran\n", exitCode: 0 });
    expect(await within("its exit", placed.exit)).toMatchObject({ exitCode: 4 });
  });

  test("end before the deadline", async () => {
    const pools = await connected();
    const release = await full(pools);
    const call = pools.run("pipeline", sh("true"), { retries: 100, deadlineMs: 300 });
    await expect(within("the refusal", call)).rejects.toMatchObject({
      code: expect.stringMatching(/^(all_members_at_capacity|deadline_exceeded)$/),
    });
    await release();
  });
});
