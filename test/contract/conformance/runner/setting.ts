/** The setting of the cases: a real Consul, two real members, and certificates. */
import { spawnSync } from "node:child_process";
import { type ConsulAgent, consulMissing, startConsul } from "../../../helpers/consul.ts";
import { hasOpenssl, Pki } from "../../../helpers/pki.ts";
import { type MemberProcess, startServe } from "../../../helpers/processes.ts";

/** Each driver has a pool of one slot of its own, because drivers run side by side. */
const SINGLES = 16;

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
  const stop = async () => {
    await Promise.all(members.map((member) => member.end()));
    await consul.stop();
    pki?.remove();
  };
  const single = (driver: number) => `single${driver % SINGLES}`;
  try {
    const args = ["--sandbox", sandbox(), "--drain-ms", "0"];
    const singles = Array.from({ length: SINGLES }, (_, index) => ["--pool", `${single(index)}=1`]);
    const start = (member: string, more: readonly string[]) =>
      startServe({
        member,
        pool: "pipeline=16",
        consul: consul.httpAddress,
        args: [...args, ...more],
      });
    const started = await Promise.allSettled([start("m1", singles.flat()), start("m2", [])]);
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
    Tags: [pool, "traefik.enable=false"],
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
