/** The setting of the cases: a real Consul, two real members, and certificates. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConsulAgent, consulMissing, startConsul } from "../../../helpers/consul.ts";
import { hasOpenssl, Pki } from "../../../helpers/pki.ts";
import { type MemberProcess, startServe } from "../../../helpers/processes.ts";

/** Each driver has a pool of one slot of its own, because drivers run side by side. */
const SINGLES = 16;

/** A process that is kept for further calls takes a fortieth of the processor time of a new one. */
const PIPELINE = { maxChildren: 16, reuse: true };

export interface Setting {
  readonly consul: ConsulAgent;
  readonly members: readonly MemberProcess[];
  /** The path of an authority's certificate, and the certificate of a fake member by it. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined;
  /** The name of a pool with one slot, for the driver of this number. */
  single(driver: number): string;
  stop(): Promise<void>;
}

/** The strongest sandbox of this machine. A member without one runs children all the same. */
function sandbox(): string {
  const works = spawnSync("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"]).status === 0;
  return works ? "no-cgroup" : "off";
}

/** @throws where Consul is missing. */
export async function startSetting(): Promise<Setting> {
  if (consulMissing !== undefined) throw new Error(consulMissing);
  const consul = await startConsul();
  const members: MemberProcess[] = [];
  const pki = hasOpenssl ? new Pki() : undefined;
  const folder = mkdtempSync(join(tmpdir(), "distributed-pool-conformance-"));
  const stop = async () => {
    await Promise.all(members.map((member) => member.end()));
    await consul.stop();
    pki?.remove();
    rmSync(folder, { recursive: true });
  };
  const single = (driver: number) => `single${driver % SINGLES}`;
  try {
    const start = (member: string, pools: object) => {
      const file = join(folder, `${member}.yaml`);
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ pools: { pipeline: PIPELINE, ...pools } }));
      const args = ["--config", file, "--sandbox", sandbox(), "--drain-ms", "0"];
      return startServe({ member, pool: null, consul: consul.httpAddress, args });
    };
    const numbers = Array.from({ length: SINGLES }, (_, index) => index);
    const singles = Object.fromEntries(numbers.map((each) => [single(each), 1]));
    const started = await Promise.allSettled([start("m1", singles), start("m2", {})]);
    for (const each of started) if (each.status === "fulfilled") members.push(each.value);
    for (const each of started) if (each.status === "rejected") throw each.reason;
    pki?.authority("ours");
    pki?.certificate("member", "ours");
  } catch (error) {
    await stop();
    throw error;
  }
  const tls = pki && {
    ca: pki.at("ours.pem"),
    cert: pki.pem("member.pem"),
    key: pki.pem("member.key"),
  };
  return { consul, members, tls, single, stop };
}

/** A fake member that Consul lists in a pool. */
export interface Listed {
  readonly name: string;
  readonly url: string;
  readonly pool: string;
}

/** Lists a fake member in Consul, as real ones list themselves. */
export async function list({ consul }: Setting, { name, url, pool }: Listed): Promise<void> {
  const { port, protocol } = new URL(url);
  await consul.ask("/v1/agent/service/register", "PUT", {
    ID: `distributed-pool-${name}`,
    Name: "distributed-pool",
    Tags: [pool],
    Address: "127.0.0.1",
    Port: Number(port),
    Meta: {
      member: name,
      version: "0.2.0",
      sandbox: "none",
      scheme: protocol.slice(0, -1),
      boot: "0123456789abcdef",
      [`maxChildren-${pool}`]: "5",
    },
  });
}

/** Takes a fake member out of Consul. */
export async function unlist({ consul }: Setting, name: string): Promise<void> {
  await consul.ask(`/v1/agent/service/deregister/distributed-pool-${name}`, "PUT");
}
