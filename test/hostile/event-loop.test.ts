/**
 * No request holds the event loop for 50 ms: every operation of the contract is asked at its
 * largest size, in the shapes that cost most, and every kind of answer is as large as it can be.
 *
 * The time is processor time of the member's main thread in one turn of its loop, its garbage
 * collection included, so a busy machine does not add to it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { uploadAt } from "../../openapi/bodies.ts";
import { ROUTES, type Route } from "../../openapi/routes.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { post, within } from "../helpers/member.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { longEntry, tarEntry, tarOf } from "../helpers/tar.ts";

const MAX_HOLD_MS = 50;
const ANSWER_MS = 120_000;
const MIB = 1024 * 1024;
const BODY_BYTES = 16 * MIB;
/** The longest head is 16 KiB. */
const HEAD_CHARS = 12_000;

let members: ChildProcess;
let urls: string[];
let child: ChildInfo;

const message = async () => (await within("the members' message", once(members, "message")))[0];

beforeAll(async () => {
  const options = { sandbox: SANDBOX_OPTION, rememberMs: 1_000, maxRate: 100_000 };
  members = fork("test/fixtures/watched-members.ts", [JSON.stringify(options)]);
  ({ urls } = await message());
  const spec = { pool: "near", command: ["sh", "-c", "cat >/dev/null"], labels: { a: "b" } };
  child = (await (await post(urls[0] as string, "/children", spec)).json()) as ChildInfo;
}, ANSWER_MS);

afterAll(async () => {
  const gone = once(members, "exit");
  members.kill("SIGKILL");
  await within("the members' end", gone);
});

/** The longest time in milliseconds that the loop has been held since the last question. */
async function longestHold(): Promise<number> {
  members.send("?");
  return (await message()).longestMs;
}

/** Sends a request, reads the whole answer, and checks how long the loop was held. */
async function ask(path: string, init: RequestInit = {}): Promise<string> {
  await longestHold();
  const signal = AbortSignal.timeout(ANSWER_MS);
  const answer = await fetch(`${urls[0]}${path}`, { ...init, signal });
  const text = await answer.text();
  expect(await longestHold(), `${init.method} ${path}: ${text.slice(0, 300)}`).toBeLessThan(
    MAX_HOLD_MS,
  );
  return text;
}

/** Items that fill a body of the largest size. */
function filled(item: (index: number) => string): string {
  const items: string[] = [];
  for (let chars = 0, index = 0; ; index++) {
    const next = item(index);
    chars += Buffer.byteLength(next) + 1;
    if (chars > BODY_BYTES - 1_000) return items.join(",");
    items.push(next);
  }
}

const some = (count: number, item: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => item(index)).join(",");
const text = (char: string, bytes = BODY_BYTES - 1_000) =>
  `"${char.repeat(bytes / Buffer.byteLength(char))}"`;
const archive = (...entries: Buffer[]) =>
  `"command":["true"],"archive":{"base64":"${tarOf(...entries).toString("base64")}"}`;
const deep = (index: number) => `${index}${"/a".repeat(2_000)}`;
const PAX = `60010 path=a${"/".repeat(59_996)}b\n`;
const keys = (value = '""') => filled((index) => `"k${index}":${value}`);

/** The members of a spec by the name of the attack, or the whole body. */
const SHAPES: Readonly<Record<string, () => string>> = {
  "small files": () => `"command":["true"],"files":{${keys()}}`,
  "files beyond their number": () =>
    `"command":["true"],"files":{${some(7_000, (index) => `"k${index}":"${"x".repeat(250)}"`)}}`,
  "1,000 files": () =>
    `"command":["true"],"files":{${some(1_000, (index) => `"k${index}":"${"x".repeat(16_000)}"`)}}`,
  "deep files": () =>
    `"command":["true"],"files":{${some(450, (index) => `"${deep(index)}":""`)},"b":"","b/c":""}`,
  "a deep archive": () =>
    archive(...Array.from({ length: 100 }, (_, index) => longEntry({ name: deep(index) }))),
  "an archive with 60,000 slashes in a name": () =>
    archive(tarEntry({ name: "pax", type: "x", content: PAX }), tarEntry({ name: "a", type: "5" })),
  "a file in base64": () => `"command":["true"],"files":{"a":{"base64":${text("abcd")}}}`,
  "lists as arguments": () =>
    `"function":{"source":"(...a) => 1","args":[[${filled(() => "[]")}]]}`,
  "numbers as arguments": () =>
    `"function":{"source":"(...a) => 1","args":[[${filled(() => "1")}]]}`,
  "a text as argument": () => `"function":{"source":"(...a) => 1","args":[${text("é")}]}`,
  "deep arguments": () => `"function":{"source":"(...a) => 1","args":${"[".repeat(8 * MIB)}`,
  "a long source": () => `"function":{"source":${text("\\n", 3.9 * MIB)}}`,
  "many variables": () => `"command":["true"],"env":{${keys()}}`,
  "bad variables": () =>
    `"command":["true"],"env":{${some(7_000, (at) => `"-${at}":"\\u0000${"x".repeat(250)}"`)}}`,
  "unknown keys": () =>
    `"command":["true"],${some(7_000, (index) => `"k${index}":${text("x", 250)}`)}`,
  "one key again and again": () => `"command":["true"],${filled(() => '"labels":{}')}`,
  "a long key": () => `"command":["true"],${text("x", 1.9 * MIB)}:1`,
  "a long label": () => `"command":["true"],"labels":{"a":${text("é", 1.9 * MIB)}}`,
  "many arguments": () => `"command":[${filled(() => '"a"')}]`,
  "long arguments": () => `"command":[${some(7_999, () => text("x", 250))}]`,
  "an input": () => `"command":["cat"],"stdin":${text("x")}`,
  "an escaped input": () => `"command":["cat"],"stdin":{"text":${text("\\u0001")}}`,
  "an input in base64": () => `"command":["cat"],"stdin":{"base64":${text("abcd")}}`,
  "many patterns": () => `"command":["true"],"artifacts":[${filled(() => '"a"')}]`,
  nesting: () => `"command":${"[".repeat(BODY_BYTES - 1_000)}`,
  "a long number": () => `"command":["true"],"waitMs":${"1".repeat(1.9 * MIB)}`,
  spaces: () => `"command":["true"]${" ".repeat(BODY_BYTES - 1_000)}`,
};

