/** `dpool call -t` in a real terminal: programs that need one, its size, and its end. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { getJson, idle, startMembers, startOne } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";
import { LEVEL } from "../helpers/sandbox.ts";
import { Terminal, terminalMissing } from "../helpers/terminal.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const WELL = { code: 0, restored: true };

const missing =
  terminalMissing ??
  (LEVEL === "none" ? "there is no sandbox here" : undefined) ??
  ["less", "vim.tiny", "top"].filter((program) => !onPath(program)).map((name) => `no ${name}`)[0];

function dpool(url: string, args: readonly string[], options?: { env?: Record<string, string> }) {
  return new Terminal(
    [process.execPath, CLI, ...args.slice(0, 1), "--url", url, ...args.slice(1)],
    options,
  );
}

const call = ({ url }: { url: string }, ...command: string[]) =>
  dpool(url, ["call", "pipeline", "-t", "--", ...command]);

describe.skipIf(missing)(`dpool call -t${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("gives bash a terminal: job control, Ctrl-C, and the window's size", async () => {
    // The child runs on another member than the one that is asked.
    const [, gateway] = await startMembers({}, { pools: { other: 1 } });
    const shell = call(gateway as { url: string }, "bash", "--norc", "-i");
    await shell.shows("$ ");
    shell.type("stty size; tty; echo $TERM; test -t 2 && echo err$((1 + 1))\r");
    await shell.shows("30 100\r\n/dev/pts/0\r\nxterm-256color\r\nerr2\r\n");
    shell.resize(50, 132);
    // bash itself gets SIGWINCH, and tells its columns behind the next command.
    shell.type("until [ \"$(stty size)\" = '50 132' ]; do :; done; echo s$((1 + 1))\r");
    await shell.shows("s2\r\n");
    shell.type("sleep 100\r");
    await shell.shows("sleep 100\r\n");
    shell.type("\x1a");
    await shell.shows("Stopped");
    shell.type("fg\r");
    await shell.shows("fg\r\n");
    await shell.shows("sleep 100\r\n");
    shell.type("\x03");
    await shell.shows("^C");
    shell.type("echo code $?\r");
    await shell.shows("code 130\r\n");
    shell.type("exit 9\r");
    expect(await shell.end()).toEqual({ code: 9, restored: true });
  });

  test("gives vim, less and top their screens", async () => {
    const member = await startOne();
    const vim = call(member, "sh", "-c", "vim.tiny -u NONE in.txt; grep -c seven out.txt");
    await vim.shows('"in.txt" [New File]');
    vim.type("iseven words\x1byyp:wq! out.txt\r");
    await vim.shows("written");
    await vim.shows("2\r\n");
    expect(await vim.end()).toEqual(WELL);

    const less = call(member, "sh", "-c", "seq 1 5000 | less");
    await less.shows("\r\n29\r\n");
    less.type("G");
    await less.shows("5000\r\n");
    less.type("?^17$\r");
    await less.shows("\x1b[7m17");
    less.type("q");
    expect(await less.end()).toEqual(WELL);

    const top = call(member, "top", "-d", "60");
    await top.shows(/PID.*USER.*COMMAND/);
    top.type("q");
    expect(await top.end()).toEqual(WELL);
  });

  test("gives the prompts of Python and Node their lines, and Ctrl-D ends them", async () => {
    const member = await startOne();
    const python = call(member, "/usr/bin/python3", "-q");
    await python.shows(">>> ");
    python.type("import os; sum(os.get_terminal_size())\r");
    await python.shows("\n130\r\n");
    python.type("\x04");
    expect(await python.end()).toEqual(WELL);

    const { url } = await startOne({
      pools: { pipeline: { maxChildren: 1, readOnly: [process.execPath] } },
    });
    const node = call({ url }, process.execPath);
    await node.shows("> ");
    node.type("process.stdout.columns + 1\r");
    await node.shows("\x1b[33m101\x1b[39m");
    node.type("\x04");
    expect(await node.end()).toEqual(WELL);
  });

  test("passes colours and the end of a program's own screen", async () => {
    const member = await startOne();
    const program = dpool(
      member.url,
      ["call", "pipeline", "-t", "--", "sh", "-c", "echo $TERM $COLORTERM; tput cols"],
      {
        env: { TERM: "vt100", COLORTERM: "truecolor" },
      },
    );
    await program.shows("vt100 truecolor\r\n100\r\n");
    expect(await program.end()).toEqual(WELL);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGQUIT", 131],
  ] as const)("restores the terminal at %s, and hangs up", async (signal, code) => {
    const member = await startOne({ graceMs: 60_000 });
    const shell = call(member, "bash", "--norc", "-i");
    await shell.shows("$ ");
    shell.signal(signal);
    expect(await shell.end()).toEqual({ code, restored: true });
    expect(shell.output).toContain("\x1b[?25h");
    // An interactive shell ignores TERM, and the grace is a minute.
    await idle(member);
  });

  test("leaves by Ctrl-^ three times", async () => {
    const member = await startOne();
    const shell = call(member, "bash", "--norc", "-i");
    await shell.shows("$ ");
    shell.type("\x1e\x1e\x1e");
    expect(await shell.end()).toEqual({ code: 125, restored: true });
    await idle(member);
  });

  test("restores the terminal when the child is stopped or killed, or is lost", async () => {
    const member = await startOne({ graceMs: 60_000 });
    const { url } = member;
    const stopped = call(
      member,
      "sh",
      "-c",
      "trap 'exit 123' TERM; echo up; while :; do sleep 0.05; done",
    );
    await stopped.shows("up");
    const { children } = await getJson<{ children: ChildInfo[] }>(`${url}/children`);
    await fetch(`${url}/children/${children[0]?.id}`, { method: "DELETE" });
    await stopped.shows("dpool: cancelled: the child was stopped on request; its exit code is 123");
    expect(await stopped.end()).toEqual({ code: 125, restored: true });

    const killed = call(member, "sh", "-c", "printf '\\033[?1049h'; kill -KILL $$");
    await killed.shows("\x1b[?1047l");
    expect(await killed.end()).toEqual({ code: 137, restored: true });

    const lost = call(member, "sh", "-c", "echo up; exec sleep 100");
    await lost.shows("up");
    await member.stop();
    expect(await lost.end()).toEqual({ code: 125, restored: true });
  });

  test("refuses to begin without a terminal, and where nothing answers", async () => {
    const member = await startOne();
    const piped = new Terminal([
      "sh",
      "-c",
      `: | "$@"; echo "code $?"`,
      "sh",
      process.execPath,
      CLI,
      "call",
      "pipeline",
      "-t",
      "--url",
      member.url,
      "--",
      "true",
    ]);
    await piped.shows("expected a terminal at the standard input");
    await piped.shows("code 2");

    const deaf = createServer((request) => request.socket.destroy()).listen(0, "127.0.0.1");
    onTestFinished(() => void deaf.close());
    await once(deaf, "listening");
    const nobody = call(
      { url: `http://127.0.0.1:${(deaf.address() as AddressInfo).port}` },
      "true",
    );
    expect(await nobody.end()).toEqual({ code: 125, restored: true });
  });
});

describe.skipIf(missing)(
  `dpool place -t and attach${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    test("leave a child, and find it again", async () => {
      const member = await startOne();
      const placed = dpool(member.url, ["place", "pipeline", "-t", "--", "bash", "--norc", "-i"]);
      expect((await placed.end()).code).toBe(0);
      const id = placed.output.trim();
      const first = dpool(member.url, ["attach", id]);
      await first.shows("$ ");
      first.type("export A=12\r");
      await first.shows("$ ");
      first.type("\x1e\x1e\x1e");
      await first.shows(`child ${id} goes on`);
      expect(await first.end()).toEqual(WELL);

      const second = dpool(member.url, ["attach", id]);
      await second.shows("export A=12\r\n");
      second.resize(20, 70);
      second.type("\x05\x15until [ \"$(stty size)\" = '20 70' ]; do :; done; echo $A$A\r");
      await second.shows("1212\r\n");
      second.type("exit 4\r");
      expect(await second.end()).toEqual({ code: 4, restored: true });

      const plain = dpool(member.url, ["place", "pipeline", "--", "cat"]);
      await plain.end();
      const refused = dpool(member.url, ["attach", plain.output.trim()]);
      await refused.shows("expected a child with a tty");
      expect(await refused.end()).toEqual({ code: 125, restored: true });
    });
  },
);
