/** `run` waits and answers JSON; `pipe` is raw both ways: at the member and through another one. */
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { request } from "undici";
import { describe, expect, test } from "vitest";
import { collect, idle, post, problemOf, startMembers, within } from "../helpers/member.ts";

const MIB = 1024 * 1024;

/** The ways to the same pool: at its own member, and through another one. */
async function places() {
  const [m1, m2] = await startMembers({}, { pools: { other: 1 } });
  if (!m1 || !m2) throw new Error("expected two members");
  return { member: m1, urls: [`${m1.url}/pools/pipeline`, `${m2.url}/pools/pipeline`] };
}

const words = (command: readonly string[]) =>
  new URLSearchParams(command.map((word) => ["command", word])).toString();

describe("run", () => {
  test("answers with the result and the output, whatever the exit code", async () => {
    const { urls } = await places();
    for (const url of urls) {
      const answer = await post(url, "/run", { command: ["sh", "-c", "echo out; exit 3"] });
      expect(answer.headers.get("content-type")).toBe("application/json");
      const result = (await answer.json()) as { child: { id: string } };
      expect(result).toMatchObject({ stdout: "out\n", exitCode: 3 });
      expect(answer.headers.get("pool-child-id")).toBe(result.child.id);
    }
  });

  test("answers a failure with the status of its problem", async () => {
    const { urls } = await places();
    for (const url of urls) {
      const source = "() => { console.log('so far'); throw new Error('no'); }";
      const answer = await post(url, "/run", { function: { source } });
      expect(answer.status).toBe(422);
      expect(await problemOf(answer)).toMatchObject({
        code: "function_threw",
        stdout: "so far\n",
        error: { message: "no" },
      });
    }
  });

  test("takes the input as its body, and files as parts", async () => {
    const { urls } = await places();
    for (const url of urls) {
      const piped = await post(url, "/run", "one two", {
        "content-type": "text/plain",
        "pool-spec": '{"command":["wc","-w"]}',
      });
      expect(await piped.json()).toMatchObject({ stdout: "2\n" });
      const form = new FormData();
      form.append("spec", '{"command":["cat","in.txt"]}');
      form.append("in.txt", new Blob(["a file"]));
      const whole = await within("it", fetch(`${url}/run`, { method: "POST", body: form }));
      expect(await whole.json()).toMatchObject({ stdout: "a file" });
    }
  });
});

describe("pipe", () => {
  test.each(["application/json", "multipart/form-data; boundary=b", "text/plain", ""])(
    "takes a body of type '%s' as it is",
    async (type) => {
      const { urls } = await places();
      for (const url of urls) {
        const answer = await post(url, `/pipe?${words(["cat"])}`, '{"not":"a spec"}', {
          "content-type": type,
        });
        expect(answer.headers.get("content-type")).toBe("application/octet-stream");
        expect(await answer.text()).toBe('{"not":"a spec"}');
      }
    },
  );

  test("carries 10 MiB to a slow reader, and its ending in a trailer", async () => {
    const { urls } = await places();
    const sent = randomBytes(10 * MIB);
    for (const url of urls) {
      const { body, trailers, headers } = await within(
        "the head",
        request(`${url}/pipe?${words(["cat"])}`, { method: "POST", body: sent }),
      );
      const hash = createHash("sha256");
      for await (const piece of body) {
        hash.update(piece);
        await nextTurn();
      }
      expect(hash.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
      expect(headers["pool-child-id"]).toMatch(/^m1\./);
      expect(JSON.parse(String((trailers as Record<string, string>)["pool-ending"]))).toMatchObject(
        { type: "result", exitCode: 0 },
      );
    }
  });

  test("has an empty input without a body", async () => {
    const { urls } = await places();
    for (const url of urls) {
      const answer = await within(
        "it",
        fetch(`${url}/pipe?${words(["wc", "-c"])}`, { method: "POST" }),
      );
      expect((await answer.text()).trim()).toBe("0");
    }
  });

  test("breaks the connection when the command fails", async () => {
    const { urls } = await places();
    for (const url of urls)
      await expect(
        post(url, `/pipe?${words(["sh", "-c", "echo part; exit 1"])}`, "x").then((it) => it.text()),
      ).rejects.toThrow();
  });

  test("has its spec in exactly one place", async () => {
    const { member, urls } = await places();
    const spec = encodeURIComponent('{"command":["cat"]}');
    const inHeader = { "pool-spec": '{"command":["cat"]}' };
    for (const url of urls) {
      expect(await (await post(url, `/pipe?spec=${spec}`, "a")).text()).toBe("a");
      expect(await (await post(url, "/pipe", "b", inHeader)).text()).toBe("b");
      for (const [path, headers] of [
        ["/pipe", {}],
        [`/pipe?spec=${spec}&command=cat`, {}],
        [`/pipe?spec=${spec}`, inHeader],
        ["/pipe?command=cat", inHeader],
        ["/pipe?pool=pipeline", inHeader],
        ["/pipe?pool=pipeline&command=cat", {}],
        ["/pipe?command=", {}],
        ["/pipe?spec=nonsense", {}],
        ["/pipe?command=echo&command=%ff", {}],
        ["/pipe?command=echo&command=%zz", {}],
        [`/pipe?spec=${encodeURIComponent('{"command":["cat"],"stdin":"x"}')}`, {}],
      ] as const)
        expect((await problemOf(await post(url, path, "x", headers))).code, path).toBe(
          "invalid_request",
        );
    }
    const own = await post(member.url, `/pipe?pool=pipeline&${words(["cat"])}`, "c");
    expect(await own.text()).toBe("c");
    await idle(member);
  });

  test("refuses a query that is too long, and goes on", async () => {
    const { member } = await places();
    const { port } = new URL(member.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.write(`POST /pools/pipeline/pipe?command=${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`);
    const answer = Buffer.concat(await within("the refusal", collect<Buffer>(socket))).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    const many = Array.from({ length: 500 }, () => "a");
    const echoed = await post(`${member.url}/pools/pipeline`, `/pipe?${words(["echo", ...many])}`);
    expect(await echoed.text()).toBe(`${many.join(" ")}\n`);
  });
});
