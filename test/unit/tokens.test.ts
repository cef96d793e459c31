import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Jwks } from "../../server/access/jwks.ts";
import { RateLimit, StreamLimit } from "../../server/access/rate-limit.ts";
import { newToken, parseTokens, TokenFile } from "../../server/access/tokens.ts";

const hash = (token: string) => createHash("sha256").update(token).digest("hex");
const LINE = `ci sha256:${hash("secret")} scopes=call,observe pools=pipeline,gpu`;

describe("parseTokens", () => {
  test("a name, a hash, scopes and pools a line", () => {
    const callers = parseTokens(
      `# who\r\n\n  ${LINE}  # the builds\nboss\tsha256:${hash("other")}\tscopes=admin\n#${LINE}\n`,
    );
    expect([...callers.values()].map(({ name }) => name)).toEqual(["ci", "boss"]);
    const ci = callers.get(hash("secret"));
    expect([
      ci?.may(["call"], "gpu"),
      ci?.may(["observe"], "pipeline"),
      ci?.may(["call"], "video"),
      ci?.may(["admin"], "gpu"),
    ]).toEqual([true, true, false, false]);
    const boss = callers.get(hash("other"));
    expect([boss?.may(["call"], "anything"), boss?.has(["observe"])]).toEqual([true, true]);
  });

  test.each<[string, RegExp]>([
    ["ci", /^line 1: expected sha256: and 64 hexadecimal digits behind ci; got 0 other/],
    [
      `${LINE}\n\nci2 dpool_mySecret scopes=call pools=*`,
      /^line 3: expected sha256: and 64 hexadecimal digits behind ci2; got 14 other characters$/,
    ],
    [LINE.replace("sha256:", "sha256:0"), /expected sha256:/],
    [LINE.replace("ci ", "c/i "), /expected a name of letters, digits, \. _ @ -; got "c\/i"/],
    [LINE.replace("observe", "fly"), /expected call, observe, admin; got "fly"/],
    [LINE.replace("call,observe", ""), /expected call, observe, admin; got ""/],
    [LINE.replace("scopes=call,observe ", ""), /expected call, observe, admin; got ""/],
    [
      LINE.replace("pools=", "pool="),
      /expected scopes=\.\.\. and pools=\.\.\.; got "pool=pipeline,gpu"/,
    ],
    [LINE.replace("pipeline,gpu", "pipeline,"), /expected \* or pool names; got ""/],
    [LINE.replace("pipeline,gpu", "*,gpu"), /expected \* or pool names; got "\*"/],
    [
      LINE.replace(" pools=pipeline,gpu", ""),
      /expected pools=NAME,\.\.\. or pools=\*; got neither/,
    ],
    [`${LINE} pools=gpu`, /expected pools once; got it twice/],
    [`${LINE} admin`, /expected scopes=\.\.\. and pools=\.\.\.; got "admin"/],
    [
      `${LINE}\n${LINE.replace(hash("secret"), hash("other"))}`,
      /^line 2: expected each name once; got ci again$/,
    ],
    [
      `${LINE}\n${LINE.replace("ci ", "cd ")}`,
      /^line 2: expected each token once; cd has that of ci$/,
    ],
  ])("%s is refused", (text, message) => {
    expect(() => parseTokens(text)).toThrow(message);
    // It may be in the wrong place, but it stays secret.
    expect(() => parseTokens(text)).not.toThrow(/mySecret/);
  });
});

test("a new token has 256 bits of its own, and its line is one", () => {
  const made = [
    newToken("ci", ["call"], ["pipeline"]),
    newToken("ci", ["call"], ["pipeline"]),
  ] as const;
  expect(made[0].token).not.toBe(made[1].token);
  expect(Buffer.from(made[0].token.replace("dpool_", ""), "base64url")).toHaveLength(32);
  expect(parseTokens(made[0].line).get(hash(made[0].token))?.name).toBe("ci");
  expect(() => newToken("c i", ["call"], ["*"])).toThrow(/expected/);
});

