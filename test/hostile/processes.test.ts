/** Attacks by processes and threads that multiply. */
import { describe, expect, test } from "vitest";
import { BOTH_WAYS, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf, textOf } from "../helpers/member.ts";

const limits = { processes: 64 };

describe.skipIf(hostileMissing)(
  `processes${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    // The shell starts one process before the bomb: after it, the shell would get none either.
    test("a fork bomb stays within its number of processes and ends with its shell", async () => {
      const { inBoth } = await startAttacked({ pools: BOTH_WAYS });
      const script = "bomb() { bomb | bomb & }; bomb & echo over; exec sleep 1";
      for (const events of await inBoth({ command: ["sh", "-c", script], limits })) {
        expect(lastOf(events, "result").exitCode).toBe(0);
        expect(textOf(events)).toBe("over\n");
      }
    });

    test("a fork bomb whose parent exits is over at once", async () => {
      const { script } = await startAttacked();
      const events = await script("bomb() { bomb | bomb & }; bomb & echo over; exit 3", { limits });
      expect(lastOf(events, "result").exitCode).toBe(3);
      expect(textOf(events)).toBe("over\n");
    });

    test("a fork bomb of daemons that ignore everything ends at its deadline", async () => {
      const { attack } = await startAttacked();
      const program =
        "use POSIX; $SIG{$_} = 'IGNORE' for keys %SIG; while (1) { fork // next; setsid() }";
      const events = await attack({ command: ["perl", "-e", program], limits, deadlineMs: 1_000 });
      expect(lastOf(events, "failed").problem.code).toBe("deadline_exceeded");
    });

    test("a fork bomb by Node's child processes ends with its function", async () => {
      const { attack } = await startAttacked();
      const source = `async () => {
      const { spawn } = require("node:child_process");
      let refused = 0;
      for (let n = 0; n < 200; n++) {
        spawn(n % 2 ? "sleep" : process.execPath, n % 2 ? ["60"] : ["-e", "for (;;) \
require('child_process').spawn('sleep', ['60'], { detached: true }).on('error', () => {})"], {
          detached: true, stdio: "inherit",
        }).on("error", () => { refused += 1; });
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
      return refused > 100;
    }`;
      const events = await attack({ function: { source }, limits });
      expect(lastOf(events, "result").value).toBe(true);
    });

    test("threads count as processes", async () => {
      const { attack } = await startAttacked();
      const source = `async () => {
      const { Worker } = require("node:worker_threads");
      for (let n = 0; n < 200; n++) new Worker("for (;;);", { eval: true }).on("error", () => {});
      await new Promise(() => {});
    }`;
      const events = await attack({ function: { source }, limits, deadlineMs: 1_500 });
      // Node may exit by itself when it gets no thread.
      expect(["deadline_exceeded", "worker_crashed", "function_threw"]).toContain(
        lastOf(events, "failed").problem.code,
      );
      const count =
        'fork // last or sleep 60 for 1 .. 500; opendir $d, "/proc"; print ' +
        `scalar(grep /^\\d+$/, readdir $d), "\\n"`;
      expect(
        Number(textOf(await attack({ command: ["perl", "-e", count], limits }))),
      ).toBeLessThanOrEqual(64 + 2);
    });

    test("two bombs at once take no processes from each other or from the sibling", async () => {
      const { member, script } = await startAttacked({
        pools: { pipeline: 3, sibling: 1, other: 1 },
      });
      const bomb = "bomb() { bomb | bomb & }; bomb & echo over; exec sleep 0.5";
      const beside = fetch(`${member.url}/call`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ pool: "other", command: ["sh", "-c", bomb], limits }),
      }).then((answer) => answer.text());
      expect(lastOf(await script(bomb, { limits }), "result").exitCode).toBe(0);
      expect(await beside).toContain('"exitCode":0');
    });
  },
);
