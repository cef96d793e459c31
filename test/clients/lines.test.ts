/** Streams of events for the line readers of several languages: lines, letters and lengths. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { PoolEvent } from "../../openapi/events.ts";
import { getJson, startMembers, within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const run = promisify(execFile);
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const READERS = at("readers/");
const PYTHON = at("../../.tools/python/bin/python");
const BASH =
  'curl -sN "$0" -H "content-type: application/json" -d "$1" | while IFS= read -r line; do ' +
  'case $line in "data: "*) printf "%s\\n" "$line";; esac; done | cut -c7-';

const python = existsSync(PYTHON);
/** Each prints the data lines of `POST URL` with a spec. */
const CLIENTS: readonly (readonly [string, boolean, string, readonly string[]])[] = [
  ["Go's bufio.Scanner", onPath("go"), "go", ["run", `${READERS}lines.go`]],
  ["Java's BodyHandlers.ofLines", onPath("javac"), "java", [`${READERS}Lines.java`]],
  ["requests' iter_lines", python, PYTHON, [`${READERS}lines.py`, "requests"]],
  ["httpx's iter_lines", python, PYTHON, [`${READERS}lines.py`, "httpx"]],
  ["bash's read", onPath("bash") && onPath("curl"), "bash", ["-c", BASH]],
];

/** Separators of lines of some languages, letters beyond Latin-1, and a byte that JSON escapes. */
const ODD = "a\u0085b\u2028c\u2029d żółw 漢字 😀\n";
const ZEROS = 200_000;
const PRINTS = ["sh", "-c", `printf %s "$1"; head -c ${ZEROS} /dev/zero`, "sh", ODD];
const LONG = 100_000;

/** The events that a client has read through a gateway, a line each. */
async function eventsBy(file: string, args: readonly string[], work: object) {
  const [m1] = await startMembers({ pools: { other: 1 } }, {});
  const home = await mkdtemp(join(tmpdir(), "lines-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const { stdout } = await within(
    `the lines of ${file}`,
    run(file, [...args, `${m1?.url}/pools/pipeline/call`, JSON.stringify(work)], {
      encoding: "utf8",
      maxBuffer: 64 << 20,
      env: { ...process.env, LC_ALL: "C.UTF-8", PYTHONIOENCODING: "utf-8" },
    }),
    60_000,
  );
  const lines = stdout.trimEnd().split("\n");
  expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).toBeLessThan(65_000);
  return { url: m1?.url ?? "", events: lines.map((line) => JSON.parse(line) as PoolEvent) };
}

for (const [name, isThere, file, args] of CLIENTS)
  test.skipIf(!isThere)(`${name} reads every event as one line`, async () => {
    const { events } = await eventsBy(file, args, { command: PRINTS });
    const text = events.map((event) => (event.type === "stdout" ? event.text : "")).join("");
    expect(text).toBe(ODD + "\0".repeat(ZEROS));
    expect(events.at(-1)).toMatchObject({ type: "result", exitCode: 0 });
  });

test.skipIf(!onPath("curl"))(
  "a value that is too long for a line is told of, and kept",
  async () => {
    const source = `() => "\\u2028" + "x".repeat(${LONG})`;
    const { url, events } = await eventsBy("bash", ["-c", BASH], { function: { source } });
    const last = events.at(-1);
    expect(last).toMatchObject({ type: "result", partial: true, artifacts: [] });
    expect(last).not.toHaveProperty("value");
    const [placed] = events;
    const id = placed?.type === "placed" ? placed.child.id : "";
    const result = await getJson(`${url}/children/${id}/result`);
    expect(result).toMatchObject({ child: { id }, value: `\u2028${"x".repeat(LONG)}` });
    const headers = { accept: "text/event-stream;lines=long" };
    const whole = await (await fetch(`${url}/children/${id}/events`, { headers })).text();
    expect(whole.length).toBeGreaterThan(LONG);
    expect(whole).not.toMatch(/[\u0085\u2028\u2029]/);
  },
);
