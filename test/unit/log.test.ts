/** The log's text for people, and its bound for a reader that has stopped. */
import { expect, test } from "vitest";
import { BoundedStderr } from "../../server/cli/log/bounded-stderr.ts";
import { textOf } from "../../server/cli/log/text.ts";

test("a text has time, level, message and fields, and leaves out null", () => {
  const line = {
    level: "info",
    time: "T",
    id: "m1.5",
    caller: "a b",
    code: null,
    msg: "child ended",
  };
  expect(textOf(JSON.stringify(line))).toBe('T info child ended id=m1.5 caller="a b"\n');
});

test("a message can neither steer the terminal nor pass for a line of its own", () => {
  const msg = "\x1b[2J\u202e\nT error forged";
  expect(textOf(JSON.stringify({ level: "warn", time: "T", msg }))).toBe(
    "T warn \\u001b[2J\\u202e\n  T error forged\n",
  );
});

test("a reader that has stopped costs a bound, and learns how many lines are lost", () => {
  const written: string[] = [];
  let drained = () => {};
  const target = {
    writableLength: 0,
    write(text: string) {
      written.push(text);
      this.writableLength += text.length;
      return false;
    },
    once: (_: "drain", listener: () => void) => (drained = listener),
  };
  const line = `${"x".repeat(1_023)}\n`;
  const stderr = new BoundedStderr(target, (dropped) => stderr.write(`${dropped} lost\n`));
  for (let index = 0; index < 2_000; index++) stderr.write(line);
  expect(written).toHaveLength(1_025);
  target.writableLength = 0;
  drained();
  expect(written.at(-1)).toBe("975 lost\n");
  stderr.write(line);
  expect(written.at(-1)).toBe(line);
});
