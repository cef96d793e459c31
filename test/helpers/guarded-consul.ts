/** A real Consul agent with ACLs that deny by default. */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { type RunningMember, startMember } from "../../server/main.ts";
import { type ConsulAgent, consulBinary, startConsul } from "./consul.ts";
import { until } from "./member.ts";
import { SANDBOX_OPTION } from "./sandbox.ts";

/** An agent with ACLs, and its tokens. */
export class GuardedConsul {
  readonly #management = randomUUID();
  readonly #tokens = new Map<string, string>();
  agent!: ConsulAgent;

  /** @param more further configuration in HCL. */
  async start(more = ""): Promise<void> {
    // Newer agents call the token of the management `initial_management`, and take this name too.
    const config = `acl {
      enabled = true
      default_policy = "deny"
      tokens { master = "${this.#management}" }
    }
    ${more}`;
    this.agent = await startConsul({ config, token: this.#management });
    await until("the ACLs to be ready", () =>
      this.agent.ask("/v1/acl/tokens").then(
        () => true,
        () => false,
      ),
    );
  }

  /** The `consul` command, with the rights of the management. */
  consul(...args: string[]): string {
    const env = { CONSUL_HTTP_ADDR: this.agent.httpAddress, CONSUL_HTTP_TOKEN: this.#management };
    return execFileSync(consulBinary(), args, { env, encoding: "utf8" });
  }

  /** Makes a token whose policy has these rules, and its name the test's. */
  token(name: string, rules: string): string {
    this.consul("acl", "policy", "create", "-name", name, "-rules", rules);
    const made = this.consul("acl", "token", "create", "-policy-name", name);
    const accessor = /AccessorID:\s+(\S+)/.exec(made)?.[1] ?? "";
    const secret = /SecretID:\s+(\S+)/.exec(made)?.[1] ?? "";
    this.#tokens.set(secret, accessor);
    return secret;
  }

  setRules(name: string, rules: string): void {
    this.consul("acl", "policy", "update", "-name", name, "-rules", rules, "-no-merge");
  }

  delete(secret: string): void {
    this.consul("acl", "token", "delete", "-id", this.#tokens.get(secret) ?? "");
  }

  /** Has Consul answer the watches of the service: it does not when only rights change. */
  async wake(): Promise<void> {
    const Check = { TTL: "1m" };
    const other = { ID: `other-${randomUUID()}`, Name: "distributed-pool", Check };
    await this.agent.ask("/v1/agent/service/register", "PUT", other);
    await this.agent.ask(`/v1/agent/service/deregister/${other.ID}`, "PUT");
  }

  pools(token?: string): DistributedPool {
    const pools = new DistributedPool({ consul: { address: this.agent.httpAddress, token } });
    onTestFinished(() => pools.close());
    return pools;
  }

  /** Starts a member, which may not be able to join. */
  async member(name: string, token: string | undefined, pool = "pipeline") {
    const lines: string[] = [];
    const member = await startMember({
      name,
      pools: { [pool]: 1 },
      port: 0,
      sandbox: SANDBOX_OPTION,
      drainMs: 0,
      consul: { address: this.agent.httpAddress, token },
      log: (level, message) => void lines.push(`${level} ${message}`),
    });
    return { member, lines };
  }
}

/** A heartbeat of 5 seconds, and the time for its requests. */
const HEARTBEAT_MS = 15_000;

/** What `/readyz` says. */
export const readyOf = async ({ url }: RunningMember) => {
  const answer = await fetch(`${url}/readyz`);
  const { detail = "" } = (await answer.json()) as { detail?: string };
  return { status: answer.status, detail };
};

/** Waits for what `/readyz` says. */
export async function readyIs(member: RunningMember, status: number, ...parts: string[]) {
  let seen = {};
  const matches = async () => {
    const ready = await readyOf(member);
    seen = ready;
    return ready.status === status && parts.every((part) => ready.detail.includes(part));
  };
  await until(`/readyz: ${status} ${parts.join(", ")}`, matches, HEARTBEAT_MS).catch((error) => {
    throw new Error(`${error.message}; last seen: ${JSON.stringify(seen)}`);
  });
}
