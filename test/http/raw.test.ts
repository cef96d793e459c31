/** The raw form of a call: stdout as it is, and no success that is none. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { request } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  collect,
  getJson,
  idle,
  post,
  problemOf,
  startMembers,
  startOne,
  until,
  within,
} from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

const run = promisify(execFile);
const ACCEPT = { accept: "application/octet-stream", "content-type": "application/json" };

async function raw(url: string, spec: object) {
  const answer = await within(
    "the head of the answer",
    request(url, { method: "POST", headers: ACCEPT, body: JSON.stringify(spec) }),
  );
  const body = await within("the body", answer.body.arrayBuffer());
  return {
    answer,
    body: Buffer.from(body),
    ending: JSON.parse(String((answer.trailers as Record<string, string>)["pool-ending"])),
  };
}

/** The ways to the same child: at its own member, and through another one. */
async function places(): Promise<[name: string, url: string, spec: object][]> {
  const [m1, m2] = await startMembers({}, { pools: { other: 1 } });
  return [
    ["at its member", `${m1?.url}/call`, { pool: "pipeline" }],
    ["through another one", `${m2?.url}/pools/pipeline/call`, {}],
  ];
}

describe("the raw form", () => {
  test("holds the bytes of stdout, without stderr; the ending is a trailer", async () => {
    for (const [place, url, spec] of await places()) {
      const command = [
        "sh",
        "-c",
        "head -c 3000000 /dev/zero | tr '\\0' '\\377'; " +
          "printf 'caf\\303\\251 \\303\\n\\0'; echo no >&2",
      ];
      const { answer, body, ending } = await raw(url, { ...spec, command });
      const expected = Buffer.concat([
        Buffer.alloc(3_000_000, 255),
        Buffer.from([0x63, 0x61, 0x66, 0xc3, 0xa9, 0x20, 0xc3, 0x0a, 0]),
      ]);
      expect(createHash("sha256").update(body).digest("hex"), place).toBe(
        createHash("sha256").update(expected).digest("hex"),
      );
      expect(answer.headers["content-type"]).toBe("application/octet-stream");
      expect(answer.headers["pool-child-id"]).toMatch(/^m1\./);
      expect(ending).toMatchObject({ type: "result", exitCode: 0, artifacts: [] });
    }
  });

  test("of a function holds its prints; the trailer has names of any script", async () => {
    for (const [place, url, spec] of await places()) {
      const source = '() => { console.log("printed"); return "x".repeat(100_000); }';
      const { body, ending } = await raw(url, { ...spec, function: { source } });
      expect(body.toString(), place).toBe("printed\n");
      expect(ending).toMatchObject({ type: "result" });
      expect(ending).not.toHaveProperty("value");
    }
  });

  test.each([
    [
      "a command that exits with another code than 0",
      { command: ["sh", "-c", "echo some; exit 3"] },
    ],
    ["a command that is killed", { command: ["sh", "-c", "echo some; kill -KILL $$"] }],
    ["a function that throws", { function: { source: "() => { throw new Error('no') }" } }],
    ["a child at its deadline", { command: ["sleep", "60"], deadlineMs: 200 }],
  ])("of %s is a broken connection", async (_, spec) => {
    for (const [place, url, more] of await places()) {
      const answer = await within(
        "the head",
        request(url, {
          method: "POST",
          headers: ACCEPT,
          body: JSON.stringify({ ...more, ...spec }),
        }),
      );
      await expect(within("the body", answer.body.arrayBuffer()), place).rejects.toThrow();
    }
  });

  test("curl writes a file, and fails where there is none to be had", async () => {
    const file = join(tmpdir(), `dpool-raw-${process.pid}`);
    onTestFinished(() => rm(file, { force: true }));
    const curl = (url: string, spec: object) =>
      run("curl", [
        "-sf",
        "-o",
        file,
        "-H",
        `accept: ${ACCEPT.accept}`,
        "-H",
        "content-type: application/json",
        "-d",
        JSON.stringify(spec),
        url,
      ]);
    for (const [place, url, spec] of await places()) {
      await curl(url, { ...spec, command: ["printf", "a film"] });
      expect(await readFile(file, "utf8"), place).toBe("a film");
      await expect(
        curl(url, { ...spec, command: ["sh", "-c", "printf part; exit 1"] }),
        place,
      ).rejects.toMatchObject({ code: 18 });
      await expect(
        curl(url, { ...spec, command: ["sh", "-c", "exit 1"], limits: { memoryBytes: 2 ** 45 } }),
        place,
      ).rejects.toMatchObject({ code: 22 });
    }
  });
});

