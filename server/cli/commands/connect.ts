/** The client of a command: it asks one member, or finds members through Consul. */
import { readFileSync } from "node:fs";
import { messageOf } from "../../../openapi/errors.ts";
import { DistributedPool, type TlsIdentity } from "../../../sdk/typescript/node.ts";
import { DEFAULT_PORT } from "../../member/options/constants.ts";
import type { OptionValues } from "../options/values.ts";
import { consulOf, type Environment, type Parsed } from "../parse.ts";
import { blamingUsage, UsageError } from "../usage-error.ts";

/** Runs a command, and resolves with the exit code of the process. */
export type Ask = (parsed: Parsed, env: Environment) => Promise<number>;

/** The first member of `dpool dev`. */
export const DEFAULT_URL = `http://127.0.0.1:${DEFAULT_PORT}`;

/**
 * Makes a command of a function that takes a client, and closes the client afterwards. The client
 * asks, in this order of precedence: `--url`, `--consul`, DPOOL_URL, DPOOL_CONSUL,
 * CONSUL_HTTP_ADDR, {@link DEFAULT_URL}.
 */
export function withPools(
  run: (pools: DistributedPool, parsed: Parsed, env: Environment) => Promise<number>,
): Ask {
  return async (parsed, env) => {
    const pools = await blamingUsage(() => connect(parsed, env));
    try {
      return await run(pools, parsed, env);
    } finally {
      await pools.close();
    }
  };
}

/** The URL of `--url`, which may leave out the scheme: `HOST:PORT`. */
export function urlOf({ url, ca, cert, key }: OptionValues): string | undefined {
  if (url === undefined || /^\w[\w+.-]*:\/\//.test(url)) return url;
  return `${(ca ?? cert ?? key) === undefined ? "http" : "https"}://${url}`;
}

/** The certificates of `--ca`, `--cert` and `--key`. @throws {UsageError} */
export function certificatesOf(values: OptionValues): TlsIdentity {
  const read = (name: "ca" | "cert" | "key") => {
    const file = values[name];
    try {
      return file === undefined ? undefined : readFileSync(file, "utf8");
    } catch (error) {
      throw new UsageError(`--${name}: ${messageOf(error)}`);
    }
  };
  return { ca: read("ca"), cert: read("cert"), key: read("key") };
}

export function connect({ command, values, flagged }: Parsed, env: Environment): DistributedPool {
  if (flagged.has("url") && flagged.has("consul"))
    throw new UsageError("expected at most one of --url, --consul");
  const url = flagged.has("consul") ? undefined : urlOf(values);
  // Only one member drains, also where the environment names a Consul.
  const asksConsul = url === undefined && command !== "drain";
  const consul = asksConsul ? consulOf(values, env) : undefined;
  const { token, insecure, memberDomain } = values;
  const identity = { token, insecure, memberDomain, ...certificatesOf(values) };
  return new DistributedPool(
    consul ? { consul, ...identity } : { url: url ?? DEFAULT_URL, ...identity },
  );
}
