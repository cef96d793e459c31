/** `dpool completion` in real shells: commands, flags, pools, and ids of children. */
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../server/main.ts";
import { CLI, dpool } from "../helpers/command-line.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { onPath } from "../helpers/programs.ts";
import { LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { Terminal, terminalMissing } from "../helpers/terminal.ts";

const missing = (...programs: string[]) =>
  programs.map((name) => (onPath(name) ? undefined : `${name} is not installed`)).find(Boolean) ??
  terminalMissing ??
  (LEVEL === "none" ? "there is no sandbox here" : undefined);
const reason = (why: string | undefined) => (why ? ` (skipped: ${why})` : "");

const noBash = missing("bash");
const noZsh = missing("zsh");
const noFish = missing("fish");

describe.skipIf(noBash)(`completion${reason(noBash)}`, () => {
  let folder: string;
  let member: RunningMember;
  let pools: DistributedPool;
  let id: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "distributed-pool-completion-"));
    await writeFile(join(folder, "dpool"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`);
    await chmod(join(folder, "dpool"), 0o755);
    await writeFile(join(folder, "precious.txt"), "precious");
    const one = { pools: { pipeline: 2, video: 1 }, port: 0, registry: new EmbeddedRegistry() };
    member = await startMember({ ...one, name: "m1", sandbox: SANDBOX_OPTION });
    await member.joined;
    pools = new DistributedPool({ url: member.url });
    id = (await pools.placeChild("pipeline", { command: ["sleep", "600"] })).id;
    const path = `${folder}${delimiter}${process.env.PATH}`;
    env = { DPOOL_URL: member.url, PATH: path, HOME: folder, PS1: "ready> ", PROMPT: "ready> " };
  });
  afterAll(async () => {
    const child = pools.child(id);
    await child.stop();
    await child.exit.catch(() => {});
    await pools.close();
    await member.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A shell in a terminal, which has read the script. */
  async function shell(command: readonly string[], setup: string): Promise<Terminal> {
    const terminal = new Terminal(["sh", "-c", 'cd "$HOME" && exec "$@"', "sh", ...command], {
      env,
      columns: 200,
    });
    await terminal.shows("ready> ");
    terminal.type(`${setup} && echo set$((40 + 2))\r`);
    await terminal.shows("set42");
    await terminal.shows("ready> ");
    return terminal;
  }

  /** Completes a line by the tabulator, and clears it once the shell shows the whole word. */
  async function completes(terminal: Terminal, line: string, shown: string): Promise<void> {
    terminal.type(`${line}\t`);
    await terminal.shows(shown);
    terminal.type("\x15");
  }

  const WORDS = () =>
    [
      ["dpool cal", "dpool call "],
      ["dpool call pi", "dpool call pipeline "],
      ["dpool stop m", `dpool stop ${id}`],
      ["dpool call pipeline --unkn --idem", "--idempotency-key "],
      ["dpool ps --status run", "--status running "],
      ["dpool signal m1 TE", "signal m1 TERM "],
      ["dpool call pipeline -- cat prec", "cat precious.txt "],
    ] as const;

  test("bash", async () => {
    const setup = 'source <("dpool" completion bash)';
    const terminal = await shell(["bash", "--norc", "--noprofile", "-i"], setup);
    for (const [line, shown] of WORDS()) await completes(terminal, line, shown);
    await completes(terminal, "dpool ps --status=run", "--status=running ");
    await completes(terminal, `dpool members --url ${member.url} vi`, "video ");
    // Words of the line are data: the shell neither runs them nor opens their files.
    await completes(terminal, "dpool call $(rm precious.txt) > precious.txt --wait", "--wait-ms ");
    terminal.type("cat precious.txt; exit\r");
    await terminal.shows(/precious[^.]/);
    expect((await terminal.end()).code).toBe(0);
  });

  test.skipIf(noZsh)(`zsh${reason(noZsh)}`, async () => {
    // Ctrl-X shows the line as the shell has it: zsh draws only what has changed.
    const setup =
      "autoload -Uz compinit && compinit -u && source <(dpool completion zsh) && " +
      "show() { print -r -- \"[$BUFFER]\"; BUFFER= } && zle -N show && bindkey '^X' show";
    const terminal = await shell(["zsh", "-f", "-i"], setup);
    for (const [line, shown] of WORDS()) {
      terminal.type(`${line}\t\x18`);
      await terminal.shows(`${shown.trimEnd()} ]`);
    }
    terminal.type("exit\r");
    expect((await terminal.end()).code).toBe(0);
  });

  test.skipIf(noFish)(`fish${reason(noFish)}`, async () => {
    const found = async (line: string) => {
      const script = "dpool completion fish | source; complete -C $argv[1]";
      const options = { env: { ...cleanEnvironment(), ...env }, cwd: folder };
      const { stdout } = await promisify(execFile)("fish", ["-c", script, line], options);
      return stdout.trimEnd().split("\n");
    };
    expect(await found("dpool cal")).toEqual([expect.stringMatching(/^call\tRun a command/)]);
    expect(await found("dpool call ")).toEqual(["pipeline\tpool", "video\tpool"]);
    expect(await found("dpool stop m")).toEqual([`${id}\tpipeline running command`]);
    expect(await found("dpool ps --status=run")).toEqual(["--status=running"]);
    expect(await found("dpool call pipeline -- cat prec")).toEqual(["precious.txt"]);
  });

  test("without an answer there are no candidates, and no message", async () => {
    const nobody = { DPOOL_URL: "http://127.0.0.1:1" };
    expect(await dpool(["__complete", "bash", "stop", "m"], { env: nobody })).toMatchObject({
      stdout: "",
      stderr: "",
    });
  });
});
