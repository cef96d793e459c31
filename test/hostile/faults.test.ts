/** Faults of the member: a caller learns their kind, and no path of the host. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { post, problemOf, startOne, textOf } from "../helpers/member.ts";

const title = hostileMissing ? ` (skipped: ${hostileMissing})` : "";

describe.skipIf(hostileMissing)(`what a child and its caller see of the host${title}`, () => {
  test("a sandbox that does not start names no path, and admitted nothing", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dpool-fault-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const logged: string[] = [];
    const member = await startOne({
      pools: { pipeline: { maxChildren: 3, readOnly: [folder] } },
      log: (_, message) => logged.push(message),
    });
    rmSync(folder, { recursive: true });
    const answer = await post(member.url, "/call", { pool: "pipeline", command: ["true"] });
    const problem = await problemOf(answer);
    expect(problem).toMatchObject({
      code: "sandbox_unavailable",
      admitted: false,
      detail: expect.stringContaining("a program or file that the sandbox needs is missing"),
    });
    expect(JSON.stringify(problem)).not.toContain(folder);
    expect(logged.join("\n")).toContain(folder);
  });

  test("a child's descriptors have no path of the host", async () => {
    const { attack } = await startAttacked();
    const see = "for fd in /proc/self/fd/* /proc/1/fd/*; do readlink $fd; done 2>&1 | cat";
    const events = await attack({ command: ["sh", "-c", see], stdin: "x" });
    expect(textOf(events)).toContain("pipe:");
    expect(textOf(events)).not.toMatch(new RegExp(`distributed-pool|deleted|${tmpdir()}`));
  });

  test("a child can open its streams again", async () => {
    const { attack } = await startAttacked();
    const open = "cat /dev/stdin >/dev/stdout; echo error >/dev/stderr";
    const events = await attack({ command: ["sh", "-c", open], stdin: "input" });
    expect(textOf(events)).toBe("input");
    expect(textOf(events, "stderr")).toBe("error\n");
  });

  test("a child cannot make the kernel end the server before it", async () => {
    const { script } = await startAttacked();
    const lower = "echo 0 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj";
    expect(textOf(await script(`(${lower}) 2>/dev/null; touch /proc/x 2>/dev/null`))).toBe("500\n");
  });
});
