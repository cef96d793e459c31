/** `dpool token`: a new token, and its line for a token file. */
import { PoolError } from "../../openapi/errors.ts";
import { newToken } from "../access/tokens.ts";
import { type Parsed, UsageError } from "./options.ts";

export async function token({ positionals, given }: Parsed): Promise<number> {
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0)
    throw new UsageError(
      `expected one name for the token's holder; got ${positionals.length === 0 ? "none" : positionals.join(" ")}`,
    );
  try {
    const { token, line } = newToken(name, given.scope ?? ["call", "observe"], given.in ?? ["*"]);
    // Apart, so that `dpool token NAME >> FILE` adds the line and shows the token, this once.
    process.stderr.write(`${token}\n`);
    process.stdout.write(`${line}\n`);
  } catch (error) {
    if (error instanceof PoolError) throw new UsageError(error.message);
    throw error;
  }
  return 0;
}
