/** Members that serve https, call each other over it, and may require a client certificate. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool, type DistributedPoolOptions } from "../../sdk/typescript/node.ts";
import { newToken } from "../../server/access/tokens.ts";
import { type RunningMember, startMember } from "../../server/main.ts";
import { startMembers, startOne, until, within } from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";
import { cleanEnvironment } from "../helpers/processes.ts";

const run = promisify(execFile);
const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

describe.skipIf(!hasOpenssl)(
  `https${hasOpenssl ? "" : " (skipped: openssl is not installed)"}`,
  () => {
    let pki: Pki;
    const at = (name: string) => pki.at(name);
    const pem = (name: string) => pki.pem(name);

    beforeAll(() => {
      pki = new Pki();
      for (const name of ["ours", "theirs"]) pki.authority(name);
      pki.certificate("member", "ours");
      pki.certificate("client", "ours");
      pki.certificate("stranger", "theirs");
    });
    afterAll(() => pki.remove());

    const files = () => ({
      certFile: at("member.pem"),
      keyFile: at("member.key"),
      caFile: at("ours.pem"),
    });

    function poolsOf(options: DistributedPoolOptions): DistributedPool {
      const pools = new DistributedPool(options);
      onTestFinished(() => pools.close());
      return pools;
    }

    async function handshake(
      member: RunningMember,
      options: ConnectionOptions = {},
    ): Promise<TLSSocket> {
      const socket = connect({
        port: Number(new URL(member.url).port),
        host: "127.0.0.1",
        ca: pem("ours.pem"),
        ...options,
      });
      onTestFinished(() => void socket.destroy());
      await within("the handshake", once(socket, "secureConnect"));
      return socket;
    }

    test("a member whose certificate lacks its name warns at the start", async () => {
      const lines: string[] = [];
      const log = (level: string, message: string) => void lines.push(`${level} ${message}`);
      await startMembers({ tls: files(), log }, { name: "m9", tls: files(), log });
      const warnings = lines.filter((line) => line.includes("certificate"));
      expect(warnings).toEqual([
        expect.stringMatching(
          /^warn the certificate .*member\.pem is not for m9\.distributed-pool/,
        ),
      ]);
    });

    test("members, the SDK and the command line call members, with tokens", async () => {
      const { token, line } = newToken("ann", ["call", "observe"], ["*"]);
      writeFileSync(at("tokens"), `${line}\n`, { mode: 0o600 });
      const [gate, far] = (await startMembers(
        { pools: { gate: 1 }, tls: files(), tokenFile: at("tokens") },
        { tls: files(), tokenFile: at("tokens") },
      )) as [RunningMember, RunningMember];
      expect(gate.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
      const pools = poolsOf({ url: gate.url, token, ca: pem("ours.pem") });
      expect(await pools.call("pipeline", (_: number, { member }) => member, 1)).toBe("m2");
      const child = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
      expect(await child.info()).toMatchObject({ url: `${far.url}/children/${child.id}` });
      await child.stop();

      const dpool = (args: readonly string[], env = {}) =>
        run(process.execPath, [CLI, ...args, "--url", gate.url], {
          env: { ...cleanEnvironment(), DPOOL_TOKEN: token, ...env },
        });
      expect(
        (
          await dpool([
            "call",
            "pipeline",
            "--ca",
            at("ours.pem"),
            "--spec",
            '{"command":["echo","hi"]}',
          ])
        ).stdout,
      ).toBe("hi\n");
      expect((await dpool(["members"], { DPOOL_CA: at("ours.pem") })).stdout).toContain(far.url);
      // A member sends nothing to a server that it does not trust.
      await expect(dpool(["members"])).rejects.toMatchObject({
        code: 125,
        stderr: expect.stringMatching(/no_members_available: cannot reach a member/),
      });
      await expect(dpool(["members", "--ca", at("none.pem")])).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/--ca: ENOENT/),
      });
      await expect(
        poolsOf({ url: gate.url, token, ca: pem("theirs.pem") }).call("pipeline", {
          command: ["true"],
        }),
      ).rejects.toMatchObject({
        code: "no_members_available",
      });
    });

    test("a required client certificate must be of the right authority", async () => {
      const tls = { ...files(), clientCaFile: at("ours.pem") };
      const [gate] = (await startMembers({ pools: { gate: 1 }, tls }, { tls })) as [RunningMember];
      const known = poolsOf({
        url: gate.url,
        ca: pem("ours.pem"),
        cert: pem("client.pem"),
        key: Buffer.from(pem("client.key")),
      });
      expect(await known.call("pipeline", (_: number, { member }) => member, 1)).toBe("m2");
      const { stdout } = await run(
        process.execPath,
        [
          CLI,
          "members",
          "pipeline",
          "--url",
          gate.url,
          "--ca",
          at("ours.pem"),
          "--cert",
          at("client.pem"),
          "--key",
          at("client.key"),
        ],
        { env: cleanEnvironment() },
      );
      expect(stdout).toContain("m2");
      for (const identity of [{}, { cert: pem("stranger.pem"), key: pem("stranger.key") }]) {
        const pools = poolsOf({ url: gate.url, ca: pem("ours.pem"), ...identity });
        await expect(pools.pools()).rejects.toMatchObject({
          code: expect.stringMatching(/^(no_members_available|member_lost)$/),
        });
      }
    });

    test("TLS 1.1 and plain HTTP are refused", async () => {
      const member = await startOne({ tls: files() });
      expect((await handshake(member)).getProtocol()).toBe("TLSv1.3");
      expect((await handshake(member, { maxVersion: "TLSv1.2" })).getProtocol()).toBe("TLSv1.2");
      await expect(
        handshake(member, {
          minVersion: "TLSv1",
          maxVersion: "TLSv1.1",
          ciphers: "DEFAULT@SECLEVEL=0",
        }),
      ).rejects.toThrow();
      const plain = connectPlain(Number(new URL(member.url).port), "127.0.0.1").on(
        "error",
        () => {},
      );
      plain.write("GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
      let text = "";
      plain.on("data", (bytes) => {
        text += bytes;
      });
      await within("the other side to close", once(plain, "close"));
      expect(text).not.toContain("HTTP/1.1 200");
    });

    test("a renewed certificate is used at once, one that does not fit its key never", async () => {
      pki.certificate("renewed", "ours");
      const [certFile, keyFile] = [at("current.pem"), at("current.key")];
      writeFileSync(certFile, pem("member.pem"));
      writeFileSync(keyFile, pem("member.key"));
      const lines: string[] = [];
      const member = await startOne({
        tls: { certFile, keyFile, caFile: at("ours.pem") },
        log: (level, message) => void lines.push(`${level} ${message}`),
      });
      const shown = async () => (await handshake(member)).getPeerCertificate().subject.CN;
      expect(await shown()).toBe("member");
      writeFileSync(certFile, pem("renewed.pem"));
      await until("the log to tell of it", () =>
        lines.some((line) => /^error certificates: .*; those before stay$/.test(line)),
      );
      expect(await shown()).toBe("member");
      writeFileSync(keyFile, pem("renewed.key"));
      await until("the new certificate", async () => (await shown()) === "renewed");
      // The member also shows the new certificate as a client.
      expect(
        await poolsOf({ url: member.url, ca: pem("ours.pem") }).call(
          "pipeline",
          () => "still here",
        ),
      ).toBe("still here");
    });

    test("a member does not start with files that are no certificate", async () => {
      const options = { pools: { pipeline: 1 }, port: 0, sandbox: "off" } as const;
      const refused = (tls: Record<string, string>) =>
        expect(startMember({ ...options, tls })).rejects;
      await refused({ certFile: at("member.pem") }).toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining("expected a certificate and its key"),
      });
      await refused({ ...files(), keyFile: at("client.key") }).toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining("certificates"),
      });
      await refused({ ...files(), certFile: at("none.pem") }).toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining("ENOENT"),
      });
      expect(
        () => new DistributedPool({ url: "https://127.0.0.1:1", cert: pem("client.pem") }),
      ).toThrow(/expected cert and key together/);
      expect(
        () =>
          new DistributedPool({
            url: "https://127.0.0.1:1",
            cert: pem("client.pem"),
            key: "no key",
          }),
      ).toThrow(/expected ca, cert and key as PEM/);
    });
  },
);
