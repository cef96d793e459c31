/** Attacks by number: processes that multiply. */
import { describe, expect, test } from "vitest";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf, textOf } from "../helpers/member.ts";

describe.skipIf(hostileMissing)(`processes${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`, () => {
  test("a fork bomb stays within its number of processes and ends with its shell", async () => {
    const { script } = await startAttacked();
    const events = await script("bomb() { bomb | bomb & }; bomb; sleep 1; echo over", { limits: { processes: 64 } });
    expect(lastOf(events, "result").exitCode).toBe(0);
    expect(textOf(events)).toBe("over\n");
  });
});