test("raw bytes over HTTP/1.0 are refused: their end would look like a cut", async () => {
  const [m1, m2] = (await startMembers({}, { pools: { other: 1 } })) as [
    RunningMember,
    RunningMember,
  ];
  const sent = JSON.stringify({ command: ["echo", "out"] });
  for (const { url } of [m1, m2]) {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.write(
      `POST /pools/pipeline/call HTTP/1.0\r\nhost: ${new URL(url).host}\r\n` +
        `accept: ${ACCEPT.accept}\r\ncontent-type: application/json\r\n`,
    );
    socket.write(`content-length: ${sent.length}\r\n\r\n${sent}`);
    const answer = Buffer.concat(await within("the answer", collect<Buffer>(socket))).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain("expected HTTP/1.1 or HTTP/2");
  }
  expect(await getJson(`${m1.url}/children`)).toEqual({ children: [] });
});

/** Stdout of a child from a byte on, as it is attached to. */
async function attach(url: string, id: string, headers: Record<string, string> = {}) {
  const answer = await within(
    "the head",
    request(`${url}/children/${id}/events`, { headers: { accept: ACCEPT.accept, ...headers } }),
  );
  return { answer, body: Buffer.from(await within("the body", answer.body.arrayBuffer())) };
}

async function place(url: string, command: string[]): Promise<string> {
  return ((await (await post(url, "/pools/pipeline/children", { command })).json()) as ChildInfo)
    .id;
}

