/**
 * Checks who may call: tokens of a file, JWTs, scopes and pools, at one member and through others.
 */
import { execFile } from "node:child_process";
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { ROUTES } from "../../openapi/routes.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { newToken } from "../../server/access/tokens.ts";
import { type RunningMember, startMember } from "../../server/main.ts";
import { watch } from "../helpers/feed.ts";
import {
  callEvents,
  eventsOf,
  lastOf,
  problemOf,
  startMembers,
  startOne,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";

const run = promisify(execFile);
const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const SLEEP = { command: ["sleep", "60"] };

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "dpool-auth-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

const CALLER = newToken("caller", ["call"], ["pipeline"]);
const WATCHER = newToken("watcher", ["observe"], ["pipeline"]);
const STRANGER = newToken("stranger", ["call", "observe"], ["gpu"]);
const ADMIN = newToken("boss", ["admin"], ["*"]);
const LINES = [CALLER, WATCHER, STRANGER, ADMIN].map(({ line }) => `${line}\n`).join("");

async function tokenFile(text = LINES): Promise<string> {
  const file = join(await folder(), "tokens");
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** Opens a log that keeps its lines. */
function openLog() {
  const lines: string[] = [];
  return { lines, log: (level: string, message: string) => void lines.push(`${level} ${message}`) };
}

function ask(
  member: Pick<RunningMember, "url">,
  method: string,
  path: string,
  token?: string,
  body?: unknown,
): Promise<Response> {
  return within(
    `the answer of ${method} ${path}`,
    fetch(`${member.url}${path}`, {
      method,
      redirect: "manual",
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
}

async function codeOf(response: Response): Promise<string> {
  return (await problemOf(response)).code;
}

async function place(member: RunningMember, pool: string, { token } = ADMIN): Promise<ChildInfo> {
  const response = await ask(member, "POST", "/children", token, { pool, ...SLEEP });
  expect(response.status).toBe(201);
  return (await response.json()) as ChildInfo;
}

describe("a token file", () => {
  test("is needed for everything except the probes of the process", async () => {
    const member = await startOne({ tokenFile: await tokenFile() });
    for (const path of ["/livez", "/readyz"])
      expect((await ask(member, "GET", path)).status).toBe(200);
    const paths = [
      ...ROUTES.map(({ method, path }) => [method.toUpperCase(), path] as const),
      ["GET", "/nowhere"],
    ] as const;
    // The pages are the same for all, and ask for a token themselves.
    for (const path of ["/", "/dashboard/main.js", "/docs", "/docs/start.js", "/openapi.json"])
      expect([path, (await ask(member, "GET", path)).status]).toEqual([path, 200]);
    for (const [method, path] of paths) {
      if (["/livez", "/readyz"].includes(path)) continue;
      for (const token of [undefined, "wrong", `${CALLER.token}x`]) {
        const response = await ask(member, method, path, token);
        expect([method, path, response.status]).toEqual([method, path, 401]);
        expect(response.headers.get("www-authenticate")).toBe("Bearer");
        const { code, detail } = await problemOf(response);
        expect(code).toBe("unauthorized");
        if (token) expect(detail).not.toContain(token);
      }
    }
    for (const authorization of [
      `Basic ${btoa(`x:${CALLER.token}`)}`,
      CALLER.token,
      `Bearer ${CALLER.token} x`,
      "Bearer",
    ])
      expect(await codeOf(await fetch(`${member.url}/pools`, { headers: { authorization } }))).toBe(
        "unauthorized",
      );
  });

  test("refuses each operation to a token that lacks the scope", async () => {
    const elsewhere = newToken("elsewhere", ["observe"], ["nothing"]);
    const member = await startOne({ tokenFile: await tokenFile(`${elsewhere.line}\n${LINES}`) });
    const child = await place(member, "pipeline");
    for (const { method, path } of ROUTES) {
      const target = path
        .replace("{pool}", "pipeline")
        .replace("{id}", child.id)
        .replace("{path}", "a/b");
      const response = await ask(
        member,
        method.toUpperCase(),
        target,
        elsewhere.token,
        method === "post" ? { pool: "pipeline", ...SLEEP } : undefined,
      );
      if (["/livez", "/readyz", "/children/count"].includes(path))
        expect(response.status).toBe(200);
      else if (path === "/tasks")
        expect(await response.json()).toEqual({ member: "m1", tasks: [], runtimes: [] });
      else if (path === "/caller")
        expect(await response.json()).toEqual({
          name: "elsewhere",
          scopes: ["observe"],
          pools: ["nothing"],
        });
      else if (path === "/pools") expect(await response.json()).toEqual({ pools: [] });
      else if (path === "/history")
        expect(await response.json()).toMatchObject({ pools: {}, unreachable: [] });
      else if (path === "/events") {
        await response.body?.cancel();
        const feed = await watch(member.url, elsewhere);
        await feed.event("synced");
        expect(feed.events.map(({ type }) => type)).toEqual(["reset", "synced"]);
      } else if (path === "/children")
        expect(response.status === 200 ? await response.json() : await codeOf(response)).toEqual(
          method === "get" ? { children: [] } : "forbidden",
        );
      else if (method === "get" && path.startsWith("/children/"))
        expect([path, await codeOf(response)]).toEqual([path, "child_not_found"]);
      else
        expect([path, response.status, await codeOf(response)]).toEqual([path, 403, "forbidden"]);
    }
  });

  test("grants scopes in pools", async () => {
    const member = await startOne({ pools: { pipeline: 4, gpu: 2 }, tokenFile: await tokenFile() });
    const ours = await place(member, "pipeline", CALLER);
    const theirs = await place(member, "gpu");
    const ok = async (token: string, method: string, path: string, body?: unknown) => {
      const response = await ask(member, method, path, token, body);
      expect([method, path, response.status < 300]).toEqual([method, path, true]);
      await response.body?.cancel();
    };
    const no = async (
      token: string,
      method: string,
      path: string,
      detailPattern: RegExp,
      body?: unknown,
    ) => {
      const { code, detail } = await problemOf(await ask(member, method, path, token, body));
      expect([method, path, code]).toEqual([method, path, "forbidden"]);
      expect(detail).toMatch(detailPattern);
    };
    await ok(CALLER.token, "POST", "/pools/pipeline/children", SLEEP);
    await ok(CALLER.token, "POST", "/pools/pipeline/call", { command: ["true"] });
    await ok(CALLER.token, "GET", `/children/${ours.id}`);
    await ok(CALLER.token, "GET", `/children/${ours.id}/events`);
    await ok(CALLER.token, "GET", "/pools/pipeline/children");
    await no(
      CALLER.token,
      "GET",
      "/pools/pipeline",
      /^caller may not: expected scope observe or admin$/,
    );
    await no(
      CALLER.token,
      "POST",
      "/pools/gpu/call",
      /^caller may not: expected scope call or admin in pool gpu$/,
      { command: ["true"] },
    );
    await no(CALLER.token, "POST", "/call", /in pool gpu$/, { pool: "gpu", command: ["true"] });
    await no(CALLER.token, "POST", "/children", /in pool gpu$/, { pool: "gpu", command: ["true"] });
    await no(CALLER.token, "GET", "/pools/gpu/children", /in pool gpu$/);
    await no(CALLER.token, "GET", "/children?pool=gpu", /in pool gpu$/);
    for (const [method, rest] of [
      ["GET", ""],
      ["DELETE", ""],
      ["GET", "/events"],
      ["GET", "/files/a"],
    ] as const)
      expect(
        await codeOf(await ask(member, method, `/children/${theirs.id}${rest}`, CALLER.token)),
      ).toBe("child_not_found");

    await ok(WATCHER.token, "GET", "/pools/pipeline");
    await ok(WATCHER.token, "GET", "/pools/pipeline/children");
    await ok(WATCHER.token, "GET", `/children/${ours.id}`);
    await ok(WATCHER.token, "GET", `/children/${ours.id}/events`);
    await no(WATCHER.token, "DELETE", `/children/${ours.id}`, /expected scope call or admin$/);
    await no(WATCHER.token, "POST", "/pools/pipeline/call", /expected scope call or admin$/, {
      command: ["true"],
    });
    await no(WATCHER.token, "GET", "/pools/gpu", /in pool gpu$/);

    const seen = async (token: string) => {
      const { pools } = (await (await ask(member, "GET", "/pools", token)).json()) as {
        pools: { pool: string }[];
      };
      const { children } = (await (await ask(member, "GET", "/children", token)).json()) as {
        children: { pool: string }[];
      };
      return [pools.map(({ pool }) => pool), [...new Set(children.map(({ pool }) => pool))]];
    };
    expect(await seen(CALLER.token)).toEqual([["pipeline"], ["pipeline"]]);
    expect(await seen(STRANGER.token)).toEqual([["gpu"], ["gpu"]]);
    expect(await seen(ADMIN.token)).toEqual([
      ["gpu", "pipeline"],
      ["pipeline", "gpu"],
    ]);
    await ok(ADMIN.token, "GET", "/openapi.json");
    await ok(WATCHER.token, "GET", "/docs");
  });

  // Editors rename a new file over the old one; a mounted secret changes its links.
  test("is read again when it changes; a broken file leaves the tokens as they are", async () => {
    const path = await folder();
    const [real, file] = [join(path, "tokens.1"), join(path, "tokens")];
    await writeFile(real, LINES);
    await symlink("tokens.1", file);
    const { lines, log } = openLog();
    const member = await startOne({ tokenFile: file, log });
    const logged = (pattern: RegExp) =>
      until(`the log to match ${pattern}`, () => lines.some((line) => pattern.test(line)));
    const status = async (token: string) => (await ask(member, "GET", "/pools", token)).status;
    const second = newToken("second", ["observe"], ["*"]);
    expect(await status(second.token)).toBe(401);

    // A new link, to a new file, replaces the old link.
    await writeFile(join(path, "tokens.2"), `${second.line}\n`);
    await symlink("tokens.2", join(path, "next"));
    await rename(join(path, "next"), file);
    await logged(/^info token file \S+: 1 tokens$/);
    expect(await status(second.token)).toBe(200);
    expect(await status(CALLER.token)).toBe(401);

    await writeFile(join(path, "tokens.2"), `${second.line}\nbroken\n`);
    await logged(/^error token file \S+: line 2: expected sha256: .* the tokens before stay$/);
    expect(await status(second.token)).toBe(200);

    await rm(file);
    await logged(/^error token file \S+: ENOENT.* the tokens before stay$/);
    expect(await status(second.token)).toBe(200);

    await writeFile(join(path, "next"), LINES);
    await rename(join(path, "next"), file);
    await logged(/^info token file \S+: 4 tokens$/);
    expect(await status(second.token)).toBe(401);
    expect(await status(CALLER.token)).toBe(200);
  });

  test("fails the start if it is missing or makes no sense", async () => {
    const options = { pools: { pipeline: 1 }, port: 0, sandbox: "off" } as const;
    await expect(
      startMember({ ...options, tokenFile: join(await folder(), "none") }),
    ).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("ENOENT"),
    });
    await expect(
      startMember({ ...options, tokenFile: await tokenFile("# nobody\n\nx y\n") }),
    ).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/line 3: expected sha256:/),
    });
  });
});

