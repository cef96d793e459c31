import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProgressBar, progressBarOf } from "../../server/cli/terminal/progress-bar.ts";
import { Screen } from "../helpers/screen.ts";

describe("a bar", () => {
  test.each([
    [{ done: 3, total: 10 }, "[######--------------] 30% 3/10"],
    [{ done: 0, total: 10 }, "[--------------------] 0% 0/10"],
    [{ done: 999, total: 1_000 }, "[###################-] 99% 999/1000"],
    [{ done: 12, total: 10, message: "more" }, "[####################] 100% 12/10 more"],
    [{ done: 0, total: 0 }, "[####################] 100% 0/0"],
    [{ done: 7 }, "7"],
    [{ done: 7, message: "files" }, "7 files"],
  ])("of %j", (progress, line) => {
    expect(progressBarOf(progress, 79)).toBe(line);
  });

  test("is no longer than its line, wide characters or not", () => {
    expect(progressBarOf({ done: 7, message: "abcdef" }, 6)).toBe("7 abcd");
    expect(progressBarOf({ done: 7, message: "漢字😀" }, 7)).toBe("7 漢字");
  });
});

test("the terminal shows all other output, and the bar at most on a line of its own below", () => {
  const step = fc.oneof(
    fc.nat(100).map((done) => ({ done, total: 100 })),
    fc.constantFrom("text", "line\n", "\n", ""),
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const screen = new Screen();
      const bar = new ProgressBar({
        isTTY: true,
        columns: 50,
        write: (text: string | Uint8Array) => screen.write(String(text)) ?? true,
      });
      let text = "";
      let latest: { done: number; total: number } | undefined;
      for (const next of steps) {
        if (typeof next === "string") {
          bar.clear();
          screen.write(next);
          text += next;
          bar.restore(next === "" ? undefined : next.endsWith("\n"));
        } else {
          latest = next;
          bar.show(next);
        }
        const isFree = text === "" || text.endsWith("\n");
        expect(String(screen)).toBe(text + (isFree && latest ? progressBarOf(latest, 49) : ""));
      }
      bar.clear();
      expect(String(screen)).toBe(text);
    }),
  );
});

test("writes nothing where there is no terminal", () => {
  const written: unknown[] = [];
  const bar = new ProgressBar({
    isTTY: false,
    columns: 80,
    write: (text: unknown) => written.push(text) > 0,
  });
  bar.show({ done: 1 });
  bar.restore(true);
  bar.clear();
  expect(written).toEqual([]);
});
