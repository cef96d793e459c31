/** The files that a child left, from its member and through another one. */
import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  callEvents,
  collect,
  idle,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";

const MIB = 1024 * 1024;

/** Starts two members and a child on the second one, and waits for its end. */
async function ended(spec: object) {
  const [gate, far] = (await startMembers(
    { pools: { gate: 1 } },
    {
      pools: {
        pipeline: { maxChildren: 2, limits: { artifactBytes: 128 * MIB, memoryBytes: 512 * MIB } },
      },
    },
  )) as [RunningMember, RunningMember];
  const events = await callEvents(far.url, "/call", { pool: "pipeline", ...spec });
  const [placed] = events;
  if (placed?.type !== "placed") throw new Error(`expected placed; got ${JSON.stringify(placed)}`);
  return { gate, far, id: placed.child.id, events };
}

const NAMES = ["out.bin", "a/b/c.txt", "100% é ?#&+'\".txt", "a%2Fb", "__proto__", "line\nbreak"];

test("artifacts come as bytes under any name, and no browser takes them for a page", async () => {
  const content = (path: string) => Buffer.from(`<script>${path}</script>`);
  // The child makes the name that JSON cannot carry as a key.
  const files = Object.fromEntries(
    NAMES.filter((name) => name !== "__proto__").map((name) => [
      name,
      { base64: content(name).toString("base64") },
    ]),
  );
  const { gate, far, id, events } = await ended({
    command: ["sh", "-c", "printf '<script>__proto__</script>' >__proto__"],
    files,
    artifacts: ["**"],
  });
  expect(lastOf(events, "result").artifacts).toEqual(
    NAMES.toSorted().map((path) => ({ path, bytes: content(path).length })),
  );
  for (const { url } of [far, gate]) {
    const pools = new DistributedPool({ url });
    onTestFinished(() => pools.close());
    for (const name of NAMES) {
      const path = name.split("/").map(encodeURIComponent).join("/");
      const response = await within("the file", fetch(`${url}/children/${id}/files/${path}`));
      expect([name, response.status, await response.text()]).toEqual([
        name,
        200,
        content(name).toString(),
      ]);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "content-type": "application/octet-stream",
        "content-length": String(content(name).length),
        "content-disposition": expect.stringMatching(/^attachment; filename\*=UTF-8''[!-~]+$/),
        "x-content-type-options": "nosniff",
      });
      expect(await buffer(await pools.child(id).file(name))).toEqual(content(name));
    }
    const head = await within(
      "the head",
      fetch(`${url}/children/${id}/files/out.bin`, { method: "HEAD" }),
    );
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
      200,
      String(content("out.bin").length),
      "",
    ]);
    const events = await within(
      "the head",
      fetch(`${url}/children/${id}/events`, { method: "HEAD" }),
    );
    expect([events.status, events.headers.get("content-type")]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
    ]);
    for (const [path, code] of [
      ["none", "not_found"],
      ["a//b", "invalid_request"],
      ["..%2F..%2Fetc%2Fpasswd", "invalid_request"],
      ["%00", "invalid_request"],
    ] as const)
      expect([
        path,
        (await problemOf(await fetch(`${url}/children/${id}/files/${path}`))).code,
      ]).toEqual([path, code]);
    await expect(pools.child(id).file("none")).rejects.toMatchObject({ code: "not_found" });
    expect(
      (await problemOf(await fetch(`${url}/children/m2.${"0".repeat(32)}/files/a`))).code,
    ).toBe("child_not_found");
  }
});

test("large artifacts come whole through another member, and a reader may leave", async () => {
  const bytes = 96 * MIB;
  const command = ["sh", "-c", `head -c ${bytes} /dev/urandom | tee large.bin | sha256sum`];
  const { gate, id, events } = await ended({ command, artifacts: ["*.bin"] });
  const url = `${gate.url}/children/${id}/files/large.bin`;
  const abort = new AbortController();
  const left = await within("the file", fetch(url, { signal: abort.signal }));
  expect(left.headers.get("content-length")).toBe(String(bytes));
  abort.abort();
  const digest = createHash("sha256");
  const response = await within("the file", fetch(url));
  for await (const chunk of response.body ?? []) digest.update(chunk);
  expect(digest.digest("hex")).toBe(textOf(events).split(" ")[0]);
});

