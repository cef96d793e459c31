/** Tasks: the operator's functions, called by name on members that have them. */
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Tasks } from "../../openapi/schemas/resources.ts";
import { DistributedPool, type PoolEvent, type PoolInfo, task } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import {
  callEvents,
  getJson,
  idle,
  lastOf,
  type Options,
  post,
  problemOf,
  startMembers,
  startOne,
} from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";
import { record } from "../helpers/recording.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

/** A folder of modules that only this user can read, as in a home folder. */
async function tasksIn(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "dpool-tasks-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text, { mode: 0o600 });
  }
  return folder;
}

function connect(url: string): DistributedPool {
  const pools = new DistributedPool({ url });
  onTestFinished(() => pools.close());
  return pools;
}

const HELLO = {
  "hello.ts":
    "export default (name: string, { member }: { member: string }): string => " +
    "'hello ' + name + ' from ' + member;",
};

describe("a task", () => {
  test("imports what lies in the folder, and the packages in its node_modules", async () => {
    const tasks = await tasksIn({
      "sum.mts":
        'import { add } from "./lib/add.ts"; import twice from "twice"; export ' +
        "default (a: number, b: number) => twice(add(a, b));",
      "lib/add.ts": "export const add = (a: number, b: number): number => a + b;",
      "node_modules/twice/package.json":
        '{"name": "twice", "type": "module", "exports": "./index.js"}',
      "node_modules/twice/index.js": "export default (n) => 2 * n;",
      "old.js": "module.exports = (text) => text + require('node:os').EOL;",
      "README.md": "Not a task.",
      "types.d.ts": "export type A = 1;",
    });
    const pools = connect((await startOne({ tasks })).url);
    expect(await pools.call("pipeline", task("sum"), 20, 1)).toBe(42);
    expect(await pools.call("pipeline", task("old"), "a")).toBe("a\n");
    expect(await pools.pool("pipeline")).toMatchObject({ tasks: ["old", "sum"] });
  });

  test("gets its context, carries values, streams output, and throws with its line", async () => {
    const tasks = await tasksIn({
      "dates.ts":
        "export default (at: Date, days: number) => { console.log('out'); return " +
        "new Map([[days, new Date(at.getTime() + days * 86_400_000)]]); };",
      "radix.ts": "export default (n: number, base = 10) => n.toString(base);",
      "broken.ts": "export default (n: number) => {\n  throw new RangeError('not ' + n);\n};",
    });
    const member = await startOne({ tasks });
    const pools = connect(member.url).with({ encoding: "devalue", stdout: null });
    expect(await pools.call("pipeline", task("dates"), new Date(0), 1)).toEqual(
      new Map([[1, new Date(86_400_000)]]),
    );
    const events = await callEvents(member.url, "/pools/pipeline/call", {
      task: { name: "broken", args: [5] },
    });
    const { error, code } = lastOf(events, "failed").problem;
    expect([code, error?.name, error?.message]).toEqual(["function_threw", "RangeError", "not 5"]);
    expect(error?.stack).toMatch(/broken\.ts:2/);
    const radix = { task: { name: "radix", args: [12] } };
    expect(
      lastOf(await callEvents(member.url, "/pools/pipeline/call", radix), "result").value,
    ).toBe("12");
    const child = await pools.placeChild("pipeline", {
      task: { name: "dates" },
      args: [new Date(0), 2],
    });
    expect((await child.exit).value).toEqual(new Map([[2, new Date(172_800_000)]]));
    expect(await child.info()).toMatchObject({ kind: "task" });
    await idle(member);
  });

  test.skipIf(!onPath("python3"))(
    "in Python is the function main, and finds no file of the call",
    async () => {
      const tasks = await tasksIn({
        "greet.py":
          "import lib.words\n\ndef helper():\n    pass\n\ndef main(name, context):\n " +
          "   return f'{lib.words.HELLO} {name} from {context.member}'\n",
        "lib/words.py": "HELLO = 'hello'\n",
        "late.py": "def main():\n    import extra\n",
      });
      const { url } = await startOne({ tasks });
      expect(await connect(url).call("pipeline", task("greet"), "ann")).toBe("hello ann from m1");
      const events = await callEvents(url, "/call", {
        pool: "pipeline",
        task: { name: "late" },
        files: { "extra.py": "print('from the caller')" },
      });
      expect(lastOf(events, "failed").problem).toMatchObject({
        code: "function_threw",
        error: { name: "ModuleNotFoundError" },
      });
      const refused = await problemOf(
        await post(url, "/call", {
          pool: "pipeline",
          task: { name: "greet", encoding: "devalue" },
        }),
      );
      expect(refused).toMatchObject({
        code: "invalid_request",
        fields: [{ path: "/task/encoding" }],
      });
    },
  );

  test("cannot write to its folder", async () => {
    const tasks = await tasksIn({
      "write.mjs":
        'import { writeFileSync } from "node:fs"; export default () => ' +
        'writeFileSync(new URL("./new", import.meta.url), "");',
    });
    const member = await startOne({ tasks });
    if (member.sandbox !== "none")
      await expect(connect(member.url).call("pipeline", task("write"))).rejects.toMatchObject({
        code: "function_threw",
      });
    expect(await readdir(tasks)).toEqual(["write.mjs"]);
  });

  test("runs in a pool of few commands, without the caller's variables and files", async () => {
    const pools = { pipeline: { maxChildren: 2, commands: ["true"] } };
    const { url } = await startOne({ tasks: await tasksIn(HELLO), pools });
    expect(await connect(url).call("pipeline", task("hello"), "ann")).toBe("hello ann from m1");
    const hello = { pool: "pipeline", task: { name: "hello" } };
    expect(
      (
        await problemOf(
          await post(url, "/call", { ...hello, env: { NODE_OPTIONS: "--import=/work/a.mjs" } }),
        )
      ).code,
    ).toBe("forbidden");
    expect(
      (await problemOf(await post(url, "/call", { ...hello, files: { ".node_modules/a.js": "" } })))
        .code,
    ).toBe("forbidden");
    expect(
      (
        await problemOf(
          await post(url, "/call", { pool: "pipeline", function: { source: "() => 1" } }),
        )
      ).code,
    ).toBe("forbidden");
  });
});

