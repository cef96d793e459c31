/** Attacks on the member's memory by requests that wait with large specs. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { Problem } from "../../openapi/errors.ts";
import { getJson, post, startOne, streamOf, until, within } from "../helpers/member.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const MIB = 1024 * 1024;
const ATTACK_MS = 120_000;
const sleeper = { command: ["sleep", "1000"] };
/** Arguments wait in memory. An input waits on disk. */
const waiting = (bytes: number) => ({
  function: { source: "(a) => a.length", args: ["x".repeat(bytes)] },
  waitMs: 600_000,
});

/** Bytes of memory that a process has, or had at most. */
function memory({ pid }: ChildProcess, which: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${which}:\\s+(\\d+)`).exec(status)?.[1]) * 1_024;
}

test(
  "60 requests of 16 MiB wait in a member that may hold 64 MiB: it stays small, and others run on",
  async () => {
    const options = { sandbox: SANDBOX_OPTION, maxHeldBytes: 64 * MIB };
    const members = fork("test/fixtures/watched-members.ts", [JSON.stringify(options)]);
    onTestFinished(async () => {
      const gone = once(members, "exit");
      members.kill("SIGKILL");
      await within("the members' end", gone);
    });
    const [{ urls }] = await within("the members", once(members, "message"), ATTACK_MS);
    const url = urls[0] as string;
    const running = streamOf(
      await post(url, "/call", {
        pool: "near",
        command: ["sh", "-c", "read line; echo $line"],
        stdin: { open: true },
      }),
    );
    const placed = (await running.next()).value as { child: { id: string } };
    for (let count = 0; count < 3; count++)
      await post(url, "/children", { pool: "near", ...sleeper });
    const before = memory(members, "VmRSS");

    const body = JSON.stringify({ pool: "near", ...waiting(16 * MIB - 1_000) });
    const leaving = new AbortController();
    const answers = await within(
      "every answer",
      Promise.all(
        Array.from({ length: 60 }, async () => {
          const answer = await fetch(`${url}/call`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body,
            signal: leaving.signal,
          });
          return answer.status === 200 ? "waits" : ((await answer.json()) as Problem);
        }),
      ),
      ATTACK_MS,
    );
    const refusals = answers.filter((answer) => answer !== "waits");
    expect(answers.length - refusals.length).toBeLessThanOrEqual(4);
    for (const refusal of refusals)
      expect(refusal).toMatchObject({ code: "overloaded", status: 503, admitted: false });
    // Without the bound they took 41 MB each, 2.4 GB together.
    expect(memory(members, "VmHWM") - before).toBeLessThan(6 * 64 * MIB);

    await post(url, `/children/${placed.child.id}/stdin?end=true`, "well\n", {
      "content-type": "text/plain",
    });
    const texts: string[] = [];
    for await (const event of running) if (event.type === "stdout") texts.push(event.text ?? "");
    expect(texts.join("")).toBe("well\n");

    leaving.abort();
    await until("room for another", async () => (await post(url, "/call", "{", {})).status === 400);
  },
  2 * ATTACK_MS,
);

test("the account is empty again after ends, kills, refusals and callers that leave", async () => {
  const MAX = 2 * MIB;
  const member = await startOne({ pools: { pipeline: 2 }, maxHeldBytes: MAX, rememberMs: 0 });
  const path = "/call";
  const call = (spec: object, signal?: AbortSignal) =>
    post(member.url, path, { pool: "pipeline", ...spec }, {}, signal);
  const args = { function: { source: "(a) => a", args: ["x".repeat(400_000)] } };
  const input = { command: ["cat"], stdin: "x".repeat(400_000) };
  for (let round = 0; round < 3; round++) {
    for (const spec of [args, input, { ...input, link: true }]) await (await call(spec)).text();
    for (const spec of [
      args,
      { ...input, files: { "../x": "y" } },
      { ...input, stdin: { base64: "*".repeat(400_000) } },
    ])
      await (await call({ ...spec, unknown: 1 })).text();
    const children = await Promise.all(
      [0, 1].map(
        async () =>
          (await (
            await post(member.url, "/children", {
              pool: "pipeline",
              ...sleeper,
              stdin: "x".repeat(400_000),
            })
          ).json()) as { id: string },
      ),
    );
    const leaving = new AbortController();
    const waits = call({ ...waiting(400_000) }, leaving.signal);
    await (await waits).body?.getReader().read();
    leaving.abort();
    for (const { id } of children)
      await fetch(`${member.url}/children/${id}?graceMs=0`, { method: "DELETE" });
    await until("no child to hold a slot", async () => {
      const { pools } = await getJson<{ pools: { pipeline: { active: number; queued: number } } }>(
        `${member.url}/children/count`,
      );
      return pools.pipeline.active + pools.pipeline.queued === 0;
    });
  }
  await until("the whole account to be free", async () => {
    const answer = await call({
      function: { source: "(a) => a.length", args: ["x".repeat(MAX - 1_000)] },
    });
    const text = await answer.text();
    return answer.status === 200 && text.includes(`"value":${MAX - 1_000}`);
  });
});
