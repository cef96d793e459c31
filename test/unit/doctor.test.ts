/** The pure parts of `dpool doctor`: distributions, clocks, pools, and the text of a finding. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Pool } from "../../openapi/types.gen.ts";
import { clockFinding } from "../../server/cli/doctor/clock.ts";
import { failed } from "../../server/cli/doctor/finding.ts";
import { installing } from "../../server/cli/doctor/local/packages.ts";
import { tokenFinding } from "../../server/cli/doctor/local/tokens.ts";
import { poolFindings } from "../../server/cli/doctor/pool.ts";
import { linesOf } from "../../server/cli/doctor/report.ts";
import { sideBySide } from "../../server/cli/doctor/side-by-side.ts";

test.each([
  ["ID=debian", "apt-get install -y bubblewrap perl-base"],
  ['ID=linuxmint\nID_LIKE="ubuntu debian"', "apt-get install -y bubblewrap perl-base"],
  ["ID=fedora", "dnf install -y bubblewrap perl-Socket"],
  ["ID=alpine", "apk add bubblewrap perl"],
  ["ID=plan9", undefined],
])("the installer of %s", (release, command) => {
  expect(installing(["bubblewrap", "perl-base"], release)).toBe(command);
});

test.each([
  [[], "skipped"],
  [[4_000, -5_000], "ok"],
  [[0, 6_000], "failed"],
  [[-60_000], "failed"],
])("clocks that differ by %j ms: %s", (differences, status) => {
  const found = clockFinding(differences.map((ms, index) => ({ of: `m${index}`, ms })));
  expect(found.status).toBe(status);
});

test("a clock is behind one that is ahead", () => {
  expect(clockFinding([{ of: "m1", ms: 7_000 }]).detail).toContain("7 s behind m1");
});

describe("pools", () => {
  const member = (name: string, changes: Partial<Pool["members"][number]> = {}) => ({
    member: name,
    url: `http://${name}:7400`,
    version: "0.2.0",
    sandbox: "full" as const,
    load: { active: 0, max: 2, queued: 0 },
    ...changes,
  });
  const statusesOf = (...members: Pool["members"]) =>
    Object.fromEntries(
      poolFindings([{ pool: "p", members, tasks: [], runtimes: [] }])
        .filter(({ status }) => status !== "ok")
        .map(({ name, status }) => [name, status]),
    );

  test.each([
    ["nothing", member("m2"), {}],
    ["another version", member("m2", { version: "0.1.0" }), { versions: "warning" }],
    ["a lost member", member("m2", { load: null }), { members: "failed" }],
    ["a weaker sandbox", member("m2", { sandbox: "no-cgroup" }), { levels: "warning" }],
    ["a queue", member("m2", { load: { active: 2, max: 2, queued: 1 } }), { room: "warning" }],
  ])("%s", (_, other, found) => {
    expect(statusesOf(member("m1"), other)).toEqual(found);
  });

  test("a member that drains has no room, and is named", () => {
    const full = member("m2", { state: "draining", load: { active: 5, max: 0, queued: 0 } });
    const members = [member("m1", { state: "up" }), full];
    const found = poolFindings([{ pool: "p", members, tasks: [], runtimes: [] }]);
    const details = Object.fromEntries(found.map(({ name, detail }) => [name, detail]));
    expect(details.members).toBe("all answer; draining: m2");
    expect(details.room).toBe("p: 0 of 2 slots are taken, 0 calls wait");
    expect(found.every(({ status }) => status === "ok")).toBe(true);
  });

  test("none at all", () => {
    expect(poolFindings([]).map(({ name, status }) => [name, status])).toEqual([
      ["pools", "failed"],
    ]);
  });
});

/** Root may read every file. */
function asNobody<T>(work: () => T): T {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(65_534);
  try {
    return work();
  } finally {
    process.seteuid?.(0);
  }
}

test("a token file that is a folder, empty, or another user's", () => {
  const folder = mkdtempSync(join(tmpdir(), "dpool-tokens-"));
  try {
    const tokenFile = join(folder, "tokens");
    const find = (file: string) => tokenFinding({ pools: {}, tokenFile: file });
    expect(find(folder).detail).toBe(`${folder}: expected a file; got a folder`);
    writeFileSync(tokenFile, "# none\n", { mode: 0o600 });
    expect(find(tokenFile)).toMatchObject({
      status: "warning",
      cure: `add a line: dpool token NAME >> ${tokenFile}`,
    });
    chmodSync(tokenFile, 0);
    const unreadable = asNobody(() => find(tokenFile));
    expect(unreadable).toMatchObject({ status: "failed" });
    expect(unreadable.detail).toContain("EACCES");
    expect(unreadable.command).toMatch(/^chown \d+ '.*' && chmod 600 '.*'$/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a finding as text, in colour and in the width of a terminal", () => {
  const finding = failed("port", "7400 is taken by another program", {
    cure: "take another one, or end that program:",
    command: "kill 1234 # a command is never wrapped, so that it can be copied",
  });
  const lines = linesOf(finding, { colour: true, width: 30 });
  expect(lines[0]).toBe("\u001b[31m✗\u001b[0m port: 7400 is taken by");
  expect(lines.at(-1)).toBe(`      ${finding.command}`);
  expect(lines.slice(1, -1).every((line) => line.length <= 30)).toBe(true);
});

test("a check that hangs or throws is a fault of its own, and the others are told", async () => {
  const findings = await sideBySide([
    { name: "slow", timeoutMs: 1, run: () => new Promise(() => {}) },
    {
      name: "broken",
      run: () => {
        throw new Error("boom");
      },
    },
    { name: "fine", run: () => [{ name: "fine", status: "ok", detail: "" }] },
  ]);
  expect(findings.map(({ name, status }) => [name, status])).toEqual([
    ["slow", "failed"],
    ["broken", "failed"],
    ["fine", "ok"],
  ]);
});