describe("members that differ", () => {
  async function startDiffering(pools: Record<string, number> = { pipeline: 2 }) {
    const registry = new EmbeddedRegistry();
    const given: Options[] = [
      { pools: { other: 1 } },
      { pools },
      { pools, tasks: await tasksIn(HELLO) },
      { pools },
    ];
    const [gateway, ...members] = (await startMembers(
      ...given.map((options) => ({ registry, ...options })),
    )) as [RunningMember, ...RunningMember[]];
    return { registry, gateway, members };
  }

  test("the member that has the task runs it; all tasks are listed", async () => {
    const { gateway, members } = await startDiffering();
    const pools = connect(gateway.url);
    for (let round = 0; round < 4; round++)
      expect(await pools.call("pipeline", task("hello"), "ann")).toBe("hello ann from m3");
    expect((await getJson<PoolInfo>(`${gateway.url}/pools/pipeline`)).tasks).toEqual(["hello"]);
    expect((await getJson<PoolInfo>(`${gateway.url}/pools/pipeline`)).runtimes).toContain("node");
    const own = await Promise.all(members.map(({ url }) => getJson<Tasks>(`${url}/tasks`)));
    expect(own.map(({ member, tasks }) => [member, tasks])).toEqual([
      ["m2", []],
      ["m3", ["hello"]],
      ["m4", []],
    ]);
  });

  test("a caller that waits for a slot gets one of a member that has the task", async () => {
    const { gateway, members } = await startDiffering({ pipeline: 1 });
    const sleepers = await Promise.all(
      members.map(
        async ({ url }) =>
          (await (
            await post(url, "/children", { pool: "pipeline", command: ["sleep", "60"] })
          ).json()) as { id: string },
      ),
    );
    const pools = connect(gateway.url);
    const stopped = sleepers.map(({ id }) => pools.child(id));
    const events: PoolEvent[] = [];
    for await (const event of pools.stream("pipeline", {
      task: { name: "hello", args: ["ann"] },
      waitMs: 60_000,
    })) {
      // The members without the task have a free slot first.
      if (events.length === 0)
        for (const child of [stopped[0], stopped[2], stopped[1]]) await child?.stop();
      events.push(event);
    }
    expect(events[0]?.type).toBe("queued");
    expect(events.at(-1)).toMatchObject({ type: "result", value: "hello ann from m3" });
    await expect(
      pools.call("pipeline", { task: { name: "none" }, waitMs: 60_000 }),
    ).rejects.toMatchObject({ code: "task_not_found" });
  });

  test("a task or a runtime that no member has fails after each member was asked", async () => {
    const { registry, gateway, members } = await startDiffering();
    const sent = await Promise.all(members.map((member) => record(member, registry)));
    const pools = connect(gateway.url);
    await expect(pools.call("pipeline", task("none"))).rejects.toMatchObject({
      code: "task_not_found",
      problem: { status: 404 },
    });
    expect(
      sent.map((requests) =>
        requests.filter(({ path }) => path === "/call").map(({ status }) => status),
      ),
    ).toEqual([[404], [404], [404]]);
    await expect(pools.placeChild("pipeline", { task: { name: "none" } })).rejects.toMatchObject({
      code: "task_not_found",
    });
    await expect(
      pools.call("pipeline", { function: { source: "x", runtime: "cobol" } }),
    ).rejects.toMatchObject({ code: "runtime_not_found" });
    await Promise.all(members.map(idle));
  });
});

