/** The key set of an issuer: when it is fetched, and how long its keys are used. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { Jwks } from "../../server/access/jwks.ts";

const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const [FIRST, SECOND] = [newKey(), newKey()];
const publish = (kid: string, { publicKey }: { publicKey: KeyObject }) => ({
  ...publicKey.export({ format: "jwk" }),
  kid,
});

function token(kid: string, { privateKey: key }: { privateKey: KeyObject }): string {
  const exp = Math.floor(Date.now() / 1_000) + 86_400;
  const claims = { sub: "ann", iss: "i", aud: "a", exp, scope: "call", pools: "*" };
  const text = [{ alg: "ES256", kid }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

/** Starts an issuer that publishes {@link FIRST}, and opens its key set. */
async function openIssuer(refetchMs: number) {
  const keys = [publish("1", FIRST)];
  const issuer = {
    keys,
    requests: 0,
    answer: (response: ServerResponse): unknown => response.end(JSON.stringify({ keys })),
  };
  const server = createServer((_, response) => {
    issuer.requests += 1;
    issuer.answer(response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const lines: string[] = [];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const log = (line: string) => void lines.push(line);
  return { issuer, lines, jwks: new Jwks({ url, issuer: "i", audience: "a" }, log, refetchMs) };
}

const fail = (response: ServerResponse) => response.writeHead(500).end();
const UNAUTHORIZED = { code: "unauthorized" };
const UNCHECKED = { ...UNAUTHORIZED, message: expect.stringContaining("cannot be checked now") };

test("callers who come at the same time share one fetch", async () => {
  const { issuer, jwks } = await openIssuer(0);
  const callers = await Promise.all(
    Array.from({ length: 5 }, () => jwks.callerOf(token("1", FIRST))),
  );
  expect(callers.map(({ name }) => name)).toEqual(Array(5).fill("jwt:ann"));
  expect(issuer.requests).toBe(1);
});

test("an unknown key leads to a fetch; keys stay in use while the issuer is away", async () => {
  const { issuer, lines, jwks } = await openIssuer(0);
  expect((await jwks.callerOf(token("1", FIRST))).name).toBe("jwt:ann");
  await expect(jwks.callerOf(token("2", SECOND))).rejects.toMatchObject(UNAUTHORIZED);
  expect(issuer.requests).toBe(2);
  issuer.keys.push(publish("2", SECOND));
  expect((await jwks.callerOf(token("2", SECOND))).may(["call"], "any")).toBe(true);
  issuer.answer = fail;
  await expect(jwks.callerOf(token("3", SECOND))).rejects.toMatchObject(UNAUTHORIZED);
  expect(lines).toEqual([expect.stringMatching(/HTTP 500; the keys before stay$/)]);
  expect((await jwks.callerOf(token("1", FIRST))).name).toBe("jwt:ann");
});

test("keys are not used for longer than an hour without a fetch that succeeds", async () => {
  const { issuer, jwks } = await openIssuer(0);
  const now = vi.spyOn(Date, "now");
  const monotonic = vi.spyOn(performance, "now");
  onTestFinished(() => void vi.restoreAllMocks());
  const start = Date.now();
  const at = (minutes: number) => {
    now.mockReturnValue(start + minutes * 60_000);
    monotonic.mockReturnValue(minutes * 60_000);
  };
  at(0);
  const shown = token("1", FIRST);
  await jwks.callerOf(shown);
  issuer.answer = fail;
  at(59);
  expect((await jwks.callerOf(shown)).name).toBe("jwt:ann");
  at(61);
  await expect(jwks.callerOf(shown)).rejects.toMatchObject(UNCHECKED);
  issuer.answer = (response) => response.end(JSON.stringify({ keys: issuer.keys }));
  expect((await jwks.callerOf(shown)).name).toBe("jwt:ann");
});

test("a fetch that fails is not repeated at once", async () => {
  const { issuer, lines, jwks } = await openIssuer(60_000);
  issuer.answer = fail;
  for (let count = 0; count < 3; count++)
    await expect(jwks.callerOf(token("1", FIRST))).rejects.toMatchObject(UNCHECKED);
  expect([issuer.requests, lines.length]).toEqual([1, 1]);
});

test.each<[string, (response: ServerResponse) => unknown, RegExp]>([
  ["a redirect", (response) => response.writeHead(302, { location: "/other" }).end(), /fetch/],
  ["more than 1 MiB", (response) => response.end(" ".repeat(1_100_000)), /at most 1048576 bytes/],
  ["no JSON", (response) => response.end("<html>"), /JSON/],
  ["no key set", (response) => response.end("{}"), /JSON Web Key Set/],
])("an answer with %s brings no keys", async (_, answer, reason) => {
  const { issuer, lines, jwks } = await openIssuer(0);
  issuer.answer = answer;
  await expect(jwks.callerOf(token("1", FIRST))).rejects.toMatchObject(UNCHECKED);
  expect(lines).toEqual([expect.stringMatching(reason)]);
  expect(issuer.requests).toBe(1);
});
