/** Terminals and exit codes over HTTP: any member, any gateway, and what is refused. */
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { DistributedPool, type PoolError } from "../../sdk/typescript/node.ts";
import {
  callEvents,
  getJson,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";
import { LEVEL } from "../helpers/sandbox.ts";

const tty = { rows: 24, columns: 80 };
const missing = LEVEL === "none" ? "there is no sandbox here" : undefined;

describe.skipIf(missing)(`terminals over HTTP${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("go through gateways, follow their size, and resume after a cut", async () => {
    const [owner, gateway] = await startMembers({}, { pools: { other: 1 } });
    const { url } = gateway as { url: string };
    const script = "trap 'stty size' WINCH; sleep 100 & stty size; wait; read line; echo $line";
    const answer = await post(url, "/pools/pipeline/children", {
      command: ["bash", "-c", script],
      tty,
    });
    const { id } = (await answer.json()) as ChildInfo;
    let last: number | undefined;
    let seen = "";
    /** Attaches behind the last event, and leaves once the text is there. */
    const until = async (text: string, at = url) => {
      const headers = last === undefined ? {} : { "last-event-id": String(last) };
      const events = streamOf(await fetch(`${at}/children/${id}/events`, { headers }));
      for await (const event of events) {
        last = event.id ?? last;
        if (event.type === "stdout") seen += event.text;
        if (seen.includes(text)) break;
      }
    };
    await within("its first size", until("24 80\r\n"));
    const resized = await post(url, `/children/${id}/tty`, { rows: 50, columns: 132 });
    expect([resized.status, ((await resized.json()) as ChildInfo).id]).toEqual([202, id]);
    await within("its second size", until("50 132\r\n", owner?.url));
    await post(url, `/children/${id}/stdin?end=true`, "done\n");
    await within("its line", until("done\r\ndone\r\n"));
    expect(seen).toBe("24 80\r\n50 132\r\ndone\r\ndone\r\n");
  });

  test("show the SDK one stream, and take a size by `resize`", async () => {
    const { url } = await startOne();
    const pools = new DistributedPool({ url });
    onTestFinished(() => pools.close());
    const command = ["sh", "-c", "echo out; echo err >&2; test -t 0 && test -t 1 && test -t 2"];
    const ran = await pools.run("pipeline", { command, tty });
    expect(ran).toMatchObject({ exitCode: 0, stdout: "out\r\nerr\r\n", stderr: "" });
    const child = await pools.placeChild("pipeline", { command: ["sleep", "60"], tty });
    expect(await child.resize({ rows: 1, columns: 1 })).toMatchObject({ status: "running" });
    await child.stop();
    const plain = await pools.placeChild("pipeline", { command: ["cat"] });
    await expect(plain.resize(tty)).rejects.toMatchObject({ code: "not_found" });
  });

  test("begin with the default kind and the caller's own, in pools with a list too", async () => {
    const pipeline = { maxChildren: 1, commands: ["env"] };
    const { url } = await startOne({ pools: { pipeline } });
    const env = { COLORTERM: "truecolor", NO_COLOR: "1" };
    const shown = textOf(
      await callEvents(url, "/pools/pipeline/call", { command: ["env"], tty, env }),
    );
    for (const line of ["TERM=xterm-256color", "COLORTERM=truecolor", "NO_COLOR=1"])
      expect(shown).toContain(`${line}\r\n`);
    const others: Partial<ChildSpecInput>[] = [{ env }, { env: { TERMINFO: "/work" }, tty }];
    for (const other of others) {
      const refused = await post(url, "/pools/pipeline/call", { command: ["env"], ...other });
      expect((await problemOf(refused)).code).toBe("forbidden");
    }
  });

  test("are refused without a command, and without a sandbox", async () => {
    const { url } = await startOne();
    const fn = { function: { source: "() => 1" }, tty };
    expect(await problemOf(await post(url, "/pools/pipeline/call", fn))).toMatchObject({
      code: "invalid_request",
      fields: [{ path: "/tty" }],
    });
    const bare = await startOne({ sandbox: "off" });
    expect(
      await problemOf(await post(bare.url, "/pools/pipeline/call", { command: ["true"], tty })),
    ).toMatchObject({
      code: "sandbox_unavailable",
      admitted: false,
      detail: "expected a sandbox for tty; member m1 has none",
    });
  });

  test("are placed on the member that has them", async () => {
    const [first] = await startMembers({ sandbox: "off" }, {}, { sandbox: "off" });
    const { url } = first as { url: string };
    const events = await callEvents(url, "/pools/pipeline/call", { command: ["tty"], tty });
    expect(textOf(events)).toBe("/dev/pts/0\r\n");
    expect(events[0]).toMatchObject({ type: "placed", child: { member: "m2" } });
  });
});

describe("the exit code after TERM", () => {
  const HEEDS = "while :; do sleep 0.02; done";
  const shell = (command: string) => ["sh", "-c", `trap 'exit 123' TERM; echo up; ${command}`];
  const works: [string, ChildSpecInput, number][] = [
    ["a command", { command: shell(HEEDS) }, 123],
    ["a command that packs artifacts", { command: shell(HEEDS), artifacts: ["*"] }, 123],
    ["a command that does not heed it", { command: ["sh", "-c", "echo up; exec sleep 60"] }, 143],
    [
      "a command that ignores it",
      { command: ["sh", "-c", `trap '' TERM; echo up; ${HEEDS}`] },
      137,
    ],
    [
      "a function",
      {
        function: {
          source: `async (context) => {
            context.signal.addEventListener("abort", () => process.exit(123));
            console.log("up");
            await new Promise((resolve) => setTimeout(resolve, 60_000));
          }`,
        },
      },
      123,
    ],
  ];
  if (!missing) works.push(["a command in a terminal", { command: shell(HEEDS), tty }, 123]);

  test.each(works)("of %s stands beside `cancelled`, everywhere", async (_, spec, exitCode) => {
    const { url } = await startOne({ graceMs: 500 });
    const pools = new DistributedPool({ url });
    onTestFinished(() => pools.close());
    const ended = [];
    let id = "";
    for await (const event of pools.stream("pipeline", spec as { command: string[] })) {
      if (event.type === "placed") id = event.child.id;
      if (event.type === "stdout") await pools.child(id).stop();
      ended.push(event);
    }
    const code = "cancelled";
    expect(lastOf(ended, "failed")).toMatchObject({ exitCode, problem: { code } });
    expect(await getJson(`${url}/children/${id}`)).toMatchObject({ exitCode, code });
    await expect(pools.child(id).exit).rejects.toMatchObject({ problem: { exitCode, code } });
  });

  test("stands beside `deadline_exceeded`", async () => {
    const { url } = await startOne();
    const pools = new DistributedPool({ url });
    onTestFinished(() => pools.close());
    const command = shell(HEEDS);
    const error = await pools
      .run("pipeline", { command }, { deadlineMs: 1_000 })
      .catch((thrown: PoolError) => thrown);
    expect(error).toMatchObject({
      code: "deadline_exceeded",
      problem: { exitCode: 123, stdout: "up\n" },
    });
  });
});