describe("a member does not start", () => {
  const refused = async (files: Readonly<Record<string, string>>, options: Options = {}) =>
    expect(startOne({ tasks: await tasksIn(files), ...options }).then(() => "started")).rejects;

  test.each<[string, string, RegExp]>([
    [
      "throws at import",
      "throw new Error('no key');",
      /task bad does not load in pool pipeline: .*bad\.mjs: Error: no key$/,
    ],
    ["does not parse", "export default (", /bad\.mjs: SyntaxError: /],
    ["imports what is not there", 'import "nowhere";', /bad\.mjs: .*nowhere/],
    [
      "has no default export",
      "export const bad = () => 1;",
      /expected an export default; it exports bad/,
    ],
    [
      "exports no function",
      "export default 42;",
      /expected export default to be a function; got a number/,
    ],
    ["ends the process", "process.exit(0);", /bad\.mjs: .*exited with code 0/],
  ])("with a module that %s", async (_, text, message) => {
    await (await refused({ ...HELLO, "bad.mjs": text })).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(message),
    });
  });

  test("with two modules of one name, or a name that no task can have", async () => {
    await (
      await refused({ "a.ts": "export default () => 1", "a.py": "def main(): pass" })
    ).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(
        /expected one file for task a; got \S+\/a\.py and \S+\/a\.ts$/,
      ),
    });
    await (await refused({ "my task.js": "export default () => 1" })).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/my task\.js: expected a task name: 1 to 63/),
    });
  });

  test("with a folder that does not exist", async () => {
    const folder = await tasksIn({ "file.txt": "" });
    for (const tasks of [join(folder, "nowhere"), join(folder, "file.txt")])
      await expect(startOne({ tasks })).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringMatching(/^expected a folder of tasks; got \//),
      });
    await symlink("nowhere.ts", join(folder, "a.ts"));
    await expect(startOne({ tasks: folder })).rejects.toMatchObject({ code: "invalid_request" });
  });

  const copies = process.getuid?.() === 0 && HAS_BUBBLEWRAP;
  test.skipIf(!copies)(
    `with too much to copy for another user${copies ? "" : " (skipped: children run as this one)"}`,
    async () => {
      const tasks = await tasksIn(HELLO);
      await writeFile(join(tasks, "big"), "");
      await truncate(join(tasks, "big"), 1_073_741_825);
      await expect(startOne({ tasks })).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringMatching(/has to be copied, .*chmod -R a\+rX$/),
      });
      await chmod(join(tasks, "hello.ts"), 0o644);
      await chmod(tasks, 0o755);
      expect(
        await connect((await startOne({ tasks })).url).call("pipeline", task("hello"), "ann"),
      ).toBe("hello ann from m1");
    },
  );

  test("where a configured runtime replaces the one that tasks need", async () => {
    await (
      await refused(HELLO, { runtimes: { node: { command: ["sh", "{source}"] } } })
    ).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(
        /hello\.ts: tasks run in the built-in node; here it is a configured one$/,
      ),
    });
  });

  test("where the task's language is missing", async () => {
    const path = await tasksIn({});
    await symlink("/bin/sh", join(path, "sh"));
    await (await refused({ "a.py": "def main(): pass" }, { sandbox: "off", path })).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/a\.py: expected one of node; got python$/),
    });
  });
});
