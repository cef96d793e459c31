/** Files beside a child spec, as multipart/form-data. */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  eventsOf,
  getJson,
  heldBytes,
  idle,
  lastOf,
  type Options,
  problemOf,
  startMembers,
  startOne,
  textOf,
  until,
  within,
} from "../helpers/member.ts";

const MIB = 1024 * 1024;
/** Time for hundreds of megabytes on a busy machine. */
const LARGE_MS = 180_000;
const BOUNDARY = "b0undary";

const headOf = (disposition: string) =>
  `--${BOUNDARY}\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n`;

/** A body as a client may write it by hand. */
function form(...parts: [disposition: string, content: string][]): string {
  const written = parts.map(([disposition, content]) => `${headOf(disposition)}${content}\r\n`);
  return `${written.join("")}--${BOUNDARY}--\r\n`;
}

const spec = (json: object): [string, string] => ['name="spec"', JSON.stringify(json)];

function send(
  url: string,
  path: string,
  body: string,
  headers: Record<string, string> = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
) {
  return within(
    `the answer of POST ${path}`,
    fetch(`${url}${path}`, { method: "POST", body, headers }),
  );
}

/** A folder of the test's own. */
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dpool-uploads-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** The number of spools: files without a name that this process has open. */
function spools(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return /distributed-pool-[^/]*\/[0-9a-f-]{36} \(deleted\)$/.test(
        readlinkSync(`/proc/self/fd/${fd}`),
      );
    } catch {
      return false;
    }
  }).length;
}

/** Starts a member. `over` waits until it is idle and has closed its spools. */
async function started(
  options: Options = {},
): Promise<{ member: RunningMember; over(): Promise<void> }> {
  const member = await startOne(options);
  const before = spools();
  const over = async () => {
    await idle(member);
    await until("the spools to be gone", () => spools() === before);
    expect((await getJson<{ pools: object }>(`${member.url}/children/count`)).pools).toMatchObject({
      pipeline: { active: 0, queued: 0 },
    });
  };
  return { member, over };
}

