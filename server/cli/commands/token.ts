/** `dpool token`: a new token, and its line for a token file. */
import { newToken } from "../../access/tokens.ts";
import { argumentsOf, type Parsed } from "../parse.ts";
import { blamingUsage } from "../usage-error.ts";

export async function token(parsed: Parsed): Promise<number> {
  const [name] = argumentsOf(parsed, "one name for the token's holder");
  const { scope = ["call", "observe"], in: pools = ["*"] } = parsed.values;
  const { token, line } = await blamingUsage(() => newToken(name, scope, pools));
  // On stderr, so that `dpool token NAME >> FILE` adds the line and shows the token, this once.
  process.stderr.write(`${token}\n`);
  process.stdout.write(`${line}\n`);
  return 0;
}
