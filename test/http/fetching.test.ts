/** Files that a member fetches by URL for a child. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { PoolOptions } from "../../server/main.ts";
import {
  callEvents,
  collect,
  getJson,
  heldBytes,
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
/** Hundreds of megabytes take long on a busy machine. */
const LARGE_MS = 180_000;

/** A server on loopback. Answers with its origin. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function pool(
  origin: string,
  limits: PoolOptions["limits"] = {},
): { pools: { pipeline: PoolOptions } } {
  return {
    pools: { pipeline: { maxChildren: 1, fetch: [origin], fetchAddresses: ["127.0.0.1"], limits } },
  };
}

test("the member that runs the child fetches files, beside those in the spec", async () => {
  const origin = await serve(({ url }, outgoing) => outgoing.end(`content of ${url}`));
  const [gate, far] = await startMembers({ pools: { gate: 1 } }, pool(origin));
  if (!gate || !far) throw new Error("expected two members");
  const files = {
    "a.txt": { url: `${origin}/a?b` },
    "d/b.txt": { url: `${origin}/b` },
    "c.txt": "given",
  };
  const events = await callEvents(gate.url, "/pools/pipeline/call", {
    command: ["sh", "-c", "cat a.txt d/b.txt c.txt"],
    files,
  });
  expect(textOf(events)).toBe("content of /a?bcontent of /bgiven");
  await idle(far);
});

test("a large file goes through in little memory", { timeout: LARGE_MS }, async () => {
  const bytes = 256 * MIB;
  const piece = randomBytes(MIB);
  const digest = createHash("sha256");
  for (let sent = 0; sent < bytes; sent += piece.length) digest.update(piece);
  const before = await heldBytes();
  let most = 0;
  const origin = await serve(async (_, outgoing) => {
    for (let sent = 0; sent < bytes; sent += piece.length) {
      if (sent % (64 * MIB) === 0) most = Math.max(most, (await heldBytes()) - before);
      if (!outgoing.write(piece)) await once(outgoing, "drain");
    }
    outgoing.end();
  });
  const member = await startOne(pool(origin));
  const events = await within(
    "the end",
    callEvents(member.url, "/call", {
      pool: "pipeline",
      command: ["sha256sum", "in"],
      files: { in: { url: origin } },
    }),
    LARGE_MS,
  );
  expect(textOf(events).split(" ")[0]).toBe(digest.digest("hex"));
  expect(most).toBeLessThan(32 * MIB);
  await idle(member);
});

test("a URL that is not allowed is refused before there is a child", async () => {
  const origin = await serve((_, outgoing) => outgoing.end("secret"));
  const member = await startOne();
  for (const path of ["/pools/pipeline/call", "/pools/pipeline/children"]) {
    const refused = await problemOf(
      await post(member.url, path, {
        command: ["cat", "in"],
        files: { in: { url: `${origin}/x?key=1` } },
      }),
    );
    expect(refused).toMatchObject({
      code: "forbidden",
      detail:
        `files: "in" from ${origin}/x: the pool's operator has to allow this URL in its ` +
        `option \`fetch\`, and does not`,
    });
  }
  for (const url of ["file:///etc/passwd", "ftp://example.com/", "in.txt", "javascript:1"])
    expect(
      await problemOf(
        await post(member.url, "/pools/pipeline/call", {
          command: ["true"],
          files: { in: { url } },
        }),
      ),
    ).toMatchObject({
      code: "invalid_request",
    });
  expect((await getJson<{ children: unknown[] }>(`${member.url}/children`)).children).toEqual([]);
});

test("a forbidden address and a failed fetch end the child before its program starts", async () => {
  const origin = await serve((_, outgoing) => outgoing.writeHead(503).end());
  const member = await startOne(pool(origin));
  const command = ["sh", "-c", "echo started"];
  const failed = await callEvents(member.url, "/call", {
    pool: "pipeline",
    command,
    files: { in: { url: origin } },
  });
  expect(lastOf(failed, "failed").problem).toMatchObject({
    code: "fetch_failed",
    status: 502,
    detail: `files: "in" from ${origin}/: expected status 200; got 503`,
  });
  expect(failed.map(({ type }) => type)).toEqual(["placed", "failed"]);
  const waited = await post(
    member.url,
    "/call",
    { pool: "pipeline", command, files: { in: { url: origin } } },
    { accept: "application/json" },
  );
  expect([waited.status, (await problemOf(waited)).code]).toEqual([502, "fetch_failed"]);
  await idle(member);
  const inside = await startOne({ pools: { pipeline: { maxChildren: 1, fetch: [origin] } } });
  const refused = await callEvents(inside.url, "/call", {
    pool: "pipeline",
    command,
    files: { in: { url: origin } },
  });
  expect(lastOf(refused, "failed").problem).toMatchObject({ code: "forbidden", status: 403 });
  expect(refused.map(({ type }) => type)).toEqual(["placed", "failed"]);
  await idle(inside);
});

test("all files together fit the workspace", async () => {
  const origin = await serve((_, outgoing) => outgoing.end("x".repeat(50_000)));
  const member = await startOne(pool(origin, { workspaceBytes: 100_000 }));
  const files = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, { url: origin }]));
  expect(
    lastOf(
      await callEvents(member.url, "/call", {
        pool: "pipeline",
        command: ["true"],
        files: files(3),
      }),
      "failed",
    ).problem,
  ).toMatchObject({
    code: "payload_too_large",
    detail: expect.stringMatching(/"f2" .* expected at most 0 bytes/),
  });
  await idle(member);
});

test("the deadline and a stop end the fetch", async () => {
  const asked = Promise.withResolvers<void>();
  const origin = await serve((_, outgoing) => {
    outgoing.write("x");
    asked.resolve();
  });
  const member = await startOne(pool(origin));
  const spec = { pool: "pipeline", command: ["true"], files: { in: { url: origin } } };
  expect(
    lastOf(await callEvents(member.url, "/call", { ...spec, deadlineMs: 300 }), "failed").problem
      .code,
  ).toBe("deadline_exceeded");
  await idle(member);
  const events = streamOf(await post(member.url, "/call", spec));
  const placed = (await within("placed", events.next())).value;
  if (placed?.type !== "placed") throw new Error("expected placed");
  await within("the fetching", asked.promise);
  await fetch(`${member.url}/children/${placed.child.id}`, { method: "DELETE" });
  expect(lastOf(await within("the end", collect(events)), "failed").problem.code).toBe("cancelled");
  await idle(member);
});
