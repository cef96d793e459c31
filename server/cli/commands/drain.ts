/** `dpool drain`: one member leaves its pools, finishes its children and ends. */
import type { Environment, Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";
import { DEFAULT_URL, withPools } from "./connect.ts";
import { write } from "./print-events.ts";

export async function drain(parsed: Parsed, env: Environment): Promise<number> {
  if (parsed.positionals.length > 0)
    throw new UsageError(`expected options only; got ${parsed.positionals.join(" ")}`);
  // With a URL only one member drains, also where the environment names a Consul.
  const values = { ...parsed.values, url: parsed.values.url ?? DEFAULT_URL };
  return withPools({ ...parsed, values }, env, async (pools) => {
    const { member, pools: loads } = await pools.drain();
    const running = Object.values(loads).reduce((sum, { active }) => sum + active, 0);
    await write(process.stdout, `${member} drains; ${running} children run\n`);
    return 0;
  });
}