describe("stdout of a child that is attached to", () => {
  test("is all of it, or from a byte on, at any member, ending as a call's does", async () => {
    const [m1, m2] = await startMembers({}, { pools: { other: 1 } });
    const id = await place(m1?.url ?? "", [
      "sh",
      "-c",
      "printf 0123456789; echo no >&2; printf abc",
    ]);
    const result = await within("its end", fetch(`${m2?.url}/children/${id}/result?waitMs=20000`));
    expect(await result.json()).toMatchObject({ child: { id }, exitCode: 0 });
    for (const url of [m1?.url ?? "", m2?.url ?? ""]) {
      for (const [range, status, expected] of [
        [undefined, 200, "0123456789abc"],
        ["bytes=0-", 206, "0123456789abc"],
        ["bytes=7-", 206, "789abc"],
        ["bytes=12-", 206, "c"],
      ] as const) {
        const { answer, body } = await attach(url, id, range === undefined ? {} : { range });
        expect(answer.statusCode).toBe(status);
        expect(body.toString()).toBe(expected);
        expect(answer.headers["pool-child-id"]).toBe(id);
        expect(answer.headers["content-range"]).toBe(range && `${range.replace("=", " ")}12/13`);
        expect(
          JSON.parse(String((answer.trailers as Record<string, string>)["pool-ending"])),
        ).toMatchObject({ type: "result", exitCode: 0 });
      }
      const head = await within(
        "the head",
        request(`${url}/children/${id}/events`, {
          method: "HEAD",
          headers: { accept: ACCEPT.accept, range: "bytes=7-" },
        }),
      );
      expect(head.statusCode).toBe(206);
      expect(head.headers["content-range"]).toBe("bytes 7-12/13");
      // All bytes have come already: the ending is all that is left.
      const { answer } = await attach(url, id, { range: "bytes=13-" });
      expect(answer.statusCode).toBe(416);
      expect(answer.headers["content-range"]).toBe("bytes */13");
      expect(JSON.parse(String(answer.headers["pool-ending"]))).toMatchObject({ exitCode: 0 });
    }
  });

  test("has no end while the child runs, and breaks off where it has failed", async () => {
    const [m1, m2] = await startMembers({}, { pools: { other: 1 } });
    const id = await place(m1?.url ?? "", ["sh", "-c", "printf 0123456789; read line; exit 3"]);
    for (const url of [m1?.url ?? "", m2?.url ?? ""]) {
      const info = { headers: { accept: ACCEPT.accept, range: "bytes=4-" } };
      const head = { ...info, method: "HEAD" };
      await until(
        "its output",
        async () => (await fetch(`${url}/children/${id}/events`, head)).status === 206,
      );
      const running = await within("the head", request(`${url}/children/${id}/events`, info));
      expect(running.headers["content-range"]).toBe(`bytes 4-${Number.MAX_SAFE_INTEGER}/*`);
      running.body.on("error", () => {}).destroy();
    }
    await post(m1?.url ?? "", `/children/${id}/stdin?end=true`, "");
    await within("its end", fetch(`${m2?.url}/children/${id}/result?waitMs=20000`));
    for (const url of [m1?.url ?? "", m2?.url ?? ""])
      await expect(attach(url, id, { range: "bytes=10-" })).rejects.toThrow(/closed|terminated/);
  });

  test("that cannot be given whole is refused", async () => {
    const [m1, m2] = await startMembers({}, { pools: { other: 1 } });
    const bytes = 3_000_000;
    const id = await place(m1?.url ?? "", ["head", "-c", String(bytes), "/dev/zero"]);
    await until(
      "its end",
      async () => (await getJson<ChildInfo>(`${m1?.url}/children/${id}`)).status === "ended",
    );
    const refused = async (url: string, headers: Record<string, string>) =>
      problemOf(
        await within(
          "the refusal",
          fetch(`${url}/children/${id}/events`, { headers: { accept: ACCEPT.accept, ...headers } }),
        ),
      );
    for (const url of [m1?.url ?? "", m2?.url ?? ""]) {
      const expired = await refused(url, {});
      expect(expired).toMatchObject({ code: "events_expired", status: 410 });
      const { detail, code } = await refused(url, { range: "bytes=1000-" });
      expect(code).toBe("events_expired");
      const oldest = Number(/the oldest is (\d+)/.exec(detail)?.[1]);
      expect((await attach(url, id, { range: `bytes=${oldest}-` })).body.length).toBe(
        bytes - oldest,
      );
      expect(await refused(url, { range: `bytes=${oldest - 1}-` })).toMatchObject({
        code: "events_expired",
      });
      expect(await refused(url, { "last-event-id": "2" })).toMatchObject({
        code: "events_expired",
      });
      for (const range of [
        `bytes=${bytes + 1}-`,
        "bytes=1-2",
        "bytes=-5",
        "bytes=1-2,4-5",
        "lines=1-",
        "",
      ]) {
        const answer = await within(
          "the refusal",
          request(`${url}/children/${id}/events`, { headers: { accept: ACCEPT.accept, range } }),
        );
        expect([answer.statusCode, answer.headers["content-range"]], range).toEqual([
          416,
          `bytes */${bytes}`,
        ]);
        expect(await answer.body.json()).toMatchObject({ code: "range_not_satisfiable" });
      }
      expect(await refused(url, { range: "bytes=2900000-", "last-event-id": "2" })).toMatchObject({
        code: "invalid_request",
      });
      expect(await refused(url, { accept: "application/json" })).toMatchObject({
        code: "not_acceptable",
      });
    }
  });

  test("ends as the child did behind the terminal event too", async () => {
    const [m1, m2] = await startMembers({}, { pools: { other: 1 } });
    const ended = async (command: string[]) => {
      const id = await place(m1?.url ?? "", command);
      await until(
        "its end",
        async () => (await getJson<ChildInfo>(`${m1?.url}/children/${id}`)).status === "ended",
      );
      return id;
    };
    const [good, bad] = [await ended(["true"]), await ended(["false"])];
    for (const url of [m1?.url ?? "", m2?.url ?? ""]) {
      const { answer, body } = await attach(url, good, { "last-event-id": "2" });
      expect(body.length).toBe(0);
      expect(
        JSON.parse(String((answer.trailers as Record<string, string>)["pool-ending"])),
      ).toMatchObject({ type: "result", exitCode: 0 });
      await expect(attach(url, bad, { "last-event-id": "2" })).rejects.toThrow(/closed|terminated/);
    }
  });

  test("is whole although more of stderr came than is kept", async () => {
    const member = await startOne();
    const id = await place(member.url, ["sh", "-c", "head -c 3000000 /dev/zero >&2; echo out"]);
    await until(
      "its end",
      async () => (await getJson<ChildInfo>(`${member.url}/children/${id}`)).status === "ended",
    );
    expect((await attach(member.url, id)).body.toString()).toBe("out\n");
  });

  test("and its events have expired once it is forgotten", async () => {
    const [m1, m2] = await startMembers({ rememberMs: 1 }, { pools: { other: 1 } });
    const id = await place(m1?.url ?? "", ["true"]);
    await until(
      "it to be forgotten",
      async () => (await fetch(`${m1?.url}/children/${id}`)).status === 410,
    );
    for (const url of [m1?.url ?? "", m2?.url ?? ""]) {
      for (const accept of [ACCEPT.accept, "text/event-stream"]) {
        expect(
          await problemOf(await fetch(`${url}/children/${id}/events`, { headers: { accept } })),
        ).toMatchObject({ code: "child_forgotten", status: 410 });
      }
    }
  });

  test("that a cut left unfinished curl goes on with", async () => {
    const member = await startOne();
    const file = join(tmpdir(), `dpool-resumed-${process.pid}`);
    onTestFinished(() => rm(file, { force: true }));
    const id = await place(member.url, [
      "sh",
      "-c",
      "head -c 500000 /dev/zero | tr '\\0' x; read line; head -c 500000 /dev/zero | tr '\\0' y",
    ]);
    let requests = 0;
    const proxy = await cuttingProxy(member.url, () => (requests++ < 3 ? 200_000 : undefined));
    const curl = () =>
      run("curl", [
        "-sf",
        "-C",
        "-",
        "-o",
        file,
        "-H",
        `accept: ${ACCEPT.accept}`,
        `${proxy.url}/children/${id}/events`,
      ]);
    for (let cut = 0; cut < 2; cut++) await expect(curl()).rejects.toMatchObject({ code: 18 });
    await post(member.url, `/children/${id}/stdin`, "\n");
    await expect(curl()).rejects.toMatchObject({ code: 18 });
    await curl();
    expect(await readFile(file, "utf8")).toBe("x".repeat(500_000) + "y".repeat(500_000));
    await idle(member);
  });
});
