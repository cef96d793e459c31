/**
 * Attacks on the processors. The tests measure only processor time, from the child's own result.
 */
import { describe, expect, test } from "vitest";
import { BOTH_WAYS, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf } from "../helpers/member.ts";

const usedUp = {
  code: "deadline_exceeded",
  detail: "the child used up its 300 ms of processor time",
};
const BUSY = "while :; do :; done";

describe.skipIf(hostileMissing)(
  `processors${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test.each([
      ["a busy loop", BUSY],
      ["a busy loop that ignores what tells it so", `trap '' TERM XCPU; ${BUSY}`],
      [
        "busy loops beside each other, each with little",
        `for n in 1 2 3 4 5 6 7 8; do (${BUSY}) & done; wait`,
      ],
      ["short programs one after the other", "while :; do cat /dev/null; done"],
      ["a busy loop that was left behind", `setsid sh -c '${BUSY}' & exec sleep 30`],
      ["one that ends by itself before anybody has looked", "head -c 8G /dev/zero | wc -c"],
    ])("%s ends when the processor time is used up", async (_, text) => {
      const { script } = await startAttacked();
      const { problem, usage } = lastOf(await script(text, { limits: { cpuMs: 300 } }), "failed");
      expect(problem).toMatchObject(usedUp);
      expect(usage?.cpuMs).toBeGreaterThan(300);
    });

    test("a share of the processors limits all processes together", async () => {
      const { script } = await startAttacked();
      const text = `for n in 1 2 3 4; do (${BUSY}) & done; wait`;
      const { problem, usage } = lastOf(
        await script(text, { limits: { cpus: 0.2 }, deadlineMs: 2_500 }),
        "failed",
      );
      expect(problem.code).toBe("deadline_exceeded");
      // Without the limit it would be about the number of processors. The kernel may lend one
      // share.
      expect((usage?.cpuMs ?? Number.NaN) / (usage?.wallMs ?? 0)).toBeLessThan(0.4);
    });

    test("processor time has its limit also in a sandbox made beforehand", async () => {
      const { inBoth } = await startAttacked({ pools: BOTH_WAYS });
      const spec = { command: ["sh", "-c", `trap '' XCPU; ${BUSY}`], limits: { cpuMs: 300 } };
      for (const events of await inBoth(spec))
        expect(lastOf(events, "failed").problem).toMatchObject(usedUp);
    });

    test("an endless loop ends at its deadline, as a function too", async () => {
      const { attack, script } = await startAttacked();
      const deadline = {
        code: "deadline_exceeded",
        detail: expect.stringContaining("at its deadline"),
      };
      expect(
        lastOf(await script(`trap '' TERM; ${BUSY}`, { deadlineMs: 500 }), "failed").problem,
      ).toMatchObject(deadline);
      const source = "() => { for (;;); }";
      expect(
        lastOf(await attack({ function: { source }, deadlineMs: 500 }), "failed").problem,
      ).toMatchObject(deadline);
    });
  },
);
