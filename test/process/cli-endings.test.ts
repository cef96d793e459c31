/** How `dpool call` ends when its reader or its person leaves, in shells and other programs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { type RunningMember, startMember } from "../../server/main.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { onPath } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually, within } from "../helpers/wait.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const TIMEOUT_MS = 30_000;
const GOES_ON = /^dpool: child (\S+) goes on; dpool logs -f \1 shows it, dpool stop \1/m;

let member: RunningMember;
beforeAll(async () => {
  member = await startMember({ pools: { pipeline: 5 }, port: 0, sandbox: SANDBOX_OPTION });
});
afterAll(() => member.stop());

/** Runs a program that finds `dpool` as `$DPOOL`. */
function program(file: string, ...args: string[]): ChildProcess & { readonly text: string } {
  const env = { ...cleanEnvironment(), DPOOL_URL: member.url, DPOOL: `${process.execPath} ${CLI}` };
  const child = Object.assign(spawn(file, args, { env }), { text: "" });
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      child.text += text;
    });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function ended(child: ChildProcess & { readonly text: string }): Promise<string> {
  await within("the program to end", TIMEOUT_MS, once(child, "close"));
  return child.text;
}

const childOf = async (id: string) =>
  (await (await fetch(`${member.url}/children/${id}`)).json()) as ChildInfo;
const running = async () => {
  const { children } = (await (await fetch(`${member.url}/children`)).json()) as {
    children: ChildInfo[];
  };
  return children.filter(({ status }) => status === "running").map(({ id }) => id);
};
const until = (label: string, isTrue: () => boolean | Promise<boolean>) =>
  eventually(label, async () => expect(await isTrue()).toBe(true), TIMEOUT_MS);
const untilNoneRuns = () => until("no child to run", async () => (await running()).length === 0);

const LINES = "while :; do echo line; sleep 0.01; done";
const CALL = `$DPOOL call pipeline`;

describe("a reader that leaves", () => {
  const readers = [
    ["head", "head -n 1"],
    ["sed", "sed 1q"],
    ["python3", 'python3 -c "print(input())"'],
  ].filter(([name = ""]) => onPath(name));
  test.each(readers)("%s: a linked child is stopped, and the code is 141", async (_, reader) => {
    const script = `${CALL} --link -- sh -c '${LINES}' | ${reader}; echo "code \${PIPESTATUS[0]}"`;
    expect(await ended(program("bash", "-c", script))).toBe("line\ncode 141\n");
    await untilNoneRuns();
  });

  test("another child goes on, and stderr says so", async () => {
    const script = `${CALL} -- sh -c '${LINES}' | head -n 1; echo "code \${PIPESTATUS[0]}"`;
    const text = await ended(program("bash", "-c", script));
    const id = GOES_ON.exec(text)?.[1] ?? "";
    expect(text).toContain("code 141\n");
    expect((await childOf(id)).status).toBe("running");
    await ended(program("bash", "-c", `$DPOOL stop ${id}`));
  });

  test("a full disk is an error with a message", async () => {
    const script = `${CALL} --link -- sh -c '${LINES}' >/dev/full; echo "code $?"`;
    const text = await ended(program("bash", "-c", script));
    expect(text).toMatch(/^dpool: cannot write to stdout: ENOSPC.*\ncode 125\n$/);
    await untilNoneRuns();
  });
});

describe("a signal", () => {
  /** Starts a call in the foreground, and waits until its child has written. */
  async function calling(command: string, ...flags: string[]) {
    const call = program("sh", "-c", `exec ${CALL} ${flags.join(" ")} -- sh -c "$0"`, command);
    await until("the child to write", () => call.text.includes("begun\n"));
    return call;
  }

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s stops a linked child, whose last words are shown", async (signal, code) => {
    const command = "trap 'echo last words; exit 3' TERM; echo begun; while :; do sleep 0.05; done";
    const call = await calling(command, "--link");
    call.kill(signal);
    expect(await ended(call)).toMatch(/^begun\ndpool: stopping child [^;]+;.*\nlast words\n/);
    expect(call.exitCode).toBe(code);
    await untilNoneRuns();
  });

  test("a second one leaves at once, and the child ends with its grace", async () => {
    const call = await calling("trap '' TERM; echo begun; while :; do sleep 0.05; done", "--link");
    call.kill("SIGINT");
    await until("the first signal to be noticed", () => call.text.includes("stopping child"));
    call.kill("SIGINT");
    await ended(call);
    expect(call.exitCode).toBe(130);
    await untilNoneRuns();
  });

  test("a child that is not linked goes on, and stderr says so", async () => {
    const call = await calling("echo begun; sleep 60");
    call.kill("SIGINT");
    const id = GOES_ON.exec(await ended(call))?.[1] ?? "";
    expect(call.exitCode).toBe(130);
    expect((await childOf(id)).status).toBe("running");
    await ended(program("bash", "-c", `$DPOOL stop ${id}`));
  });

  test.skipIf(!onPath("script"))("on a terminal the child is linked", async () => {
    const typed = `exec ${CALL} -- sh -c 'echo begun; sleep 60'`;
    const terminal = program("script", "-qec", typed, "/dev/null");
    await until("the child to write", () => terminal.text.includes("begun"));
    terminal.stdin?.write("\x03");
    expect(await ended(terminal)).toContain("stopping child");
    await untilNoneRuns();
  });
});
