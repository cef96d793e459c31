/** The client of a command: it asks one member, or finds members through Consul. */
import { readFileSync } from "node:fs";
import { messageOf } from "../../../openapi/errors.ts";
import { DistributedPool, PoolError } from "../../../sdk/typescript/index.ts";
import { DEFAULTS } from "../../member/options.ts";
import { consulOf, type Environment, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";

/** The first member of `dpool dev`. */
export const DEFAULT_URL = `http://127.0.0.1:${DEFAULTS.port}`;

/**
 * Runs with a client, which is closed afterwards. It asks, in this order of precedence: `--url`,
 * `--consul`, DPOOL_URL, DPOOL_CONSUL, CONSUL_HTTP_ADDR, {@link DEFAULT_URL}.
 */
export async function withPools<T>(
  parsed: Parsed,
  env: Environment,
  run: (pools: DistributedPool) => Promise<T>,
): Promise<T> {
  const pools = connect(parsed, env);
  try {
    return await run(pools);
  } finally {
    await pools.close();
  }
}

function connect({ values, flagged }: Parsed, env: Environment): DistributedPool {
  if (flagged.has("url") && flagged.has("consul"))
    throw new UsageError("expected at most one of --url, --consul");
  const url = flagged.has("consul") ? undefined : values.url;
  const consul = url === undefined ? consulOf(values, env) : undefined;
  const read = (name: "ca" | "cert" | "key") => {
    const file = values[name];
    try {
      return file === undefined ? undefined : readFileSync(file, "utf8");
    } catch (error) {
      throw new UsageError(`--${name}: ${messageOf(error)}`);
    }
  };
  const identity = { token: values.token, ca: read("ca"), cert: read("cert"), key: read("key") };
  try {
    return new DistributedPool({
      ...(consul ? { consul } : { url: url ?? DEFAULT_URL }),
      ...identity,
    });
  } catch (error) {
    if (error instanceof PoolError && error.code === "invalid_request")
      throw new UsageError(error.message);
    throw error;
  }
}

/** The one positional argument of a command. @throws {UsageError} for none, and for more. */
export function onePositional({ positionals }: Parsed, noun: string): string {
  const [only, ...more] = positionals;
  if (only === undefined || more.length > 0)
    throw new UsageError(`expected one ${noun}; got ${positionals.join(" ") || "none"}`);
  return only;
}
