/** Floods of connections without a token: callers with a token do not notice them. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { within } from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { onPath } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const PRLIMIT = "prlimit";
const missing = !existsSync(CLI)
  ? "dist/ has not been built"
  : !(hasOpenssl && onPath(PRLIMIT))
    ? "openssl or prlimit is missing"
    : undefined;

const TOKEN = "a-token-of-forty-characters-for-this-test";
/** Open files that the member may have. */
const DESCRIPTORS = 1_100;
/** Connections for which these descriptors are too few, and that a default member bounds. */
const MANY = 1_300;
/** Most floods have twice as many connections as the member has places: that takes less time. */
const PLACES = 300;
const ROUNDS = 5;
/** Connections that come during a call. The caller shares this process with the flood. */
const MORE = 60;
const LIMIT_MS = 90_000;

let pki: Pki;

interface MemberUnderFlood {
  readonly url: URL;
  readonly pid: number;
  /** Its log so far. */
  readonly log: string;
}

/** A member in a process of its own, with few descriptors. */
async function startFlooded(args: readonly string[] = []): Promise<MemberUnderFlood> {
  const child = spawn(
    PRLIMIT,
    [
      `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`,
      ...[process.execPath, CLI, "dev", "--members", "1", "--port", "0", "--drain-ms", "0"],
      ...["--sandbox", SANDBOX_OPTION, "--token-file", pki.at("tokens"), ...args],
    ],
    { env: cleanEnvironment(), stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const exited = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await within("the member's end", exited);
  });
  const ready = async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /^ready (\S+)/.exec(line)?.[1];
      if (url) return new URL(url);
    }
    throw new Error(`the member ended before it was ready:\n${log}`);
  };
  const url = await within("the member to be ready", ready(), 30_000);
  return {
    url,
    pid: child.pid as number,
    get log() {
      return log;
    },
  };
}

const tls = () => ["--tls-cert", pki.at("member.pem"), "--tls-key", pki.at("member.key")];

/** Opens one hostile connection. `up` is called when it has done its part. */
type Attack = (url: URL, localAddress: string, up: () => void) => Socket;

const open = ({ hostname, port }: URL, localAddress: string) =>
  connect({ host: hostname, port: Number(port), localAddress });

const ATTACKS: Readonly<Record<string, { readonly secure?: true; readonly attack: Attack }>> = {
  "asks /livez once and stays": {
    attack: (url, address, up) => {
      const socket = open(url, address).once("data", up);
      socket.write("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
      return socket;
    },
  },
  "never ends its head": {
    attack: (url, address, up) => {
      const socket = open(url, address).once("connect", up);
      socket.write("GET /livez HTTP/1.1\r\nhost: x\r\nx-more: ");
      return socket;
    },
  },
  "begins no handshake": {
    secure: true,
    attack: (url, address, up) => open(url, address).once("connect", up),
  },
  "keeps an HTTP/2 session without a request": {
    secure: true,
    attack: (url, localAddress, up) => {
      const { hostname: host, port } = url;
      const to = { host, port: Number(port), localAddress, ca: pki.pem("ca.pem") };
      const socket = connectTls({ ...to, ALPNProtocols: ["h2"] });
      const session = connectHttp2(url, { createConnection: () => socket });
      session.on("error", () => {}).once("connect", up);
      return socket;
    },
  },
};

/** Opens the connection of this number. */
type OneOf = (index: number, up: () => void) => Socket;

/** Keeps as many hostile connections as the member lets it. */
class Flood {
  readonly #open = new Set<Socket>();
  readonly #size: number;
  readonly #one: OneOf;

  constructor(size: number, one: OneOf) {
    this.#size = size;
    this.#one = one;
    onTestFinished(() => this.end());
  }

  /** Opens so many of those that are missing. Resolves when each is up, or was closed. */
  async fill(most = this.#size): Promise<void> {
    const opened: Promise<void>[] = [];
    const from = this.#open.size;
    for (let index = from; index < Math.min(this.#size, from + most); index++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const socket = this.#one(index, resolve);
      this.#open.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => {
        this.#open.delete(socket);
        resolve();
      });
      opened.push(promise);
    }
    await within("the flood", Promise.all(opened), 30_000);
  }

  end(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

/** A request on a connection of its own, with the token. */
async function askAnew(url: URL): Promise<number | undefined> {
  const asked = get(new URL("/children/count", url), {
    agent: false,
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const [answer] = await within("the answer on a new connection", once(asked, "response"));
  answer.resume();
  return answer.statusCode;
}

describe.skipIf(missing)(`a flood of connections${missing ? ` (skipped: ${missing})` : ""}`, () => {
  beforeAll(() => {
    pki = new Pki();
    pki.authority("ca");
    pki.certificate("member", "ca");
    const hash = createHash("sha256").update(TOKEN).digest("hex");
    writeFileSync(pki.at("tokens"), `caller sha256:${hash} pools=* scopes=admin\n`);
  });
  afterAll(() => pki.remove());

  const CASES = [
    ["asks /livez once and stays", "one address", MANY],
    ...Object.keys(ATTACKS).flatMap((how) =>
      ["one address", "many addresses"].map((from) => [how, from, 2 * PLACES] as const),
    ),
  ] as const;

  test.each(CASES)(
    "that %s, from %s, %i times, costs no call",
    {
      timeout: LIMIT_MS,
    },
    async (how, from, size) => {
      const { secure, attack } = ATTACKS[how] as (typeof ATTACKS)[string];
      const places = size === MANY ? [] : ["--max-connections", String(PLACES)];
      const member = await startFlooded([...places, ...(secure ? tls() : [])]);
      const pools = new DistributedPool({
        url: member.url.href,
        token: TOKEN,
        ...(secure ? { ca: pki.pem("ca.pem") } : {}),
      });
      onTestFinished(() => pools.close());
      const flood = new Flood(size, (index, up) =>
        attack(
          member.url,
          from === "one address" ? "127.0.0.1" : `127.0.1.${1 + (index % 200)}`,
          up,
        ),
      );
      const call = async () => {
        const { exitCode } = await pools.run("pipeline", { command: ["true"] });
        expect(exitCode).toBe(0);
      };
      await flood.fill();
      for (let round = 0; round < ROUNDS; round++) {
        await within("calls in the flood", Promise.all([flood.fill(MORE), call(), call()]), 30_000);
        if (!secure) expect(await askAnew(member.url)).toBe(200);
      }
      expect(member.log).toMatch(/all \d+ connections are taken/);
    },
  );

  test("that takes every descriptor ends nothing", { timeout: LIMIT_MS }, async () => {
    const member = await startFlooded(["--max-connections", "5000"]);
    expect(member.log).toMatch(
      /7 children, waiting processes included, and 5000 connections need \d+ open/,
    );
    const { attack } = ATTACKS["asks /livez once and stays"] as (typeof ATTACKS)[string];
    const flood = new Flood(MANY, (_, up) => attack(member.url, "127.0.0.1", up));
    await flood.fill();
    await flood.fill();
    flood.end();
    const pools = new DistributedPool({ url: member.url.href, token: TOKEN });
    onTestFinished(() => pools.close());
    expect((await pools.run("pipeline", { command: ["true"] }, { retries: 5 })).exitCode).toBe(0);
  });

  test("is what a member refuses to start for, where its descriptors are too few", async () => {
    await expect(startFlooded(["--pool", "pipeline=500"])).rejects.toThrow(
      /502 children, waiting processes included, and 16 connections need 4112 open files/,
    );
  });
});
