/** Pages of origins that the operator names may call from a browser; all others may not. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { expect, onTestFinished, test } from "vitest";
import { newToken } from "../../server/access/tokens.ts";
import { eventsOf, lastOf, post, problemOf, startOne, within } from "../helpers/member.ts";

const APP = "https://app.example.org";
const PAGE = { origin: APP, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" };

function preflight(url: string, origin: string): Promise<Response> {
  const asked = { "access-control-request-method": "POST" };
  return within(
    "the preflight's answer",
    fetch(`${url}/pools/pipeline/run`, { method: "OPTIONS", headers: { origin, ...asked } }),
  );
}

test("a preflight of a named origin is answered, without a token", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dpool-cors-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { token, line } = newToken("page", ["call"], ["pipeline"]);
  writeFileSync(join(folder, "tokens"), `${line}\n`, { mode: 0o600 });
  for (const tokenFile of [undefined, join(folder, "tokens")]) {
    const { url } = await startOne({ corsOrigins: [APP], tokenFile });
    const answer = await preflight(url, APP);
    expect(answer.status).toBe(204);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "access-control-allow-origin": APP,
      "access-control-allow-methods": "GET, HEAD, POST, PATCH, DELETE",
      "access-control-allow-headers":
        "authorization, content-type, last-event-id, pool-spec, range, idempotency-key, " +
        "traceparent, tracestate",
      vary: "Origin",
    });
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
    const headers = { ...PAGE, authorization: `Bearer ${token}` };
    const stream = await post(url, "/pools/pipeline/call", { command: ["true"] }, headers);
    expect(stream.headers.get("access-control-allow-origin")).toBe(APP);
    expect(stream.headers.get("access-control-expose-headers")).toContain("pool-child-id");
    lastOf(await eventsOf(stream), "result");
    for (const path of ["/pools/video/run", "/nowhere"]) {
      const refused = await post(url, path, { command: ["true"] }, headers);
      expect(refused.headers.get("access-control-allow-origin"), path).toBe(APP);
      await problemOf(refused);
    }
  }
});

test("other origins are refused, whatever they look like", async () => {
  const { url } = await startOne({ corsOrigins: [APP] });
  for (const origin of [
    "https://evil.example.org",
    "http://app.example.org",
    `${APP}.evil.org`,
    `${APP}:8443`,
    `${APP}/`,
    "null",
  ]) {
    for (const answer of [
      await preflight(url, origin),
      await post(url, "/pools/pipeline/call", { command: ["true"] }, { origin }),
    ]) {
      expect(answer.headers.get("access-control-allow-origin"), origin).toBeNull();
      expect((await problemOf(answer)).code).toBe("forbidden");
    }
  }
});

test("the name of the host is still checked (DNS rebinding)", async () => {
  const { url } = await startOne({ corsOrigins: [APP] });
  const { statusCode, body } = await request(`${url}/pools`, {
    headers: { ...PAGE, host: "evil.example.org" },
  });
  await body.dump();
  expect(statusCode).toBe(403);
});

test("a reload changes the origins", async () => {
  const member = await startOne();
  expect((await preflight(member.url, APP)).status).toBe(403);
  const options = { pools: { pipeline: 2 }, name: "m1" };
  const reloaded = await member.reload({ ...options, corsOrigins: [APP] });
  expect(reloaded.changed).toContain("corsOrigins");
  expect((await preflight(member.url, APP)).status).toBe(204);
  await member.reload(options);
  expect((await preflight(member.url, APP)).status).toBe(403);
});

test.each(["*", "https://*.example.org", `${APP}/`, "http://app.example.org", "app.example.org"])(
  "%s is no origin",
  async (origin) => {
    await expect(startOne({ corsOrigins: [origin] })).rejects.toThrow(/expected an origin/);
  },
);
