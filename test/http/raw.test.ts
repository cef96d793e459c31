/** The raw form of a call: stdout as it is, and no success that is none. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { request } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import { startMembers, within } from "../helpers/member.ts";

const run = promisify(execFile);
const ACCEPT = { accept: "application/octet-stream", "content-type": "application/json" };

async function raw(url: string, spec: object) {
  const answer = await within("the head of the answer", request(url, { method: "POST", headers: ACCEPT, body: JSON.stringify(spec) }));
  const body = await within("the body", answer.body.arrayBuffer());
  return { answer, body: Buffer.from(body), ending: JSON.parse(String((answer.trailers as Record<string, string>)["pool-ending"])) };
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
  test("is the bytes of stdout, whatever they are; stderr is not in it, and the ending is a trailer", async () => {
    for (const [place, url, spec] of await places()) {
      const command = ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' '\\377'; printf 'caf\\303\\251 \\303\\n\\0'; echo no >&2"];
      const { answer, body, ending } = await raw(url, { ...spec, command });
      const expected = Buffer.concat([Buffer.alloc(3_000_000, 255), Buffer.from([0x63, 0x61, 0x66, 0xc3, 0xa9, 0x20, 0xc3, 0x0a, 0])]);
      expect(createHash("sha256").update(body).digest("hex"), place).toBe(createHash("sha256").update(expected).digest("hex"));
      expect(answer.headers["content-type"]).toBe("application/octet-stream");
      expect(answer.headers["pool-child-id"]).toMatch(/^m1\./);
      expect(ending).toMatchObject({ type: "result", exitCode: 0, artifacts: [] });
    }
  });

  test("of a function is what it prints; its value is not in the trailer, which a name of any language is", async () => {
    for (const [place, url, spec] of await places()) {
      const source = '() => { console.log("printed"); return "x".repeat(100_000); }';
      const { body, ending } = await raw(url, { ...spec, function: { source } });
      expect(body.toString(), place).toBe("printed\n");
      expect(ending).toMatchObject({ type: "result" });
      expect(ending).not.toHaveProperty("value");
    }
  });

  test.each([
    ["a command that exits with another code than 0", { command: ["sh", "-c", "echo some; exit 3"] }],
    ["a command that is killed", { command: ["sh", "-c", "echo some; kill -KILL $$"] }],
    ["a function that throws", { function: { source: "() => { throw new Error('no') }" } }],
    ["a child at its deadline", { command: ["sleep", "60"], deadlineMs: 200 }],
  ])("of %s is a broken connection", async (_, spec) => {
    for (const [place, url, more] of await places()) {
      const answer = await within("the head", request(url, { method: "POST", headers: ACCEPT, body: JSON.stringify({ ...more, ...spec }) }));
      await expect(within("the body", answer.body.arrayBuffer()), place).rejects.toThrow();
    }
  });

  test("curl writes a file, and fails where there is none to be had", async () => {
    const file = join(tmpdir(), `dpool-raw-${process.pid}`);
    onTestFinished(() => rm(file, { force: true }));
    const curl = (url: string, spec: object) =>
      run("curl", ["-sf", "-o", file, "-H", `accept: ${ACCEPT.accept}`, "-H", "content-type: application/json", "-d", JSON.stringify(spec), url]);
    for (const [place, url, spec] of await places()) {
      await curl(url, { ...spec, command: ["printf", "a film"] });
      expect(await readFile(file, "utf8"), place).toBe("a film");
      await expect(curl(url, { ...spec, command: ["sh", "-c", "printf part; exit 1"] }), place).rejects.toMatchObject({ code: 18 });
      await expect(curl(url, { ...spec, command: ["sh", "-c", "exit 1"], limits: { memoryBytes: 2 ** 45 } }), place).rejects.toMatchObject({ code: 22 });
    }
  });
});
