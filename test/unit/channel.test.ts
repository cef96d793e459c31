/** The server's end of the channel to a function's process. */
import { writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Channel } from "../../server/runtimes/functions/channel.ts";
import { within } from "../helpers/wait.ts";

const ARRIVE_MS = 10_000;

/** Both ends of a Unix socket, as Node gives one to a child. */
async function pair(): Promise<{ near: Socket; far: Socket & { _handle: { fd: number } } }> {
  const folder = await mkdtemp(join(tmpdir(), "channel-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "socket");
  const accepted = Promise.withResolvers<Socket>();
  const listener = createServer((socket) => accepted.resolve(socket)).listen(path);
  onTestFinished(() => void listener.close());
  const far = connect(path) as Socket & { _handle: { fd: number } };
  const near = await within("a connection", ARRIVE_MS, accepted.promise);
  near.on("error", () => {});
  onTestFinished(() => void near.destroy());
  return { near, far };
}

test("a report is read, although its runner ended before it was told of a drain", async () => {
  const { near, far } = await pair();
  const channel = new Channel(near);
  const received = channel.receive(() => {});
  // The runner reports and ends in the same turn of the loop in which the member begins to drain.
  writeSync(far._handle.fd, "the report\n");
  far.destroy();
  channel.notify({ kind: "drain" });
  expect(await within("the report", ARRIVE_MS, received)).toEqual({ line: "the report" });
});

test("a runner that runs is told", async () => {
  const { near, far } = await pair();
  const told = new Promise((resolve) => far.once("data", (bytes) => resolve(String(bytes))));
  new Channel(near).notify({ kind: "drain" });
  expect(await within("the message", ARRIVE_MS, told)).toBe('{"kind":"drain"}\n');
});
