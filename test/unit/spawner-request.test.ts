/** The request for a child, as the spawner reads it: which pipes it opens, and how. */
import { expect, test } from "vitest";
import { CALL_FD } from "../../server/sandbox/fds.ts";
import { startFrame } from "../../server/sandbox/spawner-request.ts";
import { confinement } from "../helpers/sandbox.ts";

/** The texts of a list, each of which has its length before it. */
function textsOf(list: Buffer): Buffer[] {
  const texts: Buffer[] = [];
  for (let at = 0; at < list.length; ) {
    const end = at + 4 + list.readUInt32BE(at);
    texts.push(list.subarray(at + 4, end));
    at = end;
  }
  return texts;
}

test("a child reads its stdin and its call, and writes every other pipe", () => {
  const stdio = [20, 21, 22, "pipe", "ignore", 25, 26, 27] as const;
  const frame = startFrame(1, {
    argv: ["true"],
    chain: [{ joinFiles: [], uid: undefined, cores: undefined }, confinement().limits],
    stdio: [...stdio],
  });
  const [body = Buffer.alloc(0)] = textsOf(frame);
  const [verb, id, , , , , pipes = Buffer.alloc(0), sockets = Buffer.alloc(0)] = textsOf(body);
  expect([String(verb), String(id)]).toEqual(["start", "1"]);
  const words = textsOf(pipes).map(String);
  const flags = new Map<number, string | undefined>();
  for (let at = 0; at < words.length; at += 3) flags.set(Number(words[at]), words[at + 1]);
  const reads = [...flags].filter(([, flag]) => flag === "0").map(([fd]) => fd);
  expect(reads).toEqual([0, CALL_FD]);
  expect([...flags.keys()]).toEqual([0, 1, 2, 5, 6, 7]);
  expect(textsOf(sockets).map(String)).toEqual(["3"]);
});
