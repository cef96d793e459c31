/** `dpool token`: a new token, and its line for a token file. */
import { QUOTA_NAMES } from "../../access/quotas.ts";
import { tokenFor } from "../../access/tokens.ts";
import { writeJson } from "../output/write.ts";
import { argumentsOf, isJson, type Parsed } from "../parse.ts";
import { blamingUsage } from "../usage-error.ts";

export async function token(parsed: Parsed): Promise<number> {
  const [name] = argumentsOf(parsed, "one name for the token's holder");
  const { scope: scopes = ["call", "observe"], in: pools = ["*"], ...values } = parsed.values;
  const given = QUOTA_NAMES.filter((key) => values[key] !== undefined);
  const quotas = Object.fromEntries(given.map((key) => [key, values[key]]));
  const { token, line } = await blamingUsage(() => tokenFor(name, { scopes, pools, quotas }));
  if (isJson(parsed)) {
    await writeJson({ name, token, line });
    return 0;
  }
  // On stderr, so that `dpool token NAME >> FILE` adds the line and shows the token, this once.
  process.stderr.write(`${token}\n`);
  process.stdout.write(`${line}\n`);
  return 0;
}