describe("two members that share their tokens", () => {
  test("pass the caller's token on to each other", async () => {
    const file = await tokenFile();
    const [gate, far] = (await startMembers(
      { pools: { gate: 1 }, tokenFile: file },
      { pools: { pipeline: 2, gpu: 2 }, tokenFile: file },
    )) as [RunningMember, RunningMember];
    const headers = { authorization: `Bearer ${CALLER.token}` };
    const events = await callEvents(
      gate.url,
      "/pools/pipeline/call",
      { command: ["sh", "-c", "echo $POOL_MEMBER"] },
      headers,
    );
    lastOf(events, "result");
    expect(textOf(events)).toBe("m2\n");

    const [ours, theirs] = [await place(far, "pipeline", CALLER), await place(far, "gpu")];
    expect((await ask(gate, "GET", `/children/${ours.id}`, CALLER.token)).status).toBe(200);
    const listed = async (path: string, token: string) =>
      (await ask(gate, "GET", path, token)).json();
    expect(await listed("/pools/pipeline", WATCHER.token)).toMatchObject({
      members: [{ member: "m2", load: { max: 2 } }],
    });
    expect(await listed("/pools/pipeline/children", CALLER.token)).toMatchObject({
      children: [{}, { id: ours.id }],
      unreachable: [],
    });
    // The gateway does not know the owner of another member's child, so that member refuses.
    for (const [method, rest] of [
      ["GET", ""],
      ["DELETE", ""],
      ["GET", "/events"],
      ["GET", "/files/a"],
    ] as const)
      expect([
        method,
        rest,
        await codeOf(await ask(gate, method, `/children/${theirs.id}${rest}`, CALLER.token)),
      ]).toEqual([method, rest, "child_not_found"]);
    expect(await codeOf(await ask(gate, "DELETE", `/children/${ours.id}`, WATCHER.token))).toBe(
      "forbidden",
    );
    expect((await ask(gate, "DELETE", `/children/${ours.id}`, CALLER.token)).status).toBe(202);
    const stopped = await eventsOf(
      await ask(gate, "GET", `/children/${ours.id}/events`, CALLER.token),
    );
    expect(lastOf(stopped, "failed").problem.code).toBe("cancelled");
  });

  test("accept the token of the SDK and of the command line", async () => {
    const [member] = (await startMembers({ tokenFile: await tokenFile() })) as [RunningMember];
    const pools = new DistributedPool({ url: member.url, token: CALLER.token });
    onTestFinished(() => pools.close());
    expect(await pools.call("pipeline", (a: number, b: number) => a + b, 1211, 1)).toBe(1212);
    const unknown = new DistributedPool({ url: member.url });
    onTestFinished(() => unknown.close());
    await expect(unknown.pools()).rejects.toMatchObject({ code: "unauthorized" });
    expect(() => new DistributedPool({ url: member.url, token: "two words" })).toThrow(
      /expected a token of printable characters/,
    );

    const dpool = (args: readonly string[], env = {}) =>
      run(process.execPath, [CLI, ...args, "--url", member.url], {
        env: { ...cleanEnvironment(), ...env },
      });
    const command = ["call", "pipeline", "--spec", '{"command":["echo","hi"]}'];
    expect((await dpool(command, { DPOOL_TOKEN: CALLER.token })).stdout).toBe("hi\n");
    expect((await dpool([...command, "--token", CALLER.token])).stdout).toBe("hi\n");
    await expect(dpool(command)).rejects.toMatchObject({
      code: 125,
      stderr: expect.stringContaining("unauthorized"),
    });
    await expect(dpool(command, { DPOOL_TOKEN: WATCHER.token })).rejects.toMatchObject({
      code: 125,
      stderr: expect.stringContaining("forbidden"),
    });
  });
});