test("artifacts are bounded: the failure says so, and those before are kept", async () => {
  const member = await startOne({
    pools: { pipeline: { maxChildren: 1, limits: { artifactBytes: 10 } } },
  });
  const call = (spec: object) =>
    callEvents(member.url, "/call", {
      pool: "pipeline",
      command: ["sh", "-c", "printf 12345678 >a; exit 3"],
      artifacts: ["a", "b"],
      ...spec,
    });
  expect(lastOf(await call({}), "result")).toMatchObject({
    exitCode: 3,
    artifacts: [{ path: "a", bytes: 8 }],
  });
  const failed = lastOf(await call({ files: { b: "12345678" } }), "failed");
  expect(failed).toMatchObject({
    exitCode: 3,
    problem: { code: "payload_too_large", detail: expect.stringContaining("10 bytes") },
  });
  expect(failed.artifacts).toHaveLength(1);
  const tightened = lastOf(await call({ limits: { artifactBytes: 7 } }), "failed");
  expect(tightened).toMatchObject({ problem: { code: "payload_too_large" }, artifacts: [] });
  await idle(member);
});

test.each<[string, object, RegExp]>([
  [
    "a path out of the workspace",
    { files: { "../x": "" } },
    /\/files\/\.\.~1x: expected a relative path in the workspace/,
  ],
  ["an absolute path", { files: { "/etc/x": "" } }, /expected a relative path in the workspace/],
  [
    "a file and a folder of the same name",
    { files: { a: "", "a/b": "" } },
    /expected "a" to be a file or a folder; got both/,
  ],
  [
    "more than the workspace holds",
    { files: { a: "x".repeat(70_000) }, limits: { workspaceBytes: 65_536 } },
    /expected at most 65536 bytes, the size of the workspace; got 70000/,
  ],
  [
    "a pattern out of the workspace",
    { artifacts: ["../*"] },
    /expected a relative path in the workspace/,
  ],
  [
    "a pattern with a range that nobody orders",
    { artifacts: ["[à-é].txt", "b.txt"] },
    /\/artifacts: expected ranges of ASCII characters/,
  ],
  [
    "patterns that are too long",
    { artifacts: Array.from({ length: 50 }, () => "x".repeat(200)) },
    /expected patterns of together at most 8192 bytes/,
  ],
])("%s is refused", async (_, spec, message) => {
  const member = await startOne();
  const refused = await problemOf(
    await post(member.url, "/call", { pool: "pipeline", command: ["true"], ...spec }),
  );
  expect(refused).toMatchObject({
    code: "invalid_request",
    detail: expect.stringMatching(message),
  });
  await idle(member);
});

test("a function finds its files, and leaves artifacts", async () => {
  const member = await startOne();
  const source =
    "async () => { const fs = await import('node:fs'); fs.writeFileSync('out.txt', " +
    "fs.readFileSync('in/x.txt', 'utf8').toUpperCase()); return 1; }";
  const events = await callEvents(member.url, "/call", {
    pool: "pipeline",
    function: { source, args: [] },
    files: { "in/x.txt": { text: "quiet" } },
    artifacts: ["*.txt"],
  });
  expect(lastOf(events, "result")).toMatchObject({
    value: 1,
    artifacts: [{ path: "out.txt", bytes: 5 }],
  });
  await idle(member);
});

test("artifacts that the child makes after TERM are kept", async () => {
  const member = await startOne({ graceMs: 5_000 });
  const command = [
    "sh",
    "-c",
    "trap 'echo bye >last; exit 4' TERM; echo up; while :; do sleep 0.05; done",
  ];
  const events = streamOf(
    await post(member.url, "/call", { pool: "pipeline", command, artifacts: ["last"] }),
  );
  const placed = (await within("placed", events.next())).value;
  if (placed?.type !== "placed") throw new Error("expected placed");
  await within("the output", events.next());
  await fetch(`${member.url}/children/${placed.child.id}`, { method: "DELETE" });
  const rest = await within("the end", collect(events));
  expect(lastOf(rest, "failed")).toMatchObject({
    problem: { code: "cancelled" },
    artifacts: [{ path: "last", bytes: 4 }],
  });
  await idle(member);
});
