/** HTTP/2 of members that serve https: everything that HTTP/1.1 does, and its own ways to be rude. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Session, constants, type SecureClientSessionOptions } from "node:http2";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Problem } from "../../openapi/errors.ts";
import type { ChildInfo, Count } from "../../openapi/schemas.ts";
import type { RunningMember } from "../../server/main.ts";
import { ask, bytesOf, connectTo, eventsIn, headOf, type open } from "../helpers/http2.ts";
import { collect, heldBytes, lastOf, type Options, startMembers, textOf, until, within } from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;

describe.skipIf(!hasOpenssl)(`HTTP/2${hasOpenssl ? "" : " (skipped: openssl is not installed)"}`, () => {
  let pki: Pki;
  beforeAll(() => {
    pki = new Pki();
    pki.authority("ours");
    pki.certificate("member", "ours");
    pki.certificate("client", "ours");
  });
  afterAll(() => pki.remove());

  const tls = () => ({ certFile: pki.at("member.pem"), keyFile: pki.at("member.key"), caFile: pki.at("ours.pem") });
  const trusting = (more: SecureClientSessionOptions = {}) => ({ ca: pki.pem("ours.pem"), ...more });

  async function start(...options: Options[]): Promise<RunningMember[]> {
    return startMembers(...options.map((given) => ({ tls: tls(), ...given })));
  }

  async function startWith(options: Options = {}, client: SecureClientSessionOptions = {}): Promise<{ member: RunningMember; session: ClientHttp2Session }> {
    const [member] = (await start(options)) as [RunningMember];
    return { member, session: await connectTo(member.url, trusting(client)) };
  }

  const json = async <T>(...given: Parameters<typeof open>) => JSON.parse((await ask(...given)).text) as T;
  const activeOn = async (session: ClientHttp2Session) => (await json<Count>(session, "/children/count")).pools.pipeline?.active;
  const idleOn = (session: ClientHttp2Session) => until("no slot to be held", async () => (await activeOn(session)) === 0);

  test("is spoken with those who ask for it; all others go on with HTTP/1.1 on the same port", async () => {
    const { member, session } = await startWith();
    expect(session.alpnProtocol).toBe("h2");
    expect(await json(session, "/livez")).toMatchObject({ status: "ok", member: "m1" });
    const curl = async (...args: string[]) =>
      (await run("curl", ["-s", "--cacert", pki.at("ours.pem"), "-w", "%{http_version}", "-o", "/dev/null", ...args, `${member.url}/livez`])).stdout;
    expect([await curl("--http2"), await curl("--http1.1"), await curl("--no-alpn")]).toEqual(["2", "1.1", "1.1"]);
  });
});
