/** `dpool ui`: opens the dashboard of a member, and prints its URL. */
import type { DistributedPool } from "../../../sdk/typescript/node.ts";
import { write, writeJson } from "../output/write.ts";
import { argumentsOf, type Environment, isJson, type Parsed } from "../parse.ts";
import { openPage } from "../terminal/open-page.ts";
import { DEFAULT_URL, urlOf } from "./connect.ts";

/** Any member shows all pools. Through Consul, it is the first one that is found. */
export async function ui(
  pools: DistributedPool,
  parsed: Parsed,
  env: Environment,
): Promise<number> {
  argumentsOf(parsed);
  const url = parsed.flagged.has("consul") ? undefined : urlOf(parsed.values);
  const page = new URL("/", url ?? (await firstUrl(pools)) ?? DEFAULT_URL).href;
  if (isJson(parsed)) await writeJson({ url: page });
  else await write(process.stdout, `${page}\n`);
  if (process.stdout.isTTY) await openPage(page, env);
  return 0;
}

async function firstUrl(pools: DistributedPool): Promise<string | undefined> {
  const [first] = (await pools.pools()).pools;
  return first && (await pools.pool(first.pool)).members[0]?.url;
}