test("dpool token makes a line that a member accepts as its token file", async () => {
  const made = await run(
    process.execPath,
    [CLI, "token", "ci", "--scope", "call", "--in", "pipeline", "--in", "gpu"],
    { env: cleanEnvironment() },
  );
  expect(made.stdout).toMatch(/^ci sha256:[0-9a-f]{64} scopes=call pools=pipeline,gpu\n$/);
  expect(made.stderr).toMatch(/^dpool_[A-Za-z0-9_-]{43}\n$/);
  const member = await startOne({ tokenFile: await tokenFile(made.stdout) });
  expect((await ask(member, "GET", "/children", made.stderr.trim())).status).toBe(200);
  const refused = run(process.execPath, [CLI, "token", "ci", "--in", "no pool"], {
    env: cleanEnvironment(),
  });
  await expect(refused).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/expected/),
  });
});

test("beyond loopback a member listens only with tokens, JWTs or --insecure", async () => {
  const options = { pools: { pipeline: 1 }, host: "0.0.0.0", port: 0, advertise: "127.0.0.1:1" };
  await expect(startMember(options)).rejects.toMatchObject({
    code: "invalid_request",
    message: expect.stringMatching(/--token-file or --jwks-url.*--insecure/),
  });
});

const b64 = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** Makes a JWT; without a key it has no signature. */
function jwt(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  key?: KeyObject,
): string {
  const text = `${b64({ typ: "JWT", ...header })}.${b64(claims)}`;
  if (!key) return `${text}.`;
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

describe("JWTs", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publish = (key: KeyObject, kid: string) => ({ ...key.export({ format: "jwk" }), kid });
  const ISSUER = "https://id.example";
  const claims = (more: Record<string, unknown> = {}) => ({
    sub: "ann",
    iss: ISSUER,
    aud: ["pools", "mail"],
    exp: Math.floor(Date.now() / 1_000) + 600,
    scope: "openid call",
    pools: ["pipeline"],
    ...more,
  });

  /** Starts a server that publishes an issuer's keys. */
  async function issuer(keys: unknown[]) {
    const state = { keys, status: 200, asked: 0 };
    const server = createServer((_, response) => {
      state.asked += 1;
      response
        .writeHead(state.status, { "content-type": "application/json" })
        .end(JSON.stringify({ keys: state.keys }));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    return {
      state,
      jwks: {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
        issuer: ISSUER,
        audience: "pools",
      },
    };
  }

  test("are accepted beside tokens if every claim and the signature are right", async () => {
    const { state, jwks } = await issuer([publish(rsa.publicKey, "r"), publish(ec.publicKey, "e")]);
    const member = await startOne({
      pools: { pipeline: 2, gpu: 1 },
      jwks,
      tokenFile: await tokenFile(),
    });
    const status = async (token: string) =>
      (await ask(member, "GET", "/children?pool=pipeline", token)).status;
    const good = jwt({ alg: "ES256", kid: "e" }, claims(), ec.privateKey);
    expect(await status(good)).toBe(200);
    expect(await status(jwt({ alg: "RS256", kid: "r" }, claims(), rsa.privateKey))).toBe(200);
    expect(await status(CALLER.token)).toBe(200);
    expect(state.asked).toBe(1);
    lastOf(
      await callEvents(
        member.url,
        "/pools/pipeline/call",
        { command: ["true"] },
        { authorization: `Bearer ${good}` },
      ),
      "result",
    );
    const everywhere = jwt({ alg: "ES256", kid: "e" }, claims({ pools: "*" }), ec.privateKey);
    expect((await ask(member, "GET", "/children?pool=gpu", everywhere)).status).toBe(200);

    const refusal = async (token: string, path = "/children?pool=pipeline") =>
      await problemOf(await ask(member, "GET", path, token));
    expect(await refusal(good, "/children?pool=gpu")).toMatchObject({
      code: "forbidden",
      detail: expect.stringContaining("jwt:ann may not"),
    });
    for (const more of [
      { scope: "openid" },
      { scope: undefined },
      { pools: undefined },
      { pools: ["gpu"] },
      { quotas: { maxSlots: 1 }, pools: [] },
    ])
      expect(
        await refusal(jwt({ alg: "ES256", kid: "e" }, claims(more), ec.privateKey)),
      ).toMatchObject({ code: "forbidden" });

    const symmetric = (secret: string) => {
      const text = `${b64({ typ: "JWT", alg: "HS256", kid: "r" })}.${b64(claims())}`;
      return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
    };
    const [head, , signature] = good.split(".") as [string, string, string];
    const bad: Record<string, [token: string, detail: RegExp]> = {
      "with a quota that is no number": [
        jwt({ alg: "ES256", kid: "e" }, claims({ quotas: { maxSlots: "1" } }), ec.privateKey),
        /expected the token's quotas to be whole numbers by maxChildren, maxSlots/,
      ],
      expired: [jwt({ alg: "ES256", kid: "e" }, claims({ exp: 1 }), ec.privateKey), /has expired/],
      "without exp": [
        jwt({ alg: "ES256", kid: "e" }, claims({ exp: undefined }), ec.privateKey),
        /expected the token to have exp/,
      ],
      "without sub": [
        jwt({ alg: "ES256", kid: "e" }, claims({ sub: undefined }), ec.privateKey),
        /expected the token to have sub/,
      ],
      "not yet valid": [
        jwt({ alg: "ES256", kid: "e" }, claims({ nbf: claims().exp }), ec.privateKey),
        /not valid yet/,
      ],
      "of another issuer": [
        jwt({ alg: "ES256", kid: "e" }, claims({ iss: "https://evil.example" }), ec.privateKey),
        /another issuer/,
      ],
      "for another audience": [
        jwt({ alg: "ES256", kid: "e" }, claims({ aud: "mail" }), ec.privateKey),
        /another audience/,
      ],
      "for no audience": [
        jwt({ alg: "ES256", kid: "e" }, claims({ aud: undefined }), ec.privateKey),
        /no audience/,
      ],
      "signed by somebody else": [
        jwt({ alg: "ES256", kid: "e" }, claims(), other.privateKey),
        /not valid/,
      ],
      "with other claims": [`${head}.${b64(claims({ sub: "eve" }))}.${signature}`, /not valid/],
      "with no signature": [jwt({ alg: "none", kid: "e" }, claims()), /not valid/],
      "with None for an algorithm": [jwt({ alg: "None", kid: "e" }, claims()), /not valid/],
      "signed with the public key as a secret": [
        symmetric(rsa.publicKey.export({ type: "spki", format: "pem" }) as string),
        /not valid/,
      ],
      "of the key of another algorithm": [
        jwt({ alg: "RS256", kid: "e" }, claims(), rsa.privateKey),
        /not valid/,
      ],
      "of an unknown key": [
        jwt({ alg: "ES256", kid: "new" }, claims(), ec.privateKey),
        /not valid/,
      ],
      "of no key": [jwt({ alg: "ES256" }, claims(), ec.privateKey), /names its key/],
      "that is none": ["a.b.c", /names its key/],
    };
    for (const [what, [token, detail]] of Object.entries(bad)) {
      const given = await refusal(token);
      expect([what, given.code]).toEqual([what, "unauthorized"]);
      expect(given.detail, what).toMatch(detail);
    }
    // The unknown key led to no second fetch: the cool-down of the first one was not over.
    expect(state.asked).toBe(1);
  });

  test("are refused while the issuer's keys cannot be fetched", async () => {
    const { state, jwks } = await issuer([publish(ec.publicKey, "e")]);
    state.status = 500;
    const { lines, log } = openLog();
    const member = await startOne({ jwks, log });
    const { code, detail } = await problemOf(
      await ask(member, "GET", "/pools", jwt({ alg: "ES256", kid: "e" }, claims(), ec.privateKey)),
    );
    expect([code, detail]).toEqual([
      "unauthorized",
      expect.stringContaining("cannot be checked now"),
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/^error JWKS http:\S+: HTTP 500$/));
  });

  test("need a key set at an https URL, or http on loopback", async () => {
    for (const url of ["http://id.example/jwks", "ftp://127.0.0.1/", "jwks"])
      await expect(
        startOne({ jwks: { url, issuer: ISSUER, audience: "pools" } }),
      ).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining("https"),
      });
  });
});
