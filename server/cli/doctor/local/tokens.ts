/** Checks the token file: its lines, and who else may read or write it. */
import { messageOf } from "../../../../openapi/errors.ts";
import { isLoopback } from "../../../../sdk/typescript/trust/loopback.ts";
import { modeFault, TokenFile } from "../../../access/tokens.ts";
import type { MemberOptions } from "../../../member/options.ts";
import { type Finding, failed, ok, skipped, warning } from "../finding.ts";

const NAME = "token file";

export function tokenFinding({ tokenFile, jwks, host }: MemberOptions): Finding {
  if (tokenFile === undefined)
    return skipped(
      NAME,
      jwks !== undefined || !isLoopback(host ?? "127.0.0.1")
        ? "none is given"
        : "none is given; on loopback anybody on this machine may call",
    );
  try {
    new TokenFile(tokenFile, () => {}).close();
    const fault = modeFault(tokenFile);
    if (!fault) return ok(NAME, tokenFile);
    const cure = {
      cure: "keep others from it; a running member need not be told:",
      command: `chmod ${fault.isWritable ? "go-w,o-r" : "o-r"} '${tokenFile}'`,
    };
    return (fault.isWritable ? failed : warning)(NAME, `${tokenFile}: ${fault.message}`, cure);
  } catch (error) {
    return failed(NAME, messageOf(error), {
      cure: "mend the line, or the path; dpool token NAME prints a line for the file",
    });
  }
}
