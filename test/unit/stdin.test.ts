/** A child's input that takes one body only. */
import { PassThrough, Writable } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ChildStdin } from "../../server/supervisor/stdin.ts";

const SOURCE = { spec: { stdin: { open: true, once: true } } } as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An input, the reasons for which its body broke, and the child's end of the pipe. */
function open() {
  const broken: string[] = [];
  const input = new ChildStdin(SOURCE, (why) => void broken.push(why));
  const pipe = new PassThrough();
  return { input, broken, pipe };
}

test("a body that does not begin in time breaks the input, once", async () => {
  const { broken } = open();
  await vi.advanceTimersByTimeAsync(9_999);
  expect(broken).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(broken).toEqual(["nobody began to send the child's input in 10000 ms"]);
});

test("a body that has begun may take its time, and is the only one", async () => {
  const { input, broken, pipe } = open();
  const body = new PassThrough();
  const written = input.write(body, false);
  await expect(input.write(new PassThrough(), true)).rejects.toMatchObject({
    code: "stdin_closed",
  });
  await vi.advanceTimersByTimeAsync(3_600_000);
  void input.attach(pipe, SOURCE);
  body.end("all");
  expect(await written).toBe(3);
  expect((await pipe.toArray()).join("")).toBe("all");
  expect(broken).toEqual([]);
});

test("a child that has ended needs no body", async () => {
  const { input, broken } = open();
  input.close();
  await vi.advanceTimersByTimeAsync(60_000);
  await expect(input.write(new PassThrough(), true)).rejects.toMatchObject({
    code: "stdin_closed",
  });
  expect(broken).toEqual([]);
});

test.each(["before the child is there", "while the child does not read", "before it is read"])(
  "a body that breaks off is reported at once, %s",
  async (when) => {
    const { input, broken } = open();
    // Takes one write and never finishes it, like a full pipe, until it is closed.
    let taken: (error: Error) => void = () => {};
    const pipe = new Writable({
      write(_chunk, _encoding, done) {
        taken = done;
      },
      destroy(error, done) {
        taken(new Error("ECANCELED"));
        done(error);
      },
    });
    pipe.on("error", () => {});
    const body = new PassThrough();
    body.on("error", () => {});
    if (when === "before it is read") body.destroy(new Error("gone"));
    const written = input.write(body, true).catch((error: unknown) => error);
    if (when === "while the child does not read") {
      void input.attach(pipe, SOURCE);
      body.write("taken in part");
      await vi.advanceTimersByTimeAsync(0);
    }
    body.destroy(new Error("gone"));
    await vi.advanceTimersByTimeAsync(0);
    expect(broken).toEqual(["the sender of the child's input went away before its end"]);
    expect(pipe.writableEnded).toBe(false);
    input.close();
    expect(await written).toMatchObject({ code: "stdin_closed" });
  },
);

test("a child that stops reading does not break the body", async () => {
  const { input, broken, pipe } = open();
  pipe.on("error", () => {});
  void input.attach(pipe, SOURCE);
  const body = new PassThrough();
  const written = input.write(body, true).catch((error: unknown) => error);
  pipe.destroy(new Error("EPIPE"));
  body.write("more");
  expect(await written).toMatchObject({ code: "stdin_closed" });
  body.destroy();
  await vi.advanceTimersByTimeAsync(0);
  expect(broken).toEqual([]);
});