test.each(["/pools/pipeline/call", "/call"])("curl sends files to %s", async (path) => {
  const { member, over } = await started();
  const folder = makeFolder();
  writeFileSync(join(folder, "birds.mp4"), "birds");
  const own = path === "/call" ? { pool: "pipeline" } : {};
  const json = JSON.stringify({ ...own, command: ["sh", "-c", "cat; cat in.mp4 d/note.txt"] });
  const parts = [
    "--form-string",
    `spec=${json}`,
    "-F",
    `in.mp4=@${folder}/birds.mp4`,
    "-F",
    "d/note.txt=a note",
    "-F",
    "stdin=typed+",
  ];
  const curl = spawn(
    "curl",
    ["-sN", "-H", "accept: application/json", ...parts, `${member.url}${path}`],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let answer = "";
  for await (const chunk of curl.stdout) answer += chunk;
  expect(JSON.parse(answer)).toMatchObject({ exitCode: 0, stdout: "typed+birdsa note" });
  await over();
});

test("a placed child gets the files, and its input from the part `stdin`", async () => {
  const { member, over } = await started();
  const body = form(
    spec({ command: ["sh", "-c", "cat - a"] }),
    ['name="stdin"', "in "],
    ['name="a"; filename="x"', "file"],
  );
  const placed = await send(member.url, "/pools/pipeline/children", body);
  expect(placed.status).toBe(201);
  const child = (await placed.json()) as { id: string; url: string };
  const refused = await problemOf(
    await within("the answer", fetch(`${child.url}/stdin`, { method: "POST", body: "more" })),
  );
  expect(refused.code).toBe("stdin_closed");
  expect(textOf(await eventsOf(await within("the events", fetch(`${child.url}/events`))))).toBe(
    "in file",
  );
  await over();
});

test.each(["/pools/pipeline/children", "/children"])(
  "a raw body is the input of a child placed at %s, complete before the child starts",
  async (path) => {
    const { member, over } = await started({ maxBodyBytes: 2_000 });
    const own = path === "/children" ? { pool: "pipeline" } : {};
    const before = spools();
    const placing = request(`${member.url}${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/octet-stream",
        "pool-spec": JSON.stringify({ ...own, command: ["wc", "-c"] }),
      },
    });
    placing.write("x".repeat(100_000));
    await until("the spool", () => spools() === before + 1);
    expect(await getJson(`${member.url}/children`)).toEqual({ children: [] });
    placing.end();
    const [answer] = (await within("the answer", once(placing, "response"))) as [IncomingMessage];
    expect(answer.statusCode).toBe(201);
    const { url } = JSON.parse(Buffer.concat(await answer.toArray()).toString()) as { url: string };
    expect(textOf(await eventsOf(await within("the events", fetch(`${url}/events`))))).toBe(
      "100000\n",
    );
    await over();
  },
);

test("file names arrive unchanged, whatever characters they have", async () => {
  const [gate] = await startMembers({ pools: { gate: 1 } }, {});
  if (!gate) throw new Error("expected a member");
  const pools = new DistributedPool({ url: gate.url });
  onTestFinished(() => pools.close());
  const names = [
    'q"uote',
    "100%22",
    "é ü.txt",
    "line\nbreak",
    "back\\slash",
    "a;b=c",
    "d/e/f",
    "*",
    "-x",
    "name",
  ];
  const files = Object.fromEntries(names.map((name) => [name, Buffer.from(`<${name}>`)]));
  let out = "";
  for await (const event of pools.stream("pipeline", {
    command: ["sh", "-c", 'for f in "$@"; do cat -- "$f"; done', "sh", ...names],
    files,
  }))
    if (event.type === "stdout") out += event.text;
  expect(out).toBe(names.map((name) => `<${name}>`).join(""));
  const browser = form(spec({ command: ["cat", 'q"uote'] }), [
    'filename="x; name=y"; name="q%22uote"',
    "by a browser",
  ]);
  expect(textOf(await eventsOf(await send(gate.url, "/pools/pipeline/call", browser)))).toBe(
    "by a browser",
  );
});

test("bytes and local files travel beside the spec, text and base64 in it", async () => {
  const [gate, far] = await startMembers({ pools: { gate: 1 } }, {});
  if (!gate || !far) throw new Error("expected two members");
  const folder = makeFolder();
  const bytes = randomBytes(100_000);
  writeFileSync(join(folder, "disk"), bytes);
  writeFileSync(join(folder, "empty"), "");
  const pools = new DistributedPool({ url: gate.url });
  onTestFinished(() => pools.close());
  const files = {
    bytes,
    blob: new Blob([bytes]),
    disk: { path: join(folder, "disk") },
    empty: { path: join(folder, "empty") },
    text: "text",
    base64: { base64: bytes.toString("base64") },
  };
  const child = await pools.placeChild("pipeline", {
    command: ["sh", "-c", "cat bytes blob disk base64 text empty | sha256sum"],
    files,
    stdin: "",
  });
  let out = "";
  for await (const event of child.events()) if (event.type === "stdout") out += event.text;
  const digest = createHash("sha256")
    .update(Buffer.concat([bytes, bytes, bytes, bytes]))
    .update("text")
    .digest("hex");
  expect(out).toBe(`${digest}  -\n`);
  for (const [name, file] of [
    ["none", { path: join(folder, "none") }],
    ["folder", { path: folder }],
    ["spec", bytes],
    ["stdin", bytes],
  ] as const)
    await expect(
      pools.placeChild("pipeline", { command: ["true"], files: { [name]: file } }),
    ).rejects.toMatchObject({ code: "invalid_request" });
  await expect(
    pools.placeChild("pipeline", { command: ["true"], files: { "../x": bytes } }),
  ).rejects.toMatchObject({ code: "invalid_request" });
  await idle(far);
});

test("a large upload passes a gateway in little memory", { timeout: LARGE_MS }, async () => {
  const [gate, far] = await startMembers({ pools: { gate: 1 } }, { pools: { pipeline: 1 } });
  if (!gate || !far) throw new Error("expected two members");
  const piece = randomBytes(MIB);
  const bytes = 256 * MIB;
  const digest = createHash("sha256");
  for (let sent = 0; sent < bytes; sent += piece.length) digest.update(piece);
  const before = await heldBytes();
  let most = 0;
  const open = request(`${gate.url}/pools/pipeline/call`, {
    method: "POST",
    headers: {
      "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
      accept: "application/json",
    },
  });
  const answered = once(open, "response") as Promise<[IncomingMessage]>;
  const [head = "", tail = ""] = form(spec({ command: ["sha256sum", "in"] }), [
    'name="in"',
    "HERE",
  ]).split("HERE");
  open.write(head);
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (sent % (64 * MIB) === 0) most = Math.max(most, (await heldBytes()) - before);
    if (!open.write(piece)) await within("the gateway to take more", once(open, "drain"), LARGE_MS);
  }
  open.end(tail);
  // The gateway forwards it, the other member receives and packs it.
  const watch = setInterval(
    () => void heldBytes().then((held) => (most = Math.max(most, held - before))),
    500,
  );
  const [answer] = await within("the answer", answered, LARGE_MS);
  let text = "";
  for await (const chunk of answer) text += chunk;
  clearInterval(watch);
  expect(JSON.parse(text)).toMatchObject({ stdout: `${digest.digest("hex")}  in\n` });
  expect(most).toBeLessThan(48 * MIB);
  await idle(far);
});

const TRUE = spec({ command: ["true"] });
test.each<[string, string, RegExp | string]>([
  ["without a spec", form(['name="a"', "x"]), /expected a part `spec`/],
  ["with a spec that is no JSON", form(['name="spec"', "{"]), /expected JSON/],
  [
    "with a spec that is not valid",
    form(spec({ command: [] })),
    /\/command: expected at least the program to run/,
  ],
  ["with a spec twice", form(TRUE, TRUE), /"spec" twice/],
  ["with a file twice", form(TRUE, ['name="a"', "x"], ['name="a"', "y"]), /"a" twice/],
  [
    "with a file in the spec and beside it",
    form(spec({ command: ["true"], files: { a: "x" } }), ['name="a"', "y"]),
    /expected "a" once/,
  ],
  [
    "with input in the spec and beside it",
    form(spec({ command: ["true"], stdin: "x" }), ['name="stdin"', "y"]),
    /\/stdin: expected it in the spec or as a part/,
  ],
  [
    "with a file that is a folder too",
    form(TRUE, ['name="a"', "x"], ['name="a/b"', "y"]),
    /to be a file or a folder; got both/,
  ],
  [
    "with a path out of the workspace",
    form(TRUE, ['name="../a"', "x"]),
    /a path in the workspace; got "\.\.\/a"/,
  ],
  ["with an absolute path", form(TRUE, ['name="/etc/passwd"', "x"]), /a path in the workspace/],
  [
    "with a part without a name",
    form(TRUE, ['filename="a"', "x"]),
    /a part has no content-disposition/,
  ],
  [
    "that is cut in a part",
    form(TRUE, ['name="a"', "x"]).slice(0, -20),
    /ends before its last delimiter/,
  ],
  ["that is cut in a head", form(TRUE).slice(0, 30), /ends before its last delimiter/],
  ["with nothing in it", "", /ends before its last delimiter/],
  [
    "with a head that has no end",
    `--${BOUNDARY}\r\nx: ${"x".repeat(20_000)}`,
    /the head of a part is longer/,
  ],
  [
    "with another boundary",
    form(TRUE).replaceAll(BOUNDARY, "other"),
    /ends before its last delimiter/,
  ],
  [
    "with too many parts",
    form(
      TRUE,
      ...Array.from({ length: 1_002 }, (_, index) => [`name="f${index}"`, ""] as [string, string]),
    ),
    /expected at most 1000 files/,
  ],
])("a body %s is refused", async (_, body, detail) => {
  const { member, over } = await started();
  for (const path of ["/pools/pipeline/call", "/pools/pipeline/children"])
    expect(await problemOf(await send(member.url, path, body))).toMatchObject({
      code: "invalid_request",
      detail: expect.stringMatching(detail),
    });
  await over();
});

test("the limits of an upload, of its spec and of all uploads together hold", async () => {
  const { member, over } = await started({
    maxUploadBytes: 100_000,
    maxBodyBytes: 2_000,
    pools: { pipeline: { maxChildren: 1, limits: { workspaceBytes: 70_000 } } },
  });
  const refused = async (body: string, path = "/pools/pipeline/call") =>
    problemOf(await send(member.url, path, body));
  expect(await refused(form(TRUE, ['name="a"', "x".repeat(100_001)]))).toMatchObject({
    code: "payload_too_large",
    detail: expect.stringMatching(/at most 100000 bytes/),
  });
  expect(await refused(form(spec({ command: ["true", "x".repeat(2_000)] })))).toMatchObject({
    code: "payload_too_large",
    detail: expect.stringMatching(/a spec of at most 2000/),
  });
  expect(await refused(form(TRUE, ['name="a"', "x".repeat(80_000)]))).toMatchObject({
    code: "invalid_request",
    detail: expect.stringMatching(/the size of the workspace; got 80000/),
  });
  const answers: (number | undefined)[] = [];
  const others = Array.from({ length: 5 }, () => {
    const open = request(`${member.url}/call`, {
      method: "POST",
      headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
    });
    open.on("error", () => {}).on("response", ({ statusCode }) => answers.push(statusCode));
    open.write(`${headOf('name="a"')}${"x".repeat(95_000)}`);
    return open;
  });
  // All uploads together may take four times the largest.
  await until("the fifth to be refused", () => answers.length > 0);
  expect(answers).toEqual([503]);
  for (const open of others) open.destroy();
  await until("the room to be free again", async () => {
    const response = await send(
      member.url,
      "/pools/pipeline/call",
      form(TRUE, ['name="a"', "x".repeat(50_000)]),
    );
    await response.text();
    return response.status === 200;
  });
  await over();
});

test("a sender that goes away or silent leaves nothing behind", async () => {
  const { member, over } = await started({ requestTimeoutMs: 300 });
  const headers = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` };
  const before = spools();
  const start = `${headOf('name="a"')}${"x".repeat(100_000)}`;
  const leaves = request(`${member.url}/pools/pipeline/call`, { method: "POST", headers });
  leaves.on("error", () => {});
  leaves.write(start);
  await until("the spool", () => spools() === before + 1);
  leaves.destroy();
  await over();
  const silent = request(`${member.url}/pools/pipeline/call`, { method: "POST", headers });
  silent.write(start);
  const [answer] = (await within("the answer", once(silent, "response"))) as [IncomingMessage];
  expect(answer.statusCode).toBe(408);
  silent.destroy();
  await over();
});

test("an upload that is too slow is refused, one that is only long is not", async () => {
  const { member, over } = await started({ requestTimeoutMs: 300 });
  const headers = {
    "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
    accept: "application/json",
  };
  const upload = (pieceBytes: number) => {
    const open = request(`${member.url}/pools/pipeline/call`, { method: "POST", headers });
    open.on("error", () => {});
    const answered = once(open, "response") as Promise<[IncomingMessage]>;
    const [head = "", tail = ""] = form(spec({ command: ["wc", "-c", "in"] }), [
      'name="in"',
      "HERE",
    ]).split("HERE");
    open.write(head);
    let sent = 0;
    const timer = setInterval(() => {
      if (sent++ < 20) open.write("x".repeat(pieceBytes));
      else {
        clearInterval(timer);
        open.end(tail);
      }
    }, 50);
    void answered.then(() => clearInterval(timer));
    return within("the answer", answered);
  };
  const [slow] = await upload(1);
  expect(slow.statusCode).toBe(408);
  slow.destroy();
  const [long] = await upload(50_000);
  let text = "";
  for await (const chunk of long) text += chunk;
  expect(JSON.parse(text)).toMatchObject({ stdout: "1000000 in\n" });
  await over();
});

test("the spool is closed once the child has its files, however long it lives", async () => {
  const { member, over } = await started();
  const before = spools();
  const body = form(
    spec({ command: ["sh", "-c", "cat; cat a; exec sleep 60"] }),
    ['name="stdin"', "in "],
    ['name="a"', "file"],
  );
  const child = (await (
    await send(member.url, "/children", body.replace('{"command"', '{"pool":"pipeline","command"'))
  ).json()) as { url: string };
  await until("the spool to be gone", () => spools() === before);
  expect(await getJson(child.url)).toMatchObject({ status: "running" });
  await fetch(`${child.url}?graceMs=0`, { method: "DELETE" });
  await over();
});

test("a caller without permission is refused before anything is stored", async () => {
  const folder = makeFolder();
  const file = join(folder, "tokens");
  writeFileSync(file, "");
  const member = await startOne({ tokenFile: file });
  const before = spools();
  const refused = await problemOf(
    await send(member.url, "/pools/pipeline/call", form(TRUE, ['name="a"', "x".repeat(MIB)])),
  );
  expect(refused.code).toBe("unauthorized");
  expect(spools()).toBe(before);
});

test("other operations take no multipart", async () => {
  const { member, over } = await started();
  for (const path of ["/slots", `/children/m1.${"0".repeat(32)}/signal`])
    expect(await problemOf(await send(member.url, path, form(TRUE)))).toMatchObject({
      code: "unsupported_media_type",
    });
  await over();
});

test("content that looks like a delimiter reaches the child", async () => {
  const { member, over } = await started();
  const events = await eventsOf(
    await send(
      member.url,
      "/pools/pipeline/call",
      form(spec({ command: ["cat", "a"] }), ['name="a"', "\r\n--b0undar\r\n--"]),
    ),
  );
  expect(events.map(({ type }) => type)).toEqual(["placed", "stdout", "result"]);
  expect(textOf(events)).toBe("\r\n--b0undar\r\n--");
  lastOf(events, "result");
  await over();
});