function pathOf({ path }: Route): string {
  return path.replace("{pool}", "far").replace("{id}", child.id).replace("{path}", "out");
}

function formOf(spec: string): FormData {
  const form = new FormData();
  form.append("spec", new Blob([spec], { type: "application/json" }));
  for (let index = 0; index < 1_000; index++)
    form.append(`d/${index}`, new Blob(["x".repeat(1_000)]), "file");
  return form;
}

async function attack(route: Route): Promise<void> {
  const method = route.method.toUpperCase();
  const path = pathOf(route);
  const isPlaced = path.endsWith("/children");
  const where = uploadAt(route.path)?.spec === "MemberChildSpec" ? '"pool":"near",' : "";
  const isDrain = path === "/drain";
  // Streams without an end have their large answers in the tests below.
  const isEndless = path.endsWith("/events") || (path === "/slots" && method === "POST");
  if (isEndless && method === "GET") return;
  const long = { "x-long": "x".repeat(HEAD_CHARS) };
  if (!isDrain && method !== "DELETE") {
    await ask(path, { method, headers: long });
    await ask(`${path}?${"label=a&limit=1&cursor=b&pool=near&x=y&".repeat(HEAD_CHARS / 45)}`, {
      method,
    });
  }
  if (method !== "POST") return;
  // Operations that differ in their answers alone share the shapes.
  const kin = ["/run", "/children", "/call"].findIndex((end) => path.endsWith(end));
  const isFirst = kin < 0 || path === "/pools/far/call";
  const shapes = Object.values(SHAPES).filter((_, index) => isFirst || index % 3 === kin);
  const bodies = /\/(pipe|stdin)$/.test(path) ? [] : isDrain ? shapes.slice(0, 1) : shapes;
  const headers = { "content-type": "application/json" };
  for (const shape of bodies) await ask(path, { method, headers, body: `{${where}${shape()}}` });
  if (path.endsWith("/stdin"))
    await ask(`${path}?end=false`, { method, body: Buffer.alloc(BODY_BYTES) });
  if (!uploadAt(route.path)?.spec || path.endsWith("/pipe")) return;
  const spec = `{${where}"command":["true"]${isPlaced ? "" : ',"labels":{"a":"b"}'}}`;
  await ask(path, { method, body: formOf(spec) });
  const input = { "content-type": "application/octet-stream", "pool-spec": spec };
  await ask(path, { method, headers: input, body: Buffer.alloc(BODY_BYTES) });
}

const last = ({ path }: Route) => Number(path === "/drain");

/** Sources of functions whose answers are as large as they can be. */
const ANSWERS: Readonly<Record<string, string>> = {
  lists: "() => Array.from({ length: 5e6 }, () => [])",
  numbers: "() => Array(8e6).fill(1)",
  "a text": '() => "\\n".repeat(8e6)',
  "nested lists": "() => { let a = []; for (let i = 0; i < 900; i++) a = [a]; return a; }",
  "an error": '() => { throw new Error("x".repeat(4e6)); }',
  lines: '() => { for (let i = 0; i < 50_000; i++) process.stdout.write("line " + i + "\\n"); }',
  "escaped output":
    '() => { for (const s of ["stdout", "stderr"]) process[s].write("\\u0001".repeat(1 << 20)); }',
  "bad reports": '() => { process.getBuiltinModule("fs").writeSync(3, "{\\n".repeat(30_000)); }',
  "a bad report":
    '() => { const fs = process.getBuiltinModule("fs"); const bytes = Buffer.from(\'{"k":1\' + ' +
    "Array.from({ length: 1e6 }, (_, i) => ',\"k' + i + '\":1').join('') + '}\\n'); " +
    "for (let at = 0; at < bytes.length; ) try { at += fs.writeSync(3, bytes, at); } catch {} }",
};

describe("no request holds the event loop", () => {
  test.each(Object.entries(ANSWERS))(
    "whose function answers with %s",
    async (_, source) => {
      for (const path of ["/run", "/call", "/pools/far/run", "/pools/far/call"])
        await ask(path, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            ...(path.startsWith("/pools") ? {} : { pool: "near" }),
            function: { source },
          }),
        });
    },
    4 * ANSWER_MS,
  );

  test.each(
    [...ROUTES]
      .sort((a, b) => last(a) - last(b))
      .map((route) => [route.method, route.path, route] as const),
  )("of %s %s", (_method, _path, route) => attack(route), 10 * ANSWER_MS);
});