test("a token file that others may write, or read, is told of", async () => {
  const folder = await mkdtemp(join(tmpdir(), "dpool-tokens-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "tokens");
  await writeFile(file, LINE);
  const told = async (mode: number) => {
    await chmod(file, mode);
    const lines: string[] = [];
    new TokenFile(file, (level, message) => void lines.push(`${level} ${message}`)).close();
    return lines.join("\n");
  };
  expect(await told(0o600)).toBe("");
  expect(await told(0o644)).toMatch(/^warn .*everybody may read it \(mode 644\)/);
  expect(await told(0o660)).toMatch(/^warn .*others than its owner may write it \(mode 660\)/);
});

test("the keys of an issuer are fetched again for a key that is not known, and kept while it is away", async () => {
  const [first, second] = [1, 2].map(() => generateKeyPairSync("ec", { namedCurve: "P-256" }));
  if (!first || !second) throw new Error("no keys");
  const keys = [{ ...first.publicKey.export({ format: "jwk" }), kid: "1" }];
  let [status, asked] = [200, 0];
  const server = createServer((_, response) => {
    asked += 1;
    response.writeHead(status).end(JSON.stringify({ keys }));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const token = (kid: string, { privateKey }: typeof first) => {
    const claims = {
      sub: "ann",
      iss: "i",
      aud: "a",
      exp: Math.floor(Date.now() / 1_000) + 600,
      scope: "call",
      pools: "*",
    };
    const text = [{ alg: "ES256", kid }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  };
  const options = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    issuer: "i",
    audience: "a",
  };
  const lines: string[] = [];
  const jwks = new Jwks(options, (line) => void lines.push(line), 0);
  // At the same time, asked once.
  const callers = await Promise.all(
    Array.from({ length: 5 }, () => jwks.callerOf(token("1", first))),
  );
  expect(callers.map(({ name }) => name)).toEqual(Array(5).fill("jwt:ann"));
  expect(asked).toBe(1);
  await expect(jwks.callerOf(token("2", second))).rejects.toMatchObject({ code: "unauthorized" });
  expect(asked).toBe(2);
  keys.push({ ...second.publicKey.export({ format: "jwk" }), kid: "2" });
  expect((await jwks.callerOf(token("2", second))).may(["call"], "any")).toBe(true);
  status = 500;
  await expect(jwks.callerOf(token("3", second))).rejects.toMatchObject({ code: "unauthorized" });
  expect(lines).toEqual([expect.stringMatching(/HTTP 500; the keys before stay$/)]);
  expect((await jwks.callerOf(token("1", first))).name).toBe("jwt:ann");
});

describe("Rates", () => {
  test("let through so many at once, and so many a second after", () => {
    let now = 0;
    const rates = new RateLimit(10, () => now);
    const taken = (client: string) =>
      Array.from({ length: 100 }, () => rates.take(client)).filter(Boolean).length;
    expect(taken("a")).toBe(20);
    expect(taken("b")).toBe(20);
    now += 500;
    expect(taken("a")).toBe(5);
    now += 3_600_000;
    expect(taken("a")).toBe(20);
  });

  test("remember no more clients than they may", () => {
    const rates = new RateLimit(1, () => 0);
    for (let client = 0; client < 30_000; client++) rates.take(`${client}`);
    expect(rates.clients).toBe(10_000);
    // The last ones are remembered.
    expect([rates.take("29999"), rates.take("29999")]).toEqual([true, false]);
  });
});

test("Streams count each client's own", () => {
  const streams = new StreamLimit(2);
  const [first, second] = [streams.open("a"), streams.open("a")];
  expect([streams.open("a"), typeof streams.open("b")]).toEqual([undefined, "function"]);
  first?.();
  second?.();
  expect([typeof streams.open("a"), typeof streams.open("a"), streams.open("a")]).toEqual([
    "function",
    "function",
    undefined,
  ]);
});
