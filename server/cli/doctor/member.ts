/** The checks of a member or a pool by its URL. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { Health, Pool, PoolList } from "../../../openapi/types.gen.ts";
import { clientFor, gatewayAt } from "../../../sdk/typescript/connection.ts";
import { type Client, jsonOf } from "../../../sdk/typescript/http/client.ts";
import { NodeTransport } from "../../../sdk/typescript/node/transport.ts";
import { DEFAULT_PORT } from "../../member/options/constants.ts";
import { certificatesOf, urlOf } from "../commands/connect.ts";
import type { Parsed } from "../parse.ts";
import { blamingUsage } from "../usage-error.ts";
import { clockFinding, offsetOf } from "./clock.ts";
import { type Check, type Finding, failed, ok, skipped, warning } from "./finding.ts";
import { POOL_CHECKS, poolFindings } from "./pool.ts";

/** 30 seconds: a gateway waits for members that do not answer. */
const TIMEOUT_MS = 30_000;

/** @throws {UsageError} for a URL, a token or certificates that make no sense. */
export async function memberChecks(line: Parsed): Promise<readonly Check[]> {
  const url = urlOf(line.values) ?? `http://127.0.0.1:${DEFAULT_PORT}`;
  const client = await blamingUsage(() => {
    const made = clientFor(new NodeTransport(certificatesOf(line.values)), line.values);
    gatewayAt(url, made, line.values);
    return made;
  });
  const origin = new URL(url).origin;
  const run = () => findings(origin, client, line.positionals[0]).finally(() => client.close());
  return [{ name: "reachable", timeoutMs: TIMEOUT_MS, run }];
}

async function findings(url: string, client: Client, pool: string | undefined): Promise<Finding[]> {
  let health: Health;
  try {
    health = await client.json<Health>(`${url}/livez`, { key: "member" });
  } catch (error) {
    const names = ["ready", "sandbox", "token", "pools", "clock"];
    return [unreachable(url, error), ...names.map((name) => skipped(name, "needs reachable"))];
  }
  const secure = url.startsWith("https:") ? "https" : "http";
  const [ready, pools, offset] = await Promise.all([
    readyFinding(url, client),
    poolsFindings(url, client, pool),
    offsetOf(client, { url: `${url}/livez`, of: health.member }).catch(() => undefined),
  ]);
  return [
    ok("reachable", `member ${health.member} answers over ${secure}`),
    ready,
    sandboxFinding(health),
    ...pools,
    clockFinding(offset ? [offset] : []),
  ];
}

function unreachable(url: string, error: unknown): Finding {
  const detail = messageOf(error);
  const cure = /certificate|self-signed|altname/i.test(detail)
    ? "name the authority of the member's certificate by --ca FILE, and ask for a name in it"
    : /ssl|tls|EPROTO|socket hang up|without an answer/i.test(detail)
      ? "ask with the member's own scheme, http or https, and with --cert and --key where it " +
        "wants a client certificate"
      : "start the member, open its port between the machines, or name another one by --url";
  return failed("reachable", detail.includes(url) ? detail : `${url}: ${detail}`, { cure });
}

async function readyFinding(url: string, client: Client): Promise<Finding> {
  const answer = await client.send(`${url}/readyz`);
  if (answer.status === 200) {
    answer.cancel();
    return ok("ready", "the member is in its pools and admits children");
  }
  const { detail = `HTTP ${answer.status}` } = await jsonOf<Health>(answer);
  return failed("ready", detail, {
    cure: "on the member's machine: dpool doctor, with the options of dpool serve",
  });
}

function sandboxFinding({ sandbox }: Health): Finding {
  if (sandbox === "full") return ok("sandbox", sandbox);
  return warning(
    "sandbox",
    sandbox === "none"
      ? "none: children are plain processes"
      : "no-cgroup: nothing limits the memory and cpu of a whole child",
    {
      cure: "on the member's machine: dpool doctor tells what is missing for the level full",
    },
  );
}

/** The pools that the token may see, or the one that is asked for. */
async function poolsFindings(url: string, client: Client, only?: string): Promise<Finding[]> {
  let names: readonly string[];
  try {
    const { pools } = await client.json<PoolList>(`${url}/pools`, { key: "pools" });
    names = pools.map(({ pool }) => pool);
  } catch (error) {
    return [tokenFault(error, client), skipped("pools", "needs token")];
  }
  const token = client.hasToken
    ? ok("token", "the member takes it")
    : skipped("token", "none is given, and none is asked for");
  if (only !== undefined && !names.includes(only))
    return [
      token,
      failed(
        "pools",
        `no member serves pool ${only}; the pools are: ${names.join(", ") || "none"}`,
        {
          cure: `start a member with it: dpool serve --pool ${only}=5`,
        },
      ),
    ];
  const wanted = only === undefined ? names : [only];
  const pools = await Promise.all(wanted.map((name) => poolAt(`${url}/pools/${name}`, client)));
  const seen = pools.filter((pool) => pool !== undefined);
  const hidden = wanted.filter((_, index) => pools[index] === undefined);
  if (hidden.length === 0) return [token, ...poolFindings(seen)];
  const reason = `needs scope observe: ${hidden.join(", ")}`;
  return seen.length === 0
    ? [token, ...POOL_CHECKS.map((name) => skipped(name, reason))]
    : [token, ...poolFindings(seen), skipped("pools", reason)];
}

/** The pool with its members; undefined where the token may not see them. */
async function poolAt(url: string, client: Client): Promise<Pool | undefined> {
  try {
    return await client.json<Pool>(url, { key: "members" });
  } catch (error) {
    if (error instanceof PoolError && error.code === "forbidden") return undefined;
    throw error;
  }
}

function tokenFault(error: unknown, { hasToken }: Client): Finding {
  const code = error instanceof PoolError ? error.code : "";
  if (code === "forbidden")
    return failed("token", messageOf(error), {
      cure: "ask for a token with the scope observe: dpool token NAME --scope call --scope observe",
    });
  if (code !== "unauthorized")
    return failed("token", messageOf(error), { cure: "look at the log of the member" });
  return failed("token", messageOf(error), {
    cure: hasToken
      ? "add the token's line to the member's file, or show another one: dpool token NAME"
      : "show a token: DPOOL_TOKEN, or --token",
  });
}
